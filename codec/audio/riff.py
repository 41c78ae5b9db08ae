"""WAV files whose header is wrong about sizes: a file is truncated only if samples are missing.

What a header says of the size of the file, or of chunks beside the samples, does not matter to those. libsndfile goes
by it, finds nothing where a recorder was killed before it wrote the sizes, and takes what is left of a cut file.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from codec.audio.error import AudioError
from codec.audio.pieces import Layout, as_it_is

KINDS = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_UNKNOWN = 0xFFFFFFFF
_OPEN_END = 0x7FFF0000  # bytes; writers to a pipe say about 2 or 4 GiB and mean: until the end
_NAME = re.compile(rb"[ -~]{4}")  # of a chunk


def layout(content: memoryview) -> Layout:
    """The samples that are there, under a header that says so.

    Raises:
        AudioError: samples are missing.
    """
    order = ">" if content[:4] == b"RIFX" else "<"
    chunks, is_regular = _chunks(content, order)
    if "fmt " not in chunks or "data" not in chunks:
        return as_it_is(content)  # libsndfile says what is wrong
    start, size = chunks["data"]
    there = len(content) - start
    if "ds64" in chunks and size == _UNKNOWN:
        (size,) = struct.unpack_from(order + "Q", content, chunks["ds64"].start + 8)
    elif size >= _OPEN_END and size > there:
        size = there
    note = ""
    if size > there:
        if size - there > start:
            raise AudioError(f"the file is truncated: {there} of {size} bytes of samples are there; copy it again")
        # A writer that counted its header in, or some of it: no copy breaks off so near to the end.
        note = f"the header says {size} bytes of samples; read to the end of the file, which are {there}"
        size = there
    elif not size and there and not _are_chunks(content, start, order):
        note = f"the header was never finished; read to the end of the file, {there} bytes of samples"
        size, is_regular = there, False
    elif _has_more(content[start + size :]):
        note = f"{there - size} bytes behind the {size} bytes of samples that the header knows of are not read"
    if is_regular:
        return Layout([[range(len(content))]], note)
    form = bytes(content[chunks["fmt "].start :][: chunks["fmt "].size])
    file_size, form_size, data_size = (struct.pack(order + "I", n) for n in (_UNKNOWN, len(form), min(size, _UNKNOWN)))
    riff = b"RIFX" if order == ">" else b"RIFF"
    header = b"".join([riff, file_size, b"WAVE", b"fmt ", form_size, form, b"data", data_size])
    return Layout([[header, range(start, start + size)]], note)


class _Chunk(NamedTuple):
    start: int  # of what is in it
    size: int  # as its header says


def _chunks(content: memoryview, order: str) -> tuple[dict[str, _Chunk], bool]:
    """The chunks up to the samples, and whether each begins where the one before it says that it ends."""
    chunks: dict[str, _Chunk] = {}
    position = 12
    while position + 8 <= len(content):
        name, size = struct.unpack_from(order + "4sI", content, position)
        if not _NAME.fullmatch(name):
            break
        chunks.setdefault(name.decode(), _Chunk(position + 8, size))
        if name == b"data":
            return chunks, True
        position += 8 + size + size % 2
    if "fmt " in chunks and (found := re.compile(b"data").search(content, chunks["fmt "].start)):
        (size,) = struct.unpack_from(order + "I", content[found.end() : found.end() + 4].tobytes() + bytes(4))
        chunks["data"] = _Chunk(found.end() + 4, size)
    return chunks, False


def _are_chunks(content: memoryview, position: int, order: str) -> bool:
    """Whether there are chunks from here to the end, and not samples."""
    while position + 8 <= len(content):
        name, size = struct.unpack_from(order + "4sI", content, position)
        if not _NAME.fullmatch(name):
            return False
        position += 8 + size + size % 2
    return position - len(content) in (0, 1)


def _has_more(rest: memoryview) -> bool:
    """Whether more than chunks, tags and padding follow the samples."""
    is_known = re.match(rb"[\0-\xff]?[ -~]{4}|ID3|TAG", rest, re.DOTALL)
    return not is_known and re.search(rb"[^\0]", rest) is not None
