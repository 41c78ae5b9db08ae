"""What a language says for the signs of written text: a table, a TOML file for each language, read when it is needed.

Some tables hold forms: patterns, and what replaces the first of them that is found in a word (`rules.reword`).
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from codec.settings import Settings, read, require
from codec.tts.text.rules import NEVER

LANGUAGES = {
    name: Path(__file__).with_name(f"{name}.toml") for name in ("en", "fr", "es", "pt", "it", "nl", "de", "ar", "hi")
}
_SIGNS = ["+", "-", "×", "÷", "±", "=", "≠", "<", ">", "≤", "≥", "≈", "&", "@", "%", "°C", "°F", "°"]  # noqa: RUF001


@dataclass(frozen=True)
class Clock(Settings):
    """How "10:30" is read: the hour, its noun, what joins the minutes to it, the minutes."""

    sign: str = ":"  # pattern of what stands between hour and minutes
    noun: tuple[str, str] = ("", "")  # after one hour, after more
    hours: dict[str, str] = field(default_factory=dict)  # those that differ from plain numbers
    joint: str = " "
    oh: str = ""  # before minutes below 10
    sharp: str = ""  # in place of no minutes, unless the half of the day follows
    halves: tuple[str, ...] = ()  # of the day, in words


@dataclass(frozen=True)
class Fractions(Settings):
    """How "2/3" is read: those that have words of their own, and how the lower number follows from its ordinal."""

    exact: dict[str, str]  # "1/2" and others
    names: dict[str, tuple[str, str]] = field(default_factory=dict)  # of lower numbers: one, many
    one: str = ""  # the upper number where it is 1; "" if other fractions have no words
    part: str = "{ordinal}"  # one part of so many; {Ordinal} is in upper case
    many: dict[str, str] = field(default_factory=dict)  # forms: one part -> several
    mixed: dict[str, str] = field(default_factory=dict)  # forms: "two" -> the word for 2½, where that is one word


@dataclass(frozen=True)
class Dates(Settings):
    """How "3.10.1990" and "3 Oct" are written and read, with {cardinal}, {ordinal}, {month} and {month_ordinal}."""

    order: str = "dmy"  # of day, month and year in numbers
    signs: str = "/.-"  # that may stand between them
    numeric: str = "{cardinal} {month}"
    named: str = ""  # of a day before the month's name; "" leaves it to the numbers
    month_first: str = ""  # of a day after the month's name
    of_year: str = " "  # between month and year
    first: str = ""  # in place of the first day's cardinal number
    day_first: tuple[str, ...] = ()  # tags of regions that write the day first, where `order` does not


@dataclass(frozen=True)
class Dotted(Settings):
    """How "2." is read in languages that mark ordinal numbers by a full stop."""

    before: str = ""  # pattern of words after which a number with a full stop is ordinal; "" if none is
    links: str = NEVER  # pattern of what joins several of them
    nouns: tuple[str, ...] = ()  # that make it one whatever stands before, as months do
    neighbours: tuple[str, ...] = ()  # words whose case shows in the word before them
    endings: dict[str, str] = field(default_factory=dict)  # pattern of "in der _ klasse" -> ending of what is at "_"

    def form(self, ordinal: str, before: str, after: str) -> str:
        """The ordinal number with the ending that it has between these words."""
        words = " ".join([*before.lower().split()[-2:], "_", after.lower()])
        return ordinal + next((ending for pattern, ending in self.endings.items() if re.search(pattern, words)), "")


@dataclass(frozen=True)
class Language(Settings):
    """One language; signs that it has no word for are dropped."""

    decimal: str  # the sign before decimals
    group: str  # pattern of what groups thousands
    point: str  # the word for the decimal sign
    to: str  # the word for the dash of a range
    dot: str  # the words for the dot of addresses and versions, and for their stroke
    slash: str
    ratio: str  # the words for the colon of "10:1" and the stroke of "km/h"
    per: str
    powers: tuple[str, str, str]  # what follows a number to the power of 2, of 3, and of the number said next
    symbols: dict[str, str]  # of all `_SIGNS`
    money: dict[str, tuple[str, ...]]  # one unit, many units, one hundredth, many hundredths
    fractions: Fractions
    abbreviations: dict[str, str]
    closing: dict[str, str] = field(default_factory=dict)  # abbreviations that are likely to end a sentence
    before_number: dict[str, str] = field(default_factory=dict)  # abbreviations in front of digits
    after_number: dict[str, str] = field(default_factory=dict)
    in_context: dict[str, str] = field(default_factory=dict)  # patterns of other short forms, and what they stand for
    unended: str = NEVER  # pattern of short forms in lower case that end no sentence, beside those named above
    scales: tuple[str, ...] = ()  # that stand between an amount and its unit, in the order of speech
    scale_letters: dict[str, str] = field(default_factory=dict)  # after an amount of money, as in "$5M"
    units: dict[str, tuple[str, str]] = field(default_factory=dict)  # one, many; beside those of `codec.tts.text.units`
    one: dict[str, str] = field(default_factory=dict)  # forms: a unit -> 1 before it, where it is not the number's word
    ordinals: dict[str, dict[str, str]] = field(default_factory=dict)  # pattern -> forms of the ordinal number
    dotted: Dotted = field(default_factory=Dotted)
    numbered: tuple[str, ...] = ()  # nouns before Roman numbers from I on, as in "World War I"
    reign: tuple[str, str] = ("{cardinal}", "{cardinal}")  # a Roman number after the name of a man, of a woman
    dates: Dates = field(default_factory=Dates)
    clock: Clock = field(default_factory=Clock)
    has_years: bool = False  # 1999 is read otherwise than a number of things
    decades: dict[str, dict[str, str]] = field(default_factory=dict)  # pattern of "1990s", number and ending -> forms
    starters: tuple[str, ...] = ()  # words that are likely to begin a sentence, in lower case

    def __post_init__(self) -> None:
        super().__post_init__()
        require(list(self.symbols) == _SIGNS, "symbols", list(self.symbols), " ".join(_SIGNS))


@cache
def load_language(name: str) -> Language:
    """The table of a key of `LANGUAGES`.

    Raises:
        ValueError: a setting is unknown, missing or invalid; the message names the file and the setting.
    """
    path = LANGUAGES[name]
    return read(Language, tomllib.loads(path.read_text(encoding="utf-8")), path.name)


def primary_language(tag: str) -> str:
    """The key in `LANGUAGES` of a BCP-47 tag in any case: "en" for "en-US".

    Raises:
        ValueError: a language that is not in the table, or no tag.
    """
    if not isinstance(tag, str):
        raise ValueError(f"language: {type(tag).__name__} {tag!r}; expected a tag such as 'en' or 'de-AT'")
    language = primary_tag(tag)
    if language not in LANGUAGES:
        raise ValueError(f"language {tag!r} is not known; expected one of {', '.join(LANGUAGES)}, with any region")
    return language


def primary_tag(tag: str) -> str:
    """The language of a tag without its region, script and variant."""
    return tag.replace("_", "-").partition("-")[0].lower()
