"""Splits text, whole or as it arrives, into sentences, and these into parts that can be read one by one."""

# ruff: noqa: RUF001  the marks of many scripts

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from codec.settings import require
from codec.tts.text.dates import month_names
from codec.tts.text.languages import load_language
from codec.tts.text.numbers import CODES
from codec.tts.text.romans import RULER
from codec.tts.text.rules import any_of
from codec.tts.text.units import UNITS

MAX_CHARS = 200  # of a part
_UNKNOWN = -1  # in place of an end that depends on text to come
_CLOSERS = "\"'’”»)]}」』）"
_MARK = rf"[.!?…؟۔।॥。！？]+[{re.escape(_CLOSERS)}]*"
_WIDE = "。！？"  # no space follows these
_END = re.compile(rf"{_MARK}|\s*\n\s*\n")
_PAUSE = re.compile(rf"[,;:،؛][{re.escape(_CLOSERS)}]*(?=\s)|[，、；：]")
_TOKEN = re.compile(r"\S+")
_LONGEST_WORD = 40  # characters to wait for of the next word
_NEXT = re.compile(rf"\w{{1,{_LONGEST_WORD}}}")
_SPACE, _SPACES = re.compile(r"\s"), re.compile(r"\s*")
_OPENERS = "\"'‘“„«([{¿¡"
_LETTERS = re.compile(r"(?:[^\W\d_]\.)+")
# A word whose reading is independent of its neighbours, and theirs of it. Of single letters, capitals are no words.
_PLAIN = re.compile(
    r"[\"'‘“„«(¿¡]*(?P<word>(?:[^\W\d_]{2,}|[^\W\d_](?=['’]))(?:['’-][^\W\d_]+)*)[,;:.!?…\"'’”»)]*|[a-zß-öø-ÿ]|I"
)
_AS_WRITTEN = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*[,;:!?]?")
_ROMAN = re.compile(r"[IVX]+")
_BEFORE_ROMAN = re.compile(rf"\b{RULER}$")
_MORE = r"(?:adm|av|col|ee|maj|messrs|mr|uu)\."  # abbreviations that end no sentence in any language


class Part(NamedTuple):
    """Words of a sentence: some, or all."""

    text: str
    is_end: bool  # of the sentence
    is_cut: bool = False  # in the middle of a word, which was too long
    next_word: str = ""  # after it, as it is written, if a seam is between them


class _PartEnd(NamedTuple):
    """The end of a part, as in `Part`."""

    place: int
    is_end: bool = False
    next_word: str = ""


class SentenceSplitter:
    """Splits text that arrives piece by piece into parts of sentences; how it is cut changes nothing.

    The reading of a part depends on no other part: it ends at the end of a sentence, or between two words of which
    neither is a number, a sign or an abbreviation. A part is returned once the next word, or its first letter, is
    there. A part of more than `max_chars` characters is cut at its last pause (comma, colon, semicolon) that fits, else
    at a space, else anywhere.

    Args:
        language: a key of `LANGUAGES`.
        max_chars: of a part.
    """

    def __init__(self, language: str, max_chars: int = MAX_CHARS) -> None:
        require(max_chars >= 1, "max_chars", max_chars, "at least 1")
        self.max_chars, self._text = max_chars, ""
        self._short = _short_forms(language)
        self._is_between = False  # whether the last word is complete
        self._is_open = False  # whether parts of this sentence were returned
        self._has_capitals = False  # among these

    def push(self, piece: str, is_between: bool = False) -> list[Part]:
        """Take more text, and whether its last word is complete; return the parts that have ended."""
        self._text, self._is_between = self._text + piece, is_between
        return self._take(is_last=False)

    def flush(self) -> list[Part]:
        """End the text; return the rest, the last part as the end of a sentence."""
        parts = self._take(is_last=True)
        self._is_open = self._has_capitals = False
        return parts

    def is_normalised(self, part: str) -> bool:
        """Whether a part is one plain word, which is read as it is written."""
        return _AS_WRITTEN.fullmatch(part) is not None and self._short.is_plain(part)

    def _take(self, is_last: bool) -> list[Part]:
        text, parts, start = self._text, [], _skip_space(self._text, 0)
        while (found := self._next(text, start, is_last)) is not None:
            end, is_end, next_word = found
            following = _skip_space(text, end)
            is_end = is_end or (is_last and following == len(text))
            piece = text[start:end].rstrip()
            is_cut = following == end < len(text) and not is_end
            parts.append(Part(piece, is_end, is_cut, next_word))
            self._is_open = not is_end
            self._has_capitals = not is_end and (self._has_capitals or any(c.isupper() for c in piece))
            start = following
        self._text = text[start:]
        return parts

    def _next(self, text: str, start: int, is_last: bool) -> _PartEnd | None:
        """Find the end of the part from `start`; None if that depends on more text."""
        limit = start + self.max_chars
        seam = self._seam(text, start, limit, is_last)
        end = self._sentence_end(text, start, limit if seam is None else _skip_space(text, seam.place), is_last)
        if end == _UNKNOWN:
            return None
        if end is not None:
            return _PartEnd(end, is_end=True)
        if seam is not None:
            return seam
        if _skip_space(text, limit) >= len(text):
            return _PartEnd(len(text), is_end=True) if is_last and start < len(text) else None
        pauses = [match.end() for match in _PAUSE.finditer(text, start, limit + 1) if match.end() <= limit]
        spaces = [] if pauses else [match.start() for match in _SPACE.finditer(text, start, limit + 1)]
        return _PartEnd(max(pauses or spaces or [limit]))

    def _seam(self, text: str, start: int, limit: int, is_last: bool) -> _PartEnd | None:
        """Find the first place between two plain words."""
        before, earlier = None, ""
        for token in _TOKEN.finditer(text, start, limit):
            is_whole = (is_last or self._is_between) if token.end() == len(text) else text[token.end()].isspace()
            if not is_whole:
                return None
            is_plain = self._short.is_plain(token[0], earlier)
            if before is not None and is_plain:
                return _PartEnd(before, next_word=token[0])
            before, earlier = token.end() if is_plain else None, token[0]
        return None

    def _sentence_end(self, text: str, start: int, limit: int, is_last: bool) -> int | None:
        """Find the first end of a sentence: None if there is none, `_UNKNOWN` if that depends on more text."""
        for match in _END.finditer(text, start, limit):
            following = _skip_space(text, match.end())
            if following == len(text) and not is_last:
                return _UNKNOWN
            is_end = self._is_end(text, start, match, following, is_last)
            if is_end is None:
                return _UNKNOWN
            if is_end:
                return match.end()
        return None

    def _is_end(self, text: str, start: int, match: re.Match[str], following: int, is_last: bool) -> bool | None:
        """Whether a sentence ends with the mark; None if that depends on the rest of the word at `following`."""
        mark = match[0].rstrip(_CLOSERS)
        if not mark.strip() or following == len(text):
            return True
        if following == match.end():
            return mark[-1] in _WIDE
        part, next_char = text[start : match.start()], text[following]
        if next_char in ".,;:!?…":  # more marks
            return False
        if match[0] != ".":
            return not (next_char.islower() and (mark != match[0] or mark[-1] in ".…"))
        word = part.split()[-1].lstrip(_OPENERS) + "." if part.strip() else ""
        low = word.lower()
        next_word = _NEXT.match(text, following)
        is_known = is_last or next_word is None or next_word.end() < len(text) or len(next_word[0]) == _LONGEST_WORD
        starts = next_char.isupper() and next_word is not None and next_word[0].lower() in self._short.starters
        if word[:-1].isdigit():
            is_item = not self._is_open and part.rpartition("\n")[2].strip() + "." == word  # of a numbered list
            is_ordinal = self._short.is_ordinal(part, next_word[0] if next_word else "", starts)
            return not is_item and not is_ordinal if is_known else None
        if low in self._short.before_number and next_char.isdigit():
            return False
        if (low in self._short.closing and low not in self._short.abbreviations) or self._short.unit.search(part):
            return next_char.isupper()
        if self._short.unended.fullmatch(low) or _LETTERS.fullmatch(word):
            return starts if is_known else None
        if low in self._short.abbreviations:
            return False
        # Where there are capitals, a sentence begins with one.
        return not (next_char.islower() and (self._has_capitals or any(c.isupper() for c in part)))


