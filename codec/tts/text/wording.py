"""Wording: plain characters, and words for abbreviations, numbers and signs, of a part of a text."""

# ruff: noqa: RUF001  signs of many kinds

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from operator import methodcaller
from typing import NamedTuple

from codec.tts.text.languages import load_language, primary_language
from codec.tts.text.numbers import spell
from codec.tts.text.rules import any_of

_QUOTES = {
    "'": "\u2018\u2019\u201a\u201b\u02bc\u2032`\u00b4\u2039\u203a",
    '"': "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033",
}
_HYPHENS = "\u2010\u2011\u2012\u2013\u2212"
_DASH = "\u2014"
_PLAIN = str.maketrans(
    {quote: plain for plain, quotes in _QUOTES.items() for quote in quotes}
    | dict.fromkeys(_HYPHENS, "-")
    | {"\u2015": _DASH, "\u066b": ".", "\u066c": ","}  # Arabic decimal and group signs
    | {"[": "(", "]": ")", "{": "(", "}": ")"}
)
_DIGRAPHS = {
    ">=": "≥",
    "<=": "≤",
    "!=": "≠",
    "=/=": "≠",
    "==": "=",
    "+/-": "±",
    "+-": "±",
    "~=": "≈",
    "->": "→",
    "=>": "→",
}
_POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿ", "0123456789-n")
_FRACTIONS = "[\u00bc-\u00be\u2150-\u215e]"
_START = r"(?<![^\W\d])(?<!\.)"  # the start of a word, but not within an abbreviation
_LETTERS = re.compile(rf"{_START}(?:[^\W\d_]\.){{2,}}(?![\w.])")  # U.S.
_INITIAL = re.compile(r"(?<![\w.'])(?<!\b[AP]\s(?=M))([A-ZÀ-Þ])\.(?=\s[A-ZÀ-Þ])")  # J. Smith, but not A M. Then
_LONE_MARKS = re.compile(r"(?<=[.!?…])(?:\s+[.,;:!?…]+)+(?=\s|$)|\s+(?=[.,;:!?]+(?:\s|$))")
_JOINERS = ("Cf", "Me")  # categories of characters that only change their neighbours
_CONTROLS = ("Cc", "Cs", "Co", "Cn")  # with surrogates, private and unassigned characters
_SILENT = (*_CONTROLS, "Sc", "Sk", "Sm", "So")  # with emoji and signs; those that have names are words by then
_KEPT = "-\u2014.,;:!?…'\"()¿¡،؛؟۔।॥、。，；：！？"  # punctuation to keep


def wording(text: str, language: str, is_end: bool = True) -> str:
    """Write a part of a text as words: no digits, emoji, control characters or runs of whitespace.

    Args:
        text: a part that `codec.tts.text.sentences` made, without markup.
        language: a BCP-47 tag.
        is_end: whether a sentence ends with it.

    Raises:
        ValueError: an unknown language, or digits in one whose numbers cannot be spelled.
    """
    text = _expand(_plain(text), primary_language(language), is_end)
    text = unicodedata.normalize("NFKC", spell(text, language))
    return _pauses("".join(c if _is_kept(c) else " " for c in text))


def tidy(text: str) -> str:
    """Remove spaces before punctuation, and punctuation that stands alone after other punctuation."""
    return _LONE_MARKS.sub("", text)


def readable(text: str) -> str:
    """Replace emoji and control characters by spaces, and remove joiners."""
    return "".join(map(_readable, text))


@lru_cache(maxsize=4096)
def _readable(character: str) -> str:
    category = unicodedata.category(character)
    if category in _JOINERS or "\ufe00" <= character <= "\ufe0f":
        return ""
    is_emoji = category == "So" and character != "°" and unicodedata.normalize("NFKC", character) == character
    return " " if (category in _CONTROLS and character not in "\n\r\t") or is_emoji else character


def _is_kept(character: str) -> bool:
    category = unicodedata.category(character)
    return character in _KEPT if category[0] == "P" else category not in _SILENT


