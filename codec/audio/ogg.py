"""Chained Ogg files (RFC 3533, section 4), of which libsndfile reads only the first link."""

from __future__ import annotations

import re

from codec.audio.error import AudioError
from codec.audio.pieces import Layout

_FIRST_PAGE = re.compile(rb"OggS\0[\2\6]\0{8}")  # of a stream: at position 0
_PAGE = re.compile(rb"OggS\0")
_HEADER = 27  # bytes, and one for each segment
_LAST_BYTES = 2**17  # a page has less than 64 KiB


def layout(content: memoryview) -> Layout:
    """Split a file into its links.

    Raises:
        AudioError: a link is truncated, which libsndfile does not report.
    """
    starts: list[int] = []
    end = -1
    for page in _FIRST_PAGE.finditer(content):
        if page.start() != end:  # first pages of multiplexed streams follow each other
            starts.append(page.start())
        end = _page_end(content, page.start())
    links = [range(*bounds) for bounds in zip(starts, [*starts[1:], len(content)], strict=True)]
    for number, link in enumerate(links, 1):
        if not _is_complete(content, link):
            where = f"part {number} of {len(links)}" if len(links) > 1 else "the file"
            raise AudioError(f"{where} is truncated: its last page is missing; copy it again")
    return Layout([[link] for link in links])


def _page_end(content: memoryview, start: int) -> int:
    """End of a page, even if it is cut."""
    header = content[start : start + _HEADER]
    if len(header) < _HEADER:
        return len(content) + 1
    n_segments = header[-1]
    segments = content[start + _HEADER : start + _HEADER + n_segments]
    return start + _HEADER + n_segments + sum(segments)


def _is_complete(content: memoryview, link: range) -> bool:
    """Whether the last page is complete and marked as the end of its stream."""
    tail = max(link.start, link.stop - _LAST_BYTES)
    found = [page.start() for page in _PAGE.finditer(content[tail : link.stop])]
    if not found:
        return False
    last = tail + found[-1]
    return bool(content[last + 5] & 4) and _page_end(content, last) <= link.stop
