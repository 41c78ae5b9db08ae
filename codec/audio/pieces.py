"""Virtual files assembled from pieces of another file, without a copy."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

Piece = bytes | range  # literal bytes, or a range of the file


class Layout(NamedTuple):
    """How to read a file: as consecutive parts, each assembled from pieces."""

    parts: Sequence[Sequence[Piece]]
    note: str = ""  # warning for the user


def whole_file(content: memoryview) -> Layout:
    """Layout of an unchanged file."""
    return Layout([[range(len(content))]])


class Pieces(io.RawIOBase):
    """A file object over the concatenated pieces of `content`."""

    def __init__(self, content: memoryview, pieces: Sequence[Piece]):
        self._buffers = [content[p.start : p.stop] if isinstance(p, range) else memoryview(p) for p in pieces]
        self._ends = list(accumulate(map(len, self._buffers)))
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = (0, self._position, self._ends[-1])[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def, override]
        n_read = 0
        for piece, end in zip(self._buffers, self._ends, strict=True):
            if n_read < len(buffer) and self._position < end:
                start = self._position - (end - len(piece))
                part = piece[start : start + len(buffer) - n_read]
                buffer[n_read : n_read + len(part)] = part
                n_read += len(part)
                self._position += len(part)
        return n_read
