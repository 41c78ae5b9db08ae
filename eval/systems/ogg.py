"""Payload of an Ogg file, without what the container adds (RFC 3533)."""

from __future__ import annotations

_HEADER = 27  # bytes of a page before its segment table
_N_SEGMENTS = 26  # where among them the length of that table is


def packet_sizes(data: bytes) -> list[int]:
    """Bytes of each packet, headers included, of a file with one stream.

    Raises:
        ValueError: no Ogg file, or a cut one.
    """
    sizes, position, size = [], 0, 0
    while position < len(data):
        if data[position : position + 4] != b"OggS" or len(data) < position + _HEADER:
            raise ValueError(f"no Ogg page at byte {position}")
        table = position + _HEADER
        segments = data[table : table + data[position + _N_SEGMENTS]]
        for segment in segments:
            size += segment
            if segment < 255:  # the first segment that is not full ends a packet, maybe on another page
                sizes.append(size)
                size = 0
        position = table + data[position + _N_SEGMENTS] + sum(segments)
    if not sizes or size or position != len(data):
        raise ValueError("the Ogg file is cut")
    return sizes


def payload_bits(data: bytes, n_headers: int) -> float:
    """Bits of all packets after the first `n_headers`.

    Raises:
        ValueError: no Ogg file, or a cut one.
    """
    return 8.0 * sum(packet_sizes(data)[n_headers:])
