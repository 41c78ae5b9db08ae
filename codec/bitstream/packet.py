"""Packets: frames in layers; the last layers can be dropped without decoding."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from codec.bitstream.header import BitstreamError
from codec.settings import require

SYNC = b"\xc3\x37"  # at the start of every packet, to find the next one after damage
MAX_SIZE = 2**24  # bytes of a packet
_CRC = struct.Struct("<I")


class CutError(BitstreamError):
    """Incomplete data of a packet."""


@dataclass(frozen=True)
class Packet:
    """A packet; one without frames is the end of the stream."""

    number: int  # from 0; a gap means lost packets
    n_frames: int  # as in the header, fewer only in the last packet; 0: the end
    layers: tuple[bytes, ...]  # the semantic codebook first; dropped layers are missing at the end

    def to_bytes(self) -> bytes:
        sizes = b"".join(varint(len(layer)) for layer in self.layers)
        head = SYNC + varint(self.number) + bytes([self.n_frames, len(self.layers)]) + sizes
        data = head + b"".join(self.layers)
        return data + _CRC.pack(zlib.crc32(data))

    @classmethod
    def parse(cls, data: bytes, max_size: int = MAX_SIZE) -> tuple[Packet, int]:
        """Parse the packet at the start of `data`; returns it and its size, at most `max_size` if it has frames.

        Raises:
            CutError: incomplete data.
            BitstreamError: no packet, or a damaged one.
        """
        if not data.startswith(SYNC[: len(data)]):
            raise BitstreamError("no packet starts here")
        number, at = read_varint(data, 2)
        if at + 2 > len(data):
            raise CutError("ends within a packet")
        n_frames, n_layers = data[at], data[at + 1]
        sizes, at = [], at + 2
        for _ in range(n_layers):
            size, at = read_varint(data, at)
            sizes.append(size)
        end = at + sum(sizes)
        if end > (max_size if n_frames else MAX_SIZE):
            raise BitstreamError(f"{end} bytes exceed the size of a packet")
        if end + _CRC.size > len(data):
            raise CutError("ends within a packet")
        if _CRC.unpack_from(data, end)[0] != zlib.crc32(data[:end]):
            raise BitstreamError("the checksum differs")
        layers = []
        for size in sizes:
            layers.append(data[at : at + size])
            at += size
        return cls(number, n_frames, tuple(layers)), end + _CRC.size


def drop_layers(packet: bytes, n_layers: int) -> bytes:
    """Keep only the first `n_layers` layers of a packet, as a relay for a slow network does.

    Raises:
        BitstreamError: not a packet. ValueError: `n_layers` is below 1.
    """
    require(n_layers >= 1, "n_layers", n_layers, "at least 1")
    whole, _ = Packet.parse(packet)
    return Packet(whole.number, whole.n_frames, whole.layers[:n_layers] if whole.n_frames else whole.layers).to_bytes()


def varint(number: int) -> bytes:
    """Encode a number >= 0, seven bits per byte, lowest first; the top bit is set in all bytes but the last."""
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    return bytes([*data, number])


def read_varint(data: bytes, start: int) -> tuple[int, int]:
    """Decode the number at `start`; returns it and its end.

    Raises:
        CutError: incomplete data. BitstreamError: more than 64 bits.
    """
    number = 0
    for i, byte in enumerate(data[start : start + 10]):
        number |= (byte & 127) << 7 * i
        if byte < 128:
            return number, start + i + 1
    if len(data) < start + 10:
        raise CutError("ends within a packet")
    raise BitstreamError("a number of more than 64 bits is damaged")
