"""Reading of streams, packet by packet; reports damaged or missing packets and continues after them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import SEEK_END
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from codec.bitstream.coding import Coding, make_coding
from codec.bitstream.header import BitstreamError, Header
from codec.bitstream.packet import SYNC, CutError, Packet, read_varint
from codec.bitstream.radix import n_bytes
from codec.bitstream.token_model import TokenModel
from codec.bitstream.writer import END, TAIL

BLOCK = 2**16  # bytes per read
OVERHEAD = 1024  # largest size of a packet besides its codes, in bytes


@dataclass(frozen=True)
class Frames:
    """The frames of one packet."""

    start: int  # number of the first one in the stream
    codes: NDArray[np.int64]  # [n_q, T]; fewer codebooks than in the header if layers were dropped


@dataclass(frozen=True)
class Loss:
    """Lost frames."""

    start: int  # number of the first one in the stream
    n_frames: int  # 0: unknown, at the end of the stream
    reason: str  # names the packets and the time


class Reader:
    """Read a stream from a file that is open for reading bytes.

    Iterates over `Frames`, and a `Loss` for lost ones, in order, from the current packet to the end.

    Args:
        file: to read from; only `seek` needs a seekable one.
        model: for entropy-coded streams.

    Attributes:
        header: of the stream.
        n_samples: exact length; None until the end has been read or `seek` was called, or if the end is missing.

    Raises:
        BitstreamError: a damaged header or another format; in iteration, a stream of another model.
    """

    def __init__(self, file: BinaryIO, model: TokenModel | None = None) -> None:
        self.file, self.header, self.model = file, Header.read(file), model
        self.n_samples: int | None = None
        self._data = b""  # read, not parsed
        self._next_number = 0  # number of the next packet
        n_frames = self.header.frames_per_packet
        self._max_size = 2 * sum(n_bytes(sizes, n_frames) for _, sizes in self.header.layers) + OVERHEAD

    def __iter__(self) -> Iterator[Frames | Loss]:
        reason, coding = "", make_coding(self.header, self.model)
        while True:
            try:
                packet, size = Packet.parse(self._data, self._max_size)
            except BitstreamError as error:
                if isinstance(error, CutError) and self._fill():
                    continue
                reason = reason or f"damaged, {error}"
                if not self._skip():
                    break
                continue
            self._data = self._data[size:]
            if packet.n_frames == 0:
                yield from self._end(packet, reason)
                return
            if packet.number < self._next_number:
                continue  # duplicate or late
            try:
                codes = self._decode(packet, coding)
            except ValueError as error:
                reason = f"damaged, {error}"
                continue
            if packet.number > self._next_number:
                yield self._lost(packet.number, reason)
            self._next_number, reason = packet.number + 1, ""
            yield Frames(packet.number * self.header.frames_per_packet, codes)
        yield Loss(self._first_frame, 0, f"{self._where(self._next_number)}: the stream is cut there")

    def seek(self, seconds: float) -> int:
        """Go to the packet of a time, at most to the end; returns the number of its first frame.

        Raises:
            BitstreamError: no index, as the file is cut or was not closed.
        """
        self.file.seek(-END.size, SEEK_END)
        size, tail = END.unpack(self.file.read(END.size))
        if tail != TAIL:
            raise BitstreamError("no index at the end, as the file is cut; read it from the start")
        end = self.file.seek(-END.size - size, SEEK_END)
        sizes = self._index(Packet.parse(self.file.read(size))[0])
        frame = int(max(0.0, seconds) * self.header.sample_rate / self.header.hop_length + 1e-6)
        self._next_number = min(frame // self.header.frames_per_packet, len(sizes))
        self._data = b""
        self.file.seek(end - sum(sizes[self._next_number :]))
        return self._first_frame

    @property
    def _first_frame(self) -> int:
        return self._next_number * self.header.frames_per_packet

    def _fill(self) -> bool:
        """Read more data; False at the end of the file."""
        read = getattr(self.file, "read1", self.file.read)  # of a pipe, only available data
        block = read(BLOCK)
        self._data += block
        return bool(block)

    def _skip(self) -> bool:
        """Skip to the next possible start of a packet; False if there is none."""
        while (at := self._data.find(SYNC, 1)) < 0:
            self._data = self._data[-1:]  # maybe the first half of SYNC
            if not self._fill():
                return False
        self._data = self._data[at:]
        return True

    def _decode(self, packet: Packet, coding: Coding) -> NDArray[np.int64]:
        """Decode codes `[n_q, T]`. Raises ValueError for impossible sizes."""
        n_layers, n_frames = len(packet.layers), packet.n_frames
        if not 0 < n_layers <= len(self.header.layers) or n_frames > self.header.frames_per_packet:
            raise ValueError(f"{n_layers} layers of {n_frames} frames")
        return coding.decode(packet.layers, n_frames)

    def _end(self, packet: Packet, reason: str) -> Iterator[Loss]:
        sizes = self._index(packet)
        if self._next_number < len(sizes) and self.n_samples is not None:
            n_frames = -(-self.n_samples // self.header.hop_length)
            lost = self._lost(len(sizes), reason)
            yield Loss(lost.start, n_frames - lost.start, lost.reason)

    def _index(self, packet: Packet) -> list[int]:
        """Sizes of all packets, from the end packet."""
        numbers, at = [], 0
        while at < len(packet.layers[0]):
            number, at = read_varint(packet.layers[0], at)
            numbers.append(number)
        self.n_samples, n_packets, *sizes = numbers
        if n_packets != len(sizes):
            raise BitstreamError(f"the index names {len(sizes)} of {n_packets} packets")
        return sizes

    def _lost(self, number: int, reason: str) -> Loss:
        """Loss of all expected frames before packet `number`."""
        names = str(self._next_number) if number == self._next_number + 1 else f"{self._next_number} to {number - 1}"
        n_frames = number * self.header.frames_per_packet - self._first_frame
        return Loss(self._first_frame, n_frames, f"{self._where(names)}: {reason or 'missing'}")

    def _where(self, packets: object) -> str:
        seconds = self._first_frame * self.header.hop_length / self.header.sample_rate
        return f"packet {packets} at {seconds:.2f} s"
