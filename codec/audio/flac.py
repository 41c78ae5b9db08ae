"""FLAC files, including concatenated ones, of which libsndfile reads only the first."""

from __future__ import annotations

import re

from codec.audio.error import AudioError
from codec.audio.pieces import Layout, whole_file

_START = re.compile(rb"fLaC[\0\x80]\0\0\x22")  # with the header of the STREAMINFO block
_LENGTH = slice(21, 26)  # bytes; the last 36 bits are the number of samples


def layout(content: memoryview) -> Layout:
    """Split a file into its streams.

    Raises:
        AudioError: the header has no length; libsndfile would lose the end.
    """
    starts = [found.start() for found in _START.finditer(content)]
    for start in starts:
        length = int.from_bytes(content[start:][_LENGTH], "big") & (2**36 - 1)
        if not length:
            raise AudioError("the header does not give the length (written to a pipe?); convert it again, to a file")
    if not starts:
        return whole_file(content)
    return Layout([[range(*bounds)] for bounds in zip(starts, [*starts[1:], len(content)], strict=True)])
