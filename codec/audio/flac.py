"""FLAC files, also several that were joined: libsndfile reads the first one only."""

from __future__ import annotations

import re

from codec.audio.error import AudioError
from codec.audio.pieces import Layout, as_it_is

_START = re.compile(rb"fLaC[\0\x80]\0\0\x22")  # and the head of the block that describes the stream
_LENGTH = slice(21, 26)  # bytes whose last 36 bits are the number of samples


def layout(content: memoryview) -> Layout:
    """Each stream is a part.

    Raises:
        AudioError: the header does not give the length; libsndfile then loses the end.
    """
    starts = [found.start() for found in _START.finditer(content)]
    for start in starts:
        length = int.from_bytes(content[start:][_LENGTH], "big") & (2**36 - 1)
        if not length:
            raise AudioError("the header does not give the length (written to a pipe?); convert it again, to a file")
    if not starts:
        return as_it_is(content)
    return Layout([[range(*bounds)] for bounds in zip(starts, [*starts[1:], len(content)], strict=True)])
