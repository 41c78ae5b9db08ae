"""Long text as sentences short enough to speak at once, from all of it or as it arrives."""

# ruff: noqa: RUF001  the marks of many scripts

from __future__ import annotations

import re

from codec.tts.text.languages import LANGUAGES, MONTHS_DE

_CLOSERS = "\"'’”“»)]}」』）"
_MARK = rf"[.!?…؟۔।॥。！？]+[{re.escape(_CLOSERS)}]*"
_WIDE = "。！？"  # no space follows these
_END = re.compile(rf"{_MARK}|\s*\n\s*\n")
_PAUSE = re.compile(rf"[,;:،؛][{re.escape(_CLOSERS)}]*(?=\s)|[，、；：]")
_WORD = re.compile(r"\w+")
_SPACE = re.compile(r"\s")
_OPENERS = "\"'‘“„«([{¿¡"

# Abbreviations of all languages at once, in lower case. Those of single letters need no list.
_TABLES = LANGUAGES.values()
_MORE = "adm. av. col. corp. drs. ee. hon. ing. maj. messrs. mr. mevr. st. str. uu."  # not spelled out
_ABBREVIATIONS = {*_MORE.split(), *(short.lower() for table in _TABLES for short in table.abbreviations)}
_CLOSING = {"co.", *(short.lower() for table in _TABLES for short in table.closing)}
_BEFORE_NUMBER = {"art.", "vol.", *(short.lower() for table in _TABLES for short in table.before_number)}


def split_sentences(text: str, max_chars: int = 200) -> list[str]:
    """Sentences without the whitespace around them; together they are the text.

    A sentence ends at its mark or at an empty line, not after "Dr." or within "3.14". One of more than
    `max_chars` characters is cut at its last pause (comma, colon, semicolon) that fits, else at a space,
    else anywhere.
    """
    splitter = SentenceSplitter(max_chars)
    return splitter.push(text) + splitter.flush()


class SentenceSplitter:
    """`split_sentences` for text that arrives piece by piece: the same sentences, whatever the pieces.

    A sentence is given out once what follows shows that it has ended, usually with the next word's first letter.
    """

    def __init__(self, max_chars: int = 200) -> None:
        if max_chars < 1:
            raise ValueError(f"max_chars = {max_chars}: expected at least 1")
        self.max_chars, self._text = max_chars, ""

    def push(self, piece: str) -> list[str]:
        """More text; returns the sentences that have ended."""
        self._text += piece
        return self._take(is_last=False)

    def flush(self) -> list[str]:
        """There is no more text; returns the rest of it."""
        return self._take(is_last=True)

    def _take(self, is_last: bool) -> list[str]:
        sentences, start = [], _skip_space(self._text, 0)
        while (end := _first_end(self._text, start, self.max_chars, is_last)) is not None:
            sentences.append(self._text[start:end].rstrip())
            start = _skip_space(self._text, end)
        self._text = self._text[start:]
        return sentences


def _first_end(text: str, start: int, max_chars: int, is_last: bool) -> int | None:
    """Where the sentence that starts at `start` ends; None where there is none, or more text could change it."""
    limit = start + max_chars
    for match in _END.finditer(text, start, limit):
        following = _skip_space(text, match.end())
        if following == len(text) and not is_last:
            return None
        is_end = _is_end(text, start, match, following, is_last)
        if is_end is None:
            return None
        if is_end:
            return match.end()
    if _skip_space(text, limit) >= len(text):
        return len(text) if is_last and start < len(text) else None
    pauses = [match.end() for match in _PAUSE.finditer(text, start, limit + 1) if match.end() <= limit]
    spaces = [] if pauses else [match.start() for match in _SPACE.finditer(text, start, limit + 1)]
    return max(pauses or spaces or [limit])


def _is_end(text: str, start: int, match: re.Match[str], following: int, is_last: bool) -> bool | None:
    """Whether a sentence ends with the mark found; None where the word at `following` decides and is not complete."""
    mark = match[0].rstrip(_CLOSERS)
    if not mark.strip() or following == len(text):
        return True
    if following == match.end():
        return mark[-1] in _WIDE
    sentence, next_char = text[start : match.start()], text[following]
    if match[0] != ".":
        return not (next_char.islower() and (mark != match[0] or mark[-1] in ".…"))
    word = sentence.split()[-1].lstrip(_OPENERS) + "." if sentence else ""
    if word[:-1].isdigit():
        is_item = sentence.rpartition("\n")[2].strip() + "." == word  # of a numbered list
        return not is_item and _is_no_date(text, following, is_last)
    if word.lower() in _BEFORE_NUMBER and next_char.isdigit():
        return False
    if word.lower() in _CLOSING and word.lower() not in _ABBREVIATIONS:
        return next_char.isupper()
    if word.lower() in _ABBREVIATIONS or re.fullmatch(r"(?:[^\W\d_]\.)+", word):
        return False
    # Where there are capitals, a sentence begins with one.
    return not (next_char.islower() and any(c.isupper() for c in sentence))


def _is_no_date(text: str, following: int, is_last: bool) -> bool | None:
    """Whether the word at `following` is no German month, as in "3. Mai"; None where it may become one."""
    match = _WORD.match(text, following)
    word = match[0] if match else ""
    if (
        word
        and following + len(word) == len(text)
        and not is_last
        and any(month.startswith(word) for month in MONTHS_DE)
    ):
        return None
    return word not in MONTHS_DE


def _skip_space(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start
