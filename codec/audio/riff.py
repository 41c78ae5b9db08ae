"""WAV files with wrong sizes in the header: a file counts as truncated only if samples are missing.

Wrong sizes of the file, or of chunks beside the samples, are ignored. libsndfile relies on them: it finds no samples if
a recorder was killed before it wrote the sizes, and accepts truncated files.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from codec.audio.error import AudioError
from codec.audio.pieces import Layout, whole_file

KINDS = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_UNKNOWN = 0xFFFFFFFF
_OPEN_END = 0x7FFF0000  # bytes; writers to a pipe give about 2 or 4 GiB for an unknown size
_NAME = re.compile(rb"[ -~]{4}")  # of a chunk


def layout(content: memoryview) -> Layout:
    """Lay out the samples, with a corrected header.

    Raises:
        AudioError: samples are missing.
    """
    order = ">" if content[:4] == b"RIFX" else "<"
    chunks, is_regular = _chunks(content, order)
    if "fmt " not in chunks or "data" not in chunks:
        return whole_file(content)  # libsndfile reports the error
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
        # The writer included the header in the size: truncation would hardly be this short.
        note = f"the header gives {size} bytes of samples; read to the end of the file, {there} bytes"
        size = there
    elif not size and there and not _are_chunks(content, start, order):
        note = f"the header is unfinished; read to the end of the file, {there} bytes of samples"
        size, is_regular = there, False
    elif _has_more(content[start + size :]):
        note = f"{there - size} bytes after the {size} bytes of samples in the header are not read"
    if is_regular:
        return Layout([[range(len(content))]], note)
    form = bytes(content[chunks["fmt "].start :][: chunks["fmt "].size])
    file_size, form_size, data_size = (struct.pack(order + "I", n) for n in (_UNKNOWN, len(form), min(size, _UNKNOWN)))
    riff = b"RIFX" if order == ">" else b"RIFF"
    header = b"".join([riff, file_size, b"WAVE", b"fmt ", form_size, form, b"data", data_size])
    return Layout([[header, range(start, start + size)]], note)


class _Chunk(NamedTuple):
    start: int  # of its content
    size: int  # in its header


def _chunks(content: memoryview, order: str) -> tuple[dict[str, _Chunk], bool]:
    """Find the chunks up to the samples, and whether all sizes between them are correct."""
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
    """Whether chunks follow up to the end, rather than samples."""
    while position + 8 <= len(content):
        name, size = struct.unpack_from(order + "4sI", content, position)
        if not _NAME.fullmatch(name):
            return False
        position += 8 + size + size % 2
    return position - len(content) in (0, 1)


def _has_more(rest: memoryview) -> bool:
    """Whether something other than chunks, tags and padding follows the samples."""
    is_known = re.match(rb"[\0-\xff]?[ -~]{4}|ID3|TAG", rest, re.DOTALL)
    return not is_known and re.search(rb"[^\0]", rest) is not None
