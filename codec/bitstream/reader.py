"""A stream to codes, packet by packet; what is damaged or missing is named, and reading goes on behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import SEEK_END
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from codec.bitstream.coding import Coding, coding_of
from codec.bitstream.header import BitstreamError, Header
from codec.bitstream.packet import SYNC, CutError, Packet, read_varint
from codec.bitstream.radix import n_bytes
from codec.bitstream.token_model import TokenModel
from codec.bitstream.writer import END, TAIL

BLOCK = 2**16  # bytes that are asked for at once
OVERHEAD = 1024  # bytes that a packet has at most beside its codes


@dataclass(frozen=True)
class Frames:
    """The frames of one packet."""

    start: int  # number of the first one in the stream
    codes: NDArray[np.int64]  # [n_q, T]; fewer codebooks than the header says where layers were dropped


@dataclass(frozen=True)
class Loss:
    """Frames that did not arrive whole."""

    start: int  # number of the first one in the stream
    n_frames: int  # 0: unknown, as the stream ends there
    reason: str  # names the packets and the time


class Reader:
    """Read a stream from a file that is open for reading bytes.

    Iterating gives `Frames`, and a `Loss` where there should be some, in order, from the current packet to the end.

    Args:
        file: where from; `seek` alone needs it to be seekable.
        model: that the stream is entropy-coded with, if it is.

    Attributes:
        header: what the stream holds.
        n_samples: its exact length, known once the end has been read or sought in; before, and where the end is
            missing, None.

    Raises:
        BitstreamError: the header is another format's, or damaged; when frames are read, it names another model.
    """

    def __init__(self, file: BinaryIO, model: TokenModel | None = None) -> None:
        self.file, self.header, self.model = file, Header.read(file), model
        self.n_samples: int | None = None
        self._data = b""  # read and not parsed yet
        self._due = 0  # number of the next packet
        n_frames = self.header.frames_per_packet
        self._max_size = 2 * sum(n_bytes(sizes, n_frames) for _, sizes in self.header.layers) + OVERHEAD

    def __iter__(self) -> Iterator[Frames | Loss]:
        reason, coding = "", coding_of(self.header, self.model)
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
            if packet.number < self._due:
                continue  # it came twice, or too late
            try:
                codes = self._decode(packet, coding)
            except ValueError as error:
                reason = f"damaged, {error}"
                continue
            if packet.number > self._due:
                yield self._lost(packet.number, reason)
            self._due, reason = packet.number + 1, ""
            yield Frames(packet.number * self.header.frames_per_packet, codes)
        yield Loss(self._first_frame, 0, f"{self._where(self._due)}: the stream is cut there")

    def seek(self, seconds: float) -> int:
        """Go to the packet that holds a time; returns the number of its first frame. Times past the end are the end.

        Raises:
            BitstreamError: the file has no index, as it is cut or was not closed.
        """
        self.file.seek(-END.size, SEEK_END)
        size, tail = END.unpack(self.file.read(END.size))
        if tail != TAIL:
            raise BitstreamError("no index at the end, as the file is cut; read it from the start")
        end = self.file.seek(-END.size - size, SEEK_END)
        sizes = self._index(Packet.parse(self.file.read(size))[0])
        frame = int(max(0.0, seconds) * self.header.sample_rate / self.header.hop_length + 1e-6)
        self._due = min(frame // self.header.frames_per_packet, len(sizes))
        self._data = b""
        self.file.seek(end - sum(sizes[self._due :]))
        return self._first_frame

    @property
    def _first_frame(self) -> int:
        return self._due * self.header.frames_per_packet

    def _fill(self) -> bool:
        """Read on; False at the end of the file."""
        read = getattr(self.file, "read1", self.file.read)  # what has arrived in a pipe, without waiting for more
        block = read(BLOCK)
        self._data += block
        return bool(block)

    def _skip(self) -> bool:
        """Go on to where the next packet may begin; False if there is none."""
        while (at := self._data.find(SYNC, 1)) < 0:
            self._data = self._data[-1:]  # it may be the first half of the mark
            if not self._fill():
                return False
        self._data = self._data[at:]
        return True

    def _decode(self, packet: Packet, coding: Coding) -> NDArray[np.int64]:
        """Codes `[n_q, T]`. Raises ValueError if there are none like this."""
        n_layers, n_frames = len(packet.layers), packet.n_frames
        if not 0 < n_layers <= len(self.header.layers) or n_frames > self.header.frames_per_packet:
            raise ValueError(f"{n_layers} layers of {n_frames} frames")
        return coding.decode(packet.layers, n_frames)

    def _end(self, packet: Packet, reason: str) -> Iterator[Loss]:
        sizes = self._index(packet)
        if self._due < len(sizes) and self.n_samples is not None:
            n_frames = -(-self.n_samples // self.header.hop_length)
            lost = self._lost(len(sizes), reason)
            yield Loss(lost.start, n_frames - lost.start, lost.reason)

    def _index(self, packet: Packet) -> list[int]:
        """Sizes of all packets, from the last one."""
        numbers, at = [], 0
        while at < len(packet.layers[0]):
            number, at = read_varint(packet.layers[0], at)
            numbers.append(number)
        self.n_samples, n_packets, *sizes = numbers
        if n_packets != len(sizes):
            raise BitstreamError(f"the index names {len(sizes)} of {n_packets} packets")
        return sizes

    def _lost(self, number: int, reason: str) -> Loss:
        """All frames before packet `number` that did not come."""
        names = str(self._due) if number == self._due + 1 else f"{self._due} to {number - 1}"
        n_frames = number * self.header.frames_per_packet - self._first_frame
        return Loss(self._first_frame, n_frames, f"{self._where(names)}: {reason or 'missing'}")

    def _where(self, packets: object) -> str:
        seconds = self._first_frame * self.header.hop_length / self.header.sample_rate
        return f"packet {packets} at {seconds:.2f} s"