def _plain(text: str) -> str:
    """Simplify characters: NFKC but for "º" and "ª", digits 0 to 9, plain quotes and hyphens, powers as "^2"."""
    text = re.sub(r"(?<=\d)[\u00a0\u202f](?=\d{3})", "", text)
    text = re.sub(r"(?<=\d)\s*\u2013\s*(?=\d)", "-", text)  # ranges; other dashes between spaces are pauses
    text = re.sub(r"~(?=\s?\d)", "≈", text)
    text = re.sub(r"(?<=°)\s(?=[CF]\b)", "", text)
    text = re.sub(r"\s[\u2013-]+\s(?![^\w\s]?\d)|(?<!\S)\u2013\s|\s?--+\s?", f" {_DASH} ", text).translate(_PLAIN)
    text = re.sub("|".join(map(re.escape, _DIGRAPHS)), lambda match: _DIGRAPHS[match[0]], text)
    text = re.sub(r"(\w*\)?)([⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿ]+)(?=(\d?))", _power, text)
    text = re.sub(_FRACTIONS, lambda match: f" {unicodedata.normalize('NFKC', match[0])} ", text)
    text = "".join(" " + c if unicodedata.category(c) == "No" else c for c in text)  # H₂O is not H2O
    text = re.sub("[^ºª]+", lambda match: unicodedata.normalize("NFKC", match[0]), text).translate(_PLAIN)
    text = re.sub(r"\d", lambda match: str(unicodedata.decimal(match[0])), text)
    text = " ".join(unicodedata.normalize("NFC", readable(text)).split())
    return tidy(text)


def _power(match: re.Match[str]) -> str:
    """Write 10² as "10^2"; at the end of a longer word it is the number of a footnote, and is left out."""
    base = match[1]
    is_base = base[-1:].isdecimal() or base.endswith(")") or 1 <= len(base) <= 2
    return base + (f"^{match[2].translate(_POWERS)}" if is_base else "") + " " * bool(match[3])


def _pauses(text: str) -> str:
    """Replace dashes by commas; remove pauses at the start or beside another, and spaces before punctuation."""
    text = re.sub(rf"(?<!\S)-+(?!\S)|[-{_DASH}]{{2,}}", _DASH, text)
    text = re.sub(rf"\s*{_DASH}[\s{_DASH}]*", _DASH, text)
    text = re.sub(rf"(?:(?<=[,;:.!?(…])|^){_DASH}|{_DASH}(?=[,;:.!?)]|$)", " ", text)
    text = re.sub(rf"{_DASH}(?=[\"'](?:\s|$))", ",", text).replace(_DASH, ", ")
    text = tidy(" ".join(text.split()))
    return re.sub(r"(?<=[.,;:!?])[,;:]+(?=\s|$)|^[,;:]+(?:\s|$)", "", text).strip()


class _Short(NamedTuple):
    """Short forms that one pattern finds."""

    pattern: re.Pattern[str]
    say: Callable[[re.Match[str]], str]
    may_end: bool = True  # whether the full stop of one may be the sentence's too


@lru_cache
def _shorts(primary: str) -> list[_Short]:
    """The short forms of a language."""
    language = load_language(primary)
    return [
        *(_Short(re.compile(pattern), methodcaller("expand", say)) for pattern, say in language.in_context.items()),
        _listed(language.before_number, rf"{_START}(?:%s)(?=\s?\d)", "{} ", may_end=False),
        _listed(language.after_number, r"(?<=\d)\s?(?:%s)(?!\w)", " {}", may_end=False),
        _listed(language.abbreviations | language.closing, rf"{_START}(?:%s)(?!\w)", "{}", may_end=True),
        _Short(_LETTERS, lambda match: " ".join(match[0].split(".")[:-1])),
    ]


def _listed(table: dict[str, str], pattern: str, form: str, may_end: bool) -> _Short:
    """Short forms of a table, also in upper case at the start of a sentence and without their spaces."""
    table = table | {_capital(short): _capital(word) for short, word in table.items() if short[0].islower()}
    words = {_compact(short): form.format(word) for short, word in table.items()}
    shorts = any_of(table).replace(r"\ ", r"\s?")
    return _Short(re.compile(pattern % shorts), lambda match: words[_compact(match[0])], may_end)


def _expand(text: str, primary: str, is_end: bool) -> str:
    """Expand abbreviations; a full stop stays where the abbreviation is likely to end the sentence."""
    closing = {_compact(short) for short in load_language(primary).closing}

    def stop(match: re.Match[str]) -> str:
        following = match.string[match.end() :].lstrip()[:1]
        ends = (is_end and not following) or (_compact(match[0]) in closing and following.isupper())
        return "." * (ends and match[0].endswith("."))

    for short in _shorts(primary):

        def say(match: re.Match[str], short: _Short = short) -> str:
            return short.say(match) + stop(match) * short.may_end

        text = short.pattern.sub(say, text)
    return _INITIAL.sub(r"\1", text)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _compact(short: str) -> str:
    return short.replace(" ", "")
