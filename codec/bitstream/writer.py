"""Writing of streams, packet by packet, to files or pipes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from codec.bitstream.coding import make_coding
from codec.bitstream.header import Header
from codec.bitstream.packet import Packet, drop_layers, varint
from codec.bitstream.token_model import TokenModel
from codec.settings import AtLeast1, Settings

END = struct.Struct("<I4s")  # size of the end packet, and the mark at the end of a file
TAIL = b"73C\n"


@dataclass(frozen=True)
class Copies(Settings):
    """Packets are sent again, with only their first layers, so that less is lost with a packet.

    Raises:
        ValueError: a number below 1.
    """

    n_layers: AtLeast1  # of a copy
    distance: AtLeast1 = 1  # packets between a packet and its copy


class Writer:
    """Write a stream to a file that is open for writing bytes.

    Args:
        file: to write to; need not be seekable, and stays open.
        header: written at once.
        model: for entropy coding, that of the header.
        copies: how to repeat packets, for networks that lose some.

    Raises:
        BitstreamError: the header has another model.
    """

    def __init__(
        self, file: BinaryIO, header: Header, model: TokenModel | None = None, copies: Copies | None = None
    ) -> None:
        self.file, self.header, self.copies = file, header, copies
        self.coding = make_coding(header, model)
        self._to_copy: list[bytes] = []
        self._pending = np.empty((len(header.codebook_sizes), 0), np.int64)
        self._sizes: list[int] = []  # of the packets, in bytes
        self._n_frames = 0
        file.write(header.to_bytes())

    def write(self, codes: NDArray[np.integer]) -> None:
        """Add frames `[n_q, T]`; complete packets are written, other frames are buffered.

        All have the same number of codebooks, at the end of a layer.

        Raises:
            ValueError: wrong number of codebooks, or codes out of range.
        """
        if codes.ndim == 2 and not self._n_frames + self._pending.shape[1]:
            self._pending = self._pending[: len(codes)]
        n_q, ends = len(self._pending), self.header.layer_ends
        if codes.ndim != 2 or len(codes) != n_q or n_q not in ends:
            raise ValueError(f"codes: shape {codes.shape}; expected [n_q, T], the same n_q of {ends} in all frames")
        sizes = np.array(self.header.codebook_sizes)[:n_q, None]
        if (bad := (codes < 0) | (codes >= sizes)).any():
            book, frame = np.argwhere(bad)[0]
            raise ValueError(f"codes[{book}, {frame}] = {codes[book, frame]}: expected 0 to {sizes[book, 0] - 1}")
        self._pending = np.concatenate([self._pending, codes], axis=1)
        size = self.header.frames_per_packet
        while self._pending.shape[1] >= size:
            self._write(self._pending[:, :size])
            self._pending = self._pending[:, size:]

    def close(self, n_samples: int) -> None:
        """Write buffered frames and the end of the stream, with its exact length and an index for seeking.

        Raises:
            ValueError: `n_samples` does not match the number of frames.
        """
        n_frames, hop = self._n_frames + self._pending.shape[1], self.header.hop_length
        if -(-n_samples // hop) != n_frames:
            raise ValueError(f"n_samples = {n_samples}: {n_frames} frames of {hop} samples were written")
        if self._pending.shape[1]:
            self._write(self._pending)
        while self._to_copy:
            self._copy()
        index = b"".join(map(varint, (n_samples, len(self._sizes), *self._sizes)))
        end = Packet(len(self._sizes), 0, (index,)).to_bytes()
        self.file.write(end + END.pack(len(end), TAIL))

    def _write(self, codes: NDArray[np.integer]) -> None:
        data = Packet(len(self._sizes), codes.shape[1], self.coding.encode(codes)).to_bytes()
        self.file.write(data)
        self._sizes.append(len(data))
        self._n_frames += codes.shape[1]
        if self.copies:
            self._to_copy.append(data)
            if len(self._to_copy) > self.copies.distance:
                self._copy()

    def _copy(self) -> None:
        assert self.copies is not None
        copy = drop_layers(self._to_copy.pop(0), self.copies.n_layers)
        self.file.write(copy)
        self._sizes[-1] += len(copy)  # seeking skips it with the packet before it
