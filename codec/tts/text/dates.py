"""Dates in numbers and with names of months, which come from Unicode's CLDR in the babel package; and decades."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from codec.extras import needs
from codec.tts.text.rules import Rule, any_of, rule
from codec.tts.text.words import Words

with needs("babel", "reading dates", "tts"):
    from babel.dates import get_month_names

_MORE = {"Sept": 9}  # short forms that CLDR has not
_ALSO_WORDS = (
    "sept",
    "Mar",
    "May",
    "Mai",
    "mai",
    "mar",
    "mei",
)  # short forms that are not read for months by themselves
_YEAR = r"(?P<year>1[1-9]\d\d|20\d\d)"


class Months(NamedTuple):
    """Names of months, and the months' numbers by their names and short forms."""

    names: list[str]
    full: dict[str, int]
    short: dict[str, int]

    @property
    def lone(self) -> list[str]:
        """Short forms that are read for months by themselves."""
        return [name for name in self.short if name not in _ALSO_WORDS]


@lru_cache
def month_names(language: str) -> Months:
    """Those of a key of `LANGUAGES`."""
    wide, abbreviated = (get_month_names(width, locale=language) for width in ("wide", "abbreviated"))
    names = [wide[month] for month in range(1, 13)]
    full = {name: month for month, name in enumerate(names, 1)}
    short = {abbreviated[month].rstrip("."): month for month in range(1, 13)} | _MORE
    return Months(names, full, {name: month for name, month in short.items() if name not in full})


def date_rules(words: Words) -> Iterator[Rule]:
    """Rules that leave no numbers of dates, or years and days to be read as numbers."""
    reader = _Dates(words)
    short, full = any_of(reader.months.short), any_of(reader.months.full)
    yield rule(rf"(?<![\d-]){_YEAR}-(?P<month>[01]\d)-(?P<day>[0-3]\d)(?![\d-])", reader.numeric)
    day, month, short_year = r"(?P<day>[0-3]?\d)", r"(?P<month>[0-3]?\d)", r"(?P<year>1[1-9]\d\d|20\d\d|\d\d)"
    for sign in reader.dates.signs:
        space = r"\s?" if sign == "." else ""
        date = rf"{day}[{sign}]{space}{month}[{sign}]{space}{short_year}"
        yield rule(rf"(?<![\w.,/-]){date}(?![\d/-]|[.,]\d)", reader.numeric)
    if words.language.dotted:
        before = words.language.dotted.before
        yield rule(rf"(?<=\b)(?P<before>(?i:{before})\s){day}\.\s?{month}\.(?!\d)", reader.without_year)
    year = rf"(?:(?P<comma>,?)\s{_YEAR}(?![\d.,]*\d|-\d))?"
    yield rule(rf"\b(?P<name>{short})\.?(?=\s\d)", reader.name)
    yield rule(rf"(?:(?<=\d\s)|(?<=\d\.\s))(?P<name>{short})\b(?:\.(?=\s[\da-z]|,))?", reader.name)
    yield rule(rf"\b(?P<name>{any_of(reader.months.lone)})\.(?=\s[a-z]|,)", reader.name)
    if reader.dates.month_first:
        yield rule(
            rf"\b(?P<name>{full})\s(?P<day>[0-3]?\d)(?:st|nd|rd|th)?(?![\w:/-]|[.,]\d){year}", reader.month_first
        )
    if reader.dates.named and not words.language.dotted:
        yield rule(
            rf"(?P<the>\bthe\s)?(?<![\d.,:/$-])\b(?P<day>[0-3]?\d)(?:st|nd|rd|th)?\s(?:of\s)?(?P<name>{full})\b{year}",
            reader.named,
        )
    yield rule(words.language.decades, lambda match: words.language.decade(words.read(match[1]), match[2]))


class _Dates:
    def __init__(self, words: Words) -> None:
        self.words, self.dates = words, words.language.dates
        self.months = month_names(words.name)

    def name(self, match: re.Match[str]) -> str:
        return self.months.names[self.months.short[match["name"]] - 1]

    def numeric(self, match: re.Match[str]) -> str:
        """A date in numbers, or what was written if it is none."""
        first, second, year = int(match["day"]), int(match["month"]), match["year"]
        month_first = self.dates.order == "mdy" and self.words.tag not in self.dates.day_first
        is_iso = match.start("year") < match.start("day")
        if not is_iso and (month_first and first <= 12):
            first, second = second, first
        day, month = first, second
        if not is_iso and month > 12 >= day:
            day, month = month, day
        if not (1 <= day <= 31 and 1 <= month <= 12):
            return match[0]
        said = self.say(self.dates.numeric, day, month, match.string[: match.start()])
        return f"{said}{self.dates.of_year}{self.words.year(self.century(year))}"

    def century(self, year: str) -> str:
        return year if len(year) == 4 else f"{'20' if int(year) < 50 else '19'}{year}"

    def without_year(self, match: re.Match[str]) -> str:
        day, month = int(match["day"]), int(match["month"])
        if not (1 <= day <= 31 and 1 <= month <= 12):
            return match[0]
        return match["before"] + self.say(self.dates.numeric, day, month, match.string[: match.start("day")])

    def month_first(self, match: re.Match[str]) -> str:
        return self.with_year(match, self.dates.month_first)

    def named(self, match: re.Match[str]) -> str:
        return self.with_year(match, self.dates.named)

    def with_year(self, match: re.Match[str], form: str) -> str:
        day = int(match["day"])
        if not 1 <= day <= 31:
            return match[0]
        said = self.say(form, day, self.months.full[match["name"]], match.string[: match.start()])
        return f"{said}{match['comma']} {self.words.year(match['year'])}" if match["year"] else said

    def say(self, form: str, day: int, month: int, before: str) -> str:
        """A day and a month, in the form that they have after the text before them."""
        name = self.months.names[month - 1]
        ordinals = {"ordinal": self.words.ordinal(str(day)), "month_ordinal": self.words.ordinal(str(month))}
        if dotted := self.words.language.dotted:
            ordinals = {key: dotted.form(word, before, name) for key, word in ordinals.items()}
        cardinal = self.dates.first if day == 1 and self.dates.first else self.words.cardinal(str(day))
        return form.format(cardinal=cardinal, month=name, **ordinals)
