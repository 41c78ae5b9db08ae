"""Rules for dates and decades; the names of months are those of Unicode's CLDR, from the babel package."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import NamedTuple

from codec.extras import needs
from codec.tts.text.rules import Rule, any_of, reword, rule
from codec.tts.text.words import Words

with needs("babel", "reading dates", "tts"):
    from babel.dates import get_month_names

_MORE = {"Sept": 9}  # short forms that CLDR lacks
_ALSO_WORDS = ("sept", "Mar", "May", "Mai", "mai", "mar", "mei")  # short forms that are also other words
_YEAR = r"(?P<year>1[1-9]\d\d|20\d\d)"


class Months(NamedTuple):
    """Names of the months, and their numbers by name and by short form."""

    names: list[str]
    full: dict[str, int]
    short: dict[str, int]

    @property
    def lone(self) -> list[str]:
        """Short forms that mean a month even without a number beside them."""
        return [name for name in self.short if name not in _ALSO_WORDS]


@lru_cache
def month_names(language: str) -> Months:
    """Look up the months of a language, a key of `LANGUAGES`."""
    wide, abbreviated = (get_month_names(width, locale=language) for width in ("wide", "abbreviated"))
    names = [wide[month] for month in range(1, 13)]
    full = {name: month for month, name in enumerate(names, 1)}
    short = {abbreviated[month].rstrip("."): month for month in range(1, 13)} | _MORE
    return Months(names, full, {name: month for name, month in short.items() if name not in full})


def date_rules(words: Words) -> Iterator[Rule]:
    """Yield rules for dates and decades."""
    reader = _Dates(words)
    short, full = any_of(reader.months.short), any_of(reader.months.full)
    yield rule(rf"(?<![\d-]){_YEAR}-(?P<month>[01]\d)-(?P<day>[0-3]\d)(?![\d-])", reader.numeric)
    day, month, short_year = r"(?P<day>[0-3]?\d)", r"(?P<month>[0-3]?\d)", r"(?P<year>1[1-9]\d\d|20\d\d|\d\d)"
    for sign in reader.dates.signs:
        space = r"\s?" if sign == "." else ""
        date = rf"{day}[{sign}]{space}{month}[{sign}]{space}{short_year}"
        yield rule(rf"(?<![\w.,/-]){date}(?![\d/-]|[.,]\d)", reader.numeric)
    if before := words.language.dotted.before:
        yield rule(rf"(?<=\b)(?P<before>(?i:{before})\s){day}\.\s?{month}\.(?!\d)", reader.without_year)
    year = rf"(?:(?P<comma>,?)\s{_YEAR}(?![\d.,]*\d|-\d))?"
    yield rule(rf"\b(?P<name>{short})\.?(?=\s\d)", reader.name)
    yield rule(rf"(?:(?<=\d\s)|(?<=\d\.\s))(?P<name>{short})\b(?:\.(?=\s[\da-z]|,))?", reader.name)
    yield rule(rf"\b(?P<name>{any_of(reader.months.lone)})\.(?=\s[a-z]|,)", reader.name)
    if reader.dates.month_first:
        yield rule(
            rf"\b(?P<name>{full})\s(?P<day>[0-3]?\d)(?:st|nd|rd|th)?(?![\w:/-]|[.,]\d){year}",
            partial(reader.named, reader.dates.month_first),
        )
    if reader.dates.named:
        yield rule(
            rf"(?P<the>\bthe\s)?(?<![\d.,:/$-])\b(?P<day>[0-3]?\d)(?:st|nd|rd|th)?\s(?:of\s)?(?P<name>{full})\b{year}",
            partial(reader.named, reader.dates.named),
        )
    for pattern, forms in words.language.decades.items():
        yield rule(pattern, partial(reader.decade, forms))


class _Dates:
    def __init__(self, words: Words) -> None:
        self.words, self.dates = words, words.language.dates
        self.months = month_names(words.name)

    def name(self, match: re.Match[str]) -> str:
        return self.months.names[self.months.short[match["name"]] - 1]

    def numeric(self, match: re.Match[str]) -> str:
        """Read a date in numbers, if it is one."""
        day, month, year = int(match["day"]), int(match["month"]), match["year"]
        month_first = self.dates.order == "mdy" and self.words.tag not in self.dates.day_first
        is_iso = match.start("year") < match.start("day")
        if not is_iso and day <= 12 and (month_first or month > 12):
            day, month = month, day
        if not (1 <= day <= 31 and 1 <= month <= 12):
            return match[0]
        spoken = self.say(self.dates.numeric, day, month, match.string[: match.start()])
        year = year if len(year) == 4 else f"{'20' if int(year) < 50 else '19'}{year}"
        return f"{spoken}{self.dates.of_year}{self.words.year(year)}"

    def without_year(self, match: re.Match[str]) -> str:
        day, month = int(match["day"]), int(match["month"])
        if not (1 <= day <= 31 and 1 <= month <= 12):
            return match[0]
        return match["before"] + self.say(self.dates.numeric, day, month, match.string[: match.start("day")])

    def named(self, form: str, match: re.Match[str]) -> str:
        """Read a date with the name of a month, and perhaps a year."""
        day = int(match["day"])
        if not 1 <= day <= 31:
            return match[0]
        spoken = self.say(form, day, self.months.full[match["name"]], match.string[: match.start()])
        return f"{spoken}{match['comma']} {self.words.year(match['year'])}" if match["year"] else spoken

    def decade(self, forms: dict[str, str], match: re.Match[str]) -> str:
        return reword(self.words.read(match[1]) + match[2], forms)

    def say(self, form: str, day: int, month: int, before: str) -> str:
        """Read a day and a month, in the form that the text before them requires."""
        name = self.months.names[month - 1]
        ordinals = {"ordinal": self.words.ordinal(str(day)), "month_ordinal": self.words.ordinal(str(month))}
        ordinals = {key: self.words.language.dotted.form(word, before, name) for key, word in ordinals.items()}
        cardinal = self.dates.first if day == 1 and self.dates.first else self.words.cardinal(str(day))
        return form.format(cardinal=cardinal, month=name, **ordinals)
