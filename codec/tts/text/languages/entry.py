"""What a language says for the signs of written text: the fields of one entry, which are words, short forms and forms.

An entry is data. Functions stand in it only where a form follows from another, as "Drittel" does from "dritte".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

# ruff: noqa: RUF001  signs of many kinds
_SIGNS = ("+", "-", "×", "÷", "±", "=", "≠", "<", ">", "≤", "≥", "≈", "&", "@", "%", "°C", "°F", "°")


@dataclass(frozen=True)
class Clock:
    """How "10:30" is read: the hour, its noun, what joins the minutes to it, the minutes."""

    sign: str = ":"  # pattern of what stands between hour and minutes
    noun: tuple[str, str] = ("", "")  # after one hour, after more
    hours: dict[int, str] = field(default_factory=dict)  # those that differ from plain numbers
    joint: str = " "
    oh: str = ""  # before minutes below 10
    sharp: str = ""  # in place of no minutes, unless the half of the day follows
    halves: tuple[str, ...] = ()  # of the day, in words


@dataclass(frozen=True)
class Fractions:
    """How "2/3" is read: those that have words of their own, and how the lower number follows from its ordinal."""

    exact: dict[str, str]  # "1/2" and others
    names: dict[int, tuple[str, str]] = field(default_factory=dict)  # of lower numbers: one, many
    one: str = ""  # the upper number where it is 1
    form: Callable[[str], str] = str  # ordinal number -> one part of so many
    many: Callable[[str], str] = str  # one part -> several
    mixed: Callable[[str], str] | None = None  # "two" -> the word for 2½, where that is one word


@dataclass(frozen=True)
class Dates:
    """How "3.10.1990" and "3 Oct" are written and read, with {cardinal}, {ordinal}, {month} and {month_ordinal}."""

    order: str = "dmy"  # of day, month and year in numbers
    signs: str = "/.-"  # that may stand between them
    numeric: str = "{cardinal} {month}"
    named: str = ""  # of a day before the month's name; "" leaves it to the numbers
    month_first: str = ""  # of a day after the month's name
    of_year: str = " "  # between month and year
    first: str = ""  # in place of the first day's cardinal number
    day_first: frozenset[str] = frozenset()  # tags of regions that write the day first, where `order` does not


@dataclass(frozen=True)
class Ordinals:
    """How "2." is read in languages that mark ordinal numbers by a full stop."""

    before: str  # pattern of words after which a number with a full stop is ordinal
    links: str  # pattern of what joins several of them
    nouns: frozenset[str]  # that make it one whatever stands before, as months do
    neighbours: frozenset[str]  # words whose case shows in the word before them
    form: Callable[[str, str, str], str]  # the ordinal number, words before, word after -> as said there


@dataclass(frozen=True)
class Language:
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
    symbols: dict[str, str]
    money: dict[str, tuple[str, ...]]  # one unit, many units, one hundredth, many hundredths
    fractions: Fractions
    abbreviations: dict[str, str]
    closing: dict[str, str] = field(default_factory=dict)  # abbreviations that are likely to end a sentence
    before_number: dict[str, str] = field(default_factory=dict)  # abbreviations in front of digits
    after_number: dict[str, str] = field(default_factory=dict)
    in_context: dict[str, str] = field(default_factory=dict)  # patterns of other short forms, and what they stand for
    unended: str = "(?!)"  # pattern of short forms in lower case that end no sentence, beside those named above
    scales: tuple[str, ...] = ()  # that stand between an amount and its unit, in the order of speech
    scale_letters: dict[str, str] = field(default_factory=dict)  # after an amount of money, as in "$5M"
    units: dict[str, tuple[str, str]] = field(default_factory=dict)  # one, many; beside those of `codec.tts.text.units`
    one: Callable[[str], str] = lambda unit: ""  # the word for 1 before a unit, where it is not the number's
    ordinals: dict[str, Callable[[str], str]] = field(default_factory=dict)  # pattern to form of the ordinal number
    dotted: Ordinals | None = None
    numbered: str = "(?!)"  # pattern of nouns before Roman numbers from I on, as in "World War I"
    reign: tuple[str, str] = ("{cardinal}", "{cardinal}")  # a Roman number after the name of a man, of a woman
    dates: Dates = Dates()
    clock: Clock = Clock()
    has_years: bool = False  # 1999 is read otherwise than a number of things
    decades: str = "(?!)"  # pattern of "1990s", number and ending; the default matches nothing
    decade: Callable[[str, str], str] = lambda number, ending: number  # in words, and the ending -> as said
    starters: frozenset[str] = frozenset()  # words that are likely to begin a sentence, in lower case


def symbols(words: str) -> dict[str, str]:
    """Words in the order of `_SIGNS`, separated by commas."""
    return dict(zip(_SIGNS, words.split(", "), strict=True))


def words(text: str) -> frozenset[str]:
    """The words of a text, separated by spaces."""
    return frozenset(text.split())
