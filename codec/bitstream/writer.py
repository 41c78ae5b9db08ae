"""Writing of streams, packet by packet, to files or pipes."""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from codec.bitstream.coding import make_coding
from codec.bitstream.header import Header
from codec.bitstream.packet import Packet, varint
from codec.bitstream.token_model import TokenModel

END = struct.Struct("<I4s")  # size of the end packet, and the mark at the end of a file
TAIL = b"73C\n"


class Writer:
    """Write a stream to a file that is open for writing bytes.

    Args:
        file: to write to; need not be seekable, and stays open.
        header: written at once.
        model: for entropy coding, that of the header.

    Raises:
        BitstreamError: the header has another model.
    """

    def __init__(self, file: BinaryIO, header: Header, model: TokenModel | None = None) -> None:
        self.file, self.header, self.coding = file, header, make_coding(header, model)
        self._pending = np.empty((len(header.codebook_sizes), 0), np.int64)
        self._sizes: list[int] = []  # of the packets, in bytes
        self._n_frames = 0
        file.write(header.to_bytes())

    def write(self, codes: NDArray[np.integer]) -> None:
        """Add frames `[K, T]`; complete packets are written, other frames are buffered.

        Raises:
            ValueError: wrong number of codebooks, or codes out of range.
        """
        sizes = np.array(self.header.codebook_sizes)[:, None]
        if codes.ndim != 2 or len(codes) != len(sizes):
            raise ValueError(f"codes: shape {codes.shape}; expected [{len(sizes)}, T]")
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
        index = b"".join(map(varint, (n_samples, len(self._sizes), *self._sizes)))
        end = Packet(len(self._sizes), 0, (index,)).to_bytes()
        self.file.write(end + END.pack(len(end), TAIL))

    def _write(self, codes: NDArray[np.integer]) -> None:
        data = Packet(len(self._sizes), codes.shape[1], self.coding.encode(codes)).to_bytes()
        self.file.write(data)
        self._sizes.append(len(data))
        self._n_frames += codes.shape[1]
