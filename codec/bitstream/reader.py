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
MAX_GAP = 2**16  # frames; a packet of a number further ahead is damaged


@dataclass(frozen=True)
class Frames:
    """The frames of one packet."""

    start: int  # number of the first one in the stream
    codes: NDArray[np.int64]  # [n_q, T]; fewer codebooks than in the header if layers were dropped, as in copies


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
        wait: number of packets after a missing one that are read before it counts as lost, so that a copy or the late
            packet itself can take its place.

    Attributes:
        header: of the stream.
        n_samples: exact length; None until the end has been read or `seek` was called, or if the end is missing.

    Raises:
        BitstreamError: a damaged header or another format; in iteration, a stream of another model.
    """

    def __init__(self, file: BinaryIO, model: TokenModel | None = None, wait: int = 0) -> None:
        self.file, self.header, self.model, self.wait = file, Header.read(file), model, wait
        self.n_samples: int | None = None
        self._data = b""  # read, not parsed
        self._next_number = 0  # number of the next packet
        self._next_frame = 0  # that follows those delivered
        self._reason = ""  # why packets may be missing
        n_frames = self.header.frames_per_packet
        self._max_size = 2 * sum(n_bytes(sizes, n_frames) for _, sizes in self.header.layers) + OVERHEAD

    def __iter__(self) -> Iterator[Frames | Loss]:
        coding, held = make_coding(self.header, self.model), dict[int, NDArray[np.int64]]()
        while (packet := self._packet()) is not None:
            try:
                if packet.n_frames == 0:
                    n_packets = len(self._index(packet))
                    yield from self._deliver(held, -1)
                    yield from self._end(n_packets)
                    return
                if packet.number >= self._next_number:  # not late
                    codes = self._decode(packet, coding)
                    if len(codes) > len(held.get(packet.number, ())):
                        held[packet.number] = codes
                    yield from self._deliver(held, self.wait)
            except ValueError as error:
                self._reason = f"damaged, {error}"
        yield from self._deliver(held, -1)
        yield Loss(self._next_frame, 0, f"{self._where(self._next_number)}: the stream is cut there")

    def seek(self, seconds: float) -> int:
        """Go to the packet of a time, at most to the end; returns the number of its first frame.

        Raises:
            BitstreamError: no index, as the file is cut or was not closed.
        """
        end = max(0, self.file.seek(0, SEEK_END) - END.size)
        self.file.seek(end)
        size, tail = END.unpack(self.file.read(END.size).rjust(END.size))
        if tail != TAIL or size > end:
            raise BitstreamError("no index at the end, as the file is cut; read it from the start")
        self.file.seek(end - size)
        sizes = self._index(Packet.parse(self.file.read(size))[0])
        frame = int(max(0.0, seconds) * self.header.sample_rate / self.header.hop_length + 1e-6)
        self._next_number = min(frame // self.header.frames_per_packet, len(sizes))
        self._data, self._reason = b"", ""
        start = end - size - sum(sizes[self._next_number :])
        if start < 0:
            raise BitstreamError("the index names more bytes than the file has; read it from the start")
        self.file.seek(start)
        self._next_frame = self._next_number * self.header.frames_per_packet
        return self._next_frame

    def packets(self) -> Iterator[Packet]:
        """Packets with frames that are whole, as they come, to the end."""
        while (packet := self._packet()) is not None and packet.n_frames:
            yield packet

    def _packet(self) -> Packet | None:
        """Next packet that is whole; None at the end of the file."""
        while True:
            try:
                packet, size = Packet.parse(self._data, self._max_size)
            except BitstreamError as error:
                if isinstance(error, CutError) and self._fill():
                    continue
                self._reason = self._reason or f"damaged, {error}"
                if not self._skip():
                    return None
                continue
            self._data = self._data[size:]
            return packet

    def _deliver(self, held: dict[int, NDArray[np.int64]], wait: int) -> Iterator[Frames | Loss]:
        """Frames that are next among those `held`; missing ones are lost once a packet is `wait` behind them."""
        while held and (self._next_number in held or max(held) - self._next_number > wait):
            number = min(held)
            start = number * self.header.frames_per_packet
            if start > self._next_frame:
                yield self._lost(number, start)
            frames = Frames(start, held.pop(number))
            self._next_number, self._next_frame, self._reason = number + 1, start + frames.codes.shape[1], ""
            yield frames

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
        """Decode codes `[n_q, T]`. Raises ValueError for impossible numbers or sizes."""
        n_layers, n_frames, n_whole = len(packet.layers), packet.n_frames, self.header.frames_per_packet
        if (packet.number - self._next_number) * n_whole > MAX_GAP:
            raise ValueError(f"its number is {packet.number}")
        if not 0 < n_layers <= len(self.header.layers) or n_frames > n_whole:
            raise ValueError(f"{n_layers} layers of {n_frames} frames")
        return coding.decode(packet.layers, n_frames)

    def _end(self, n_packets: int) -> Iterator[Loss]:
        assert self.n_samples is not None
        n_frames = -(-self.n_samples // self.header.hop_length)
        if self._next_frame < n_frames:
            yield self._lost(n_packets, n_frames)

    def _index(self, packet: Packet) -> list[int]:
        """Sizes of all packets, from the end packet.

        Raises:
            BitstreamError: its numbers contradict each other.
        """
        numbers, at = [], 0
        while at < len(packet.layers[0] if packet.layers else b""):
            number, at = read_varint(packet.layers[0], at)
            numbers.append(number)
        n_samples, n_packets, *sizes = numbers + [0, 0][len(numbers) :]
        size = self.header.frames_per_packet * self.header.hop_length  # of a packet, in samples
        if not n_packets == len(sizes) == -(-n_samples // size):
            raise BitstreamError(f"the end names {n_packets} packets, {len(sizes)} sizes and {n_samples} samples")
        self.n_samples = n_samples
        return sizes

    def _lost(self, number: int, end: int) -> Loss:
        """Loss of all frames before packet `number` and frame `end` that have not been delivered."""
        first, last = self._next_number, number - 1
        if first > last:
            first, self._reason = last, "damaged, it has too few frames"
        names = str(first) if first == last else f"{first} to {last}"
        return Loss(self._next_frame, end - self._next_frame, f"{self._where(names)}: {self._reason or 'missing'}")

    def _where(self, packets: object) -> str:
        seconds = self._next_frame * self.header.hop_length / self.header.sample_rate
        return f"packet {packets} at {seconds:.2f} s"
