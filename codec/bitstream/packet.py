"""Packets: some frames in layers, each of which may be left out from the end on without decoding anything."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from codec.bitstream.header import BitstreamError

SYNC = b"\xc3\x37"  # begins every packet, for readers to find the next one after damage
MAX_SIZE = 2**24  # bytes of any packet
_CRC = struct.Struct("<I")


class CutError(BitstreamError):
    """The data end before the packet does."""


@dataclass(frozen=True)
class Packet:
    """A packet as it is sent and stored; one of no frames is the end of the stream."""

    number: int  # from 0; a gap is a packet that was lost
    n_frames: int  # as the header says, fewer only in the last packet; 0: the end
    layers: tuple[bytes, ...]  # the semantic codebook first; those dropped on the way are missing at the end

    def to_bytes(self) -> bytes:
        sizes = b"".join(varint(len(layer)) for layer in self.layers)
        head = SYNC + varint(self.number) + bytes([self.n_frames, len(self.layers)]) + sizes
        data = head + b"".join(self.layers)
        return data + _CRC.pack(zlib.crc32(data))

    @classmethod
    def parse(cls, data: bytes, max_size: int = MAX_SIZE) -> tuple[Packet, int]:
        """The packet that some data begin with, and its size; one of frames has at most `max_size` bytes.

        Raises:
            CutError: the data end before it does.
            BitstreamError: no packet begins there, or it is damaged.
        """
        if not data.startswith(SYNC[: len(data)]):
            raise BitstreamError("no packet begins here")
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
            raise BitstreamError(f"{end} bytes are more than a packet has")
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
    """The same packet with its first `n_layers` layers: what a relay sends where the network is slow.

    Raises:
        BitstreamError: no packet. ValueError: `n_layers` is not at least 1.
    """
    if n_layers < 1:
        raise ValueError(f"n_layers = {n_layers}: expected at least 1")
    whole, _ = Packet.parse(packet)
    return Packet(whole.number, whole.n_frames, whole.layers[:n_layers] if whole.n_frames else whole.layers).to_bytes()


def varint(number: int) -> bytes:
    """A number of at least 0, seven bits a byte from the lowest on, the top bit set in all bytes but the last."""
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    return bytes([*data, number])


def read_varint(data: bytes, start: int) -> tuple[int, int]:
    """The number at `start`, and where it ends.

    Raises:
        CutError: the data end before it does. BitstreamError: it has more than 64 bits.
    """
    number = 0
    for i, byte in enumerate(data[start : start + 10]):
        number |= (byte & 127) << 7 * i
        if byte < 128:
            return number, start + i + 1
    if len(data) < start + 10:
        raise CutError("ends within a packet")
    raise BitstreamError("a number of more than 64 bits is damaged")