class _ShortForms:
    """Abbreviations and other short forms of a language, and words that may follow a full stop."""

    def __init__(self, name: str) -> None:
        language, months = load_language(name), month_names(name)
        self.starters, self.dotted = language.starters, language.dotted
        self.unended = re.compile(rf"{_MORE}|{language.unended}")
        self.unit = re.compile(rf"\d\s?(?:{any_of([*UNITS, *language.units])})$")  # after a number, at the end
        spaced = {short for short in language.abbreviations | language.closing if " " in short}
        self.abbreviations = _tokens(spaced) | set(map(str.lower, language.abbreviations))
        self.closing = {"co.", *map(str.lower, language.closing)}
        self.before_number = {"art.", "vol.", *map(str.lower, language.before_number)}
        self.before_number |= {f"{short.lower()}." for short in months.short}
        words = [*language.abbreviations, *language.closing, *language.before_number, *language.after_number]
        words += [*months.full, *months.short, *language.units, *CODES, *language.clock.noun, *language.scales]
        words += [*language.numbered, *language.dotted.nouns, *language.dotted.neighbours]
        words += [unit for unit in UNITS if not unit.endswith(".")]
        self.special = {token.rstrip(".") for token in _tokens(words)}

    def is_plain(self, token: str, earlier: str = "") -> bool:
        """Whether the reading of a word is independent of its neighbours, as `earlier`, and theirs of it."""
        match = _PLAIN.fullmatch(token)
        if match is None:
            return False
        if token == "I":
            return _BEFORE_ROMAN.search(earlier) is None
        word = match["word"] or token
        low = word.lower()
        return not (low in self.special or self.unended.fullmatch(f"{low}.") or _ROMAN.fullmatch(word))

    def is_ordinal(self, part: str, next_word: str, starts: bool) -> bool:
        """Whether the number at the end of the part is ordinal before the next word."""
        if not (self.dotted.before and next_word):
            return False
        if next_word in self.dotted.nouns or next_word[0].islower():
            return True
        before = rf"\b(?i:{self.dotted.before})\s(?:\d{{1,3}}\.{self.dotted.links}\s?)*\d{{1,3}}$"
        return not starts and re.search(before, part) is not None


_short_forms = lru_cache(_ShortForms)


def _tokens(texts: Iterable[str]) -> set[str]:
    """Words of the texts, in lower case."""
    return {token for text in texts for token in text.lower().split()}


def _skip_space(text: str, start: int) -> int:
    match = _SPACES.match(text, start)
    return match.end() if match else start
