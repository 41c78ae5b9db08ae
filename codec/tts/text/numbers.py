"""Numbers, amounts, times and signs of written text as words, by the num2words package."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from codec.tts.text.languages import LANGUAGES, primary_language, primary_tag

try:
    from num2words import CONVERTER_CLASSES
except ImportError as error:
    raise ImportError("reading numbers needs num2words: pip install num2words") from error

_TIMES = "\u00d7"
_NEVER = "(?!)"  # a pattern that matches nothing
_LONGEST = 12  # digits; a longer number is an identifier, which is read digit by digit


def spell(text: str, language: str) -> str:
    """`text` in NFKC with plain hyphens -> the same without digits and signs that have a name.

    Args:
        text: e.g. "$5 - 4.50 is 10%".
        language: a BCP-47 tag; "en-IN" or "fr-CH" read numbers in their own way.

    Raises:
        ValueError: an unknown language, or digits in one that num2words does not speak.
    """
    return _reader(primary_language(language), language.replace("-", "_").lower()).spell(text)


def speaks_numbers(language: str) -> bool:
    """Whether `spell` reads digits in this language, known or not."""
    return primary_tag(language) in LANGUAGES.keys() & CONVERTER_CLASSES.keys()


class _Reader:
    """The numbers of one language; patterns run in turn, and each leaves fewer digits to the next."""

    def __init__(self, primary: str, tag: str) -> None:
        self.language = LANGUAGES[primary]
        regional = {name.lower(): name for name in CONVERTER_CLASSES}
        self.converter = CONVERTER_CLASSES.get(regional.get(tag, primary))
        self.name = primary
        decimal = re.escape(self.language.decimal)
        number = rf"(?<!\d)(?:\d{{1,3}}(?:{self.language.group}\d{{3}})+|\d+)(?:{decimal}\d+)?(?!\d)"
        signs = _any_of(self.language.money)
        scales = rf"(?:\s(?P<scale>{_any_of(self.language.scales)})\b)?" if self.language.scales else "(?P<scale>)"
        clock = self.language.clock
        nouns = rf"\s?(?:{_any_of(clock.noun)})\b" if any(clock.noun) else _NEVER
        self.number = re.compile(number)
        self.rules: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
            (re.compile(pattern), function)
            for pattern, function in (
                # 555-123-4567, and 5-10, and 5 - 4 or -4, and 3 * 4
                (r"(?<!\d)\d+(?:-\d+){2,}", lambda match: match[0].replace("-", " ")),
                (r"(?<=\d)-(?=\d)", lambda match: self.language.to),
                (rf"(?:(?<=\d)\s+-\s+|(?<![^\s(])-)(?=(?:{signs})?\d)", lambda match: self.language.symbols["-"]),
                (rf"(?<=\d)\s*[*{_TIMES}]\s*(?=\d)", lambda match: self.language.symbols[_TIMES]),
                # 10:30, and 10 Uhr
                (rf"(?<![\d:.])([01]?\d|2[0-4]){clock.sign}([0-5]\d)(?![\d:])(?:{nouns})?", self._clock),
                (rf"(?<![\d:.,])([01]?\d|2[0-4])(){nouns}", self._clock),
                # $5 million, and 5 Mio. €, and € with words before it
                (rf"(?P<sign>{signs})\s?(?P<number>{number}){scales}", self._money),
                (rf"(?P<number>{number}){scales}\s?(?P<sign>{signs})", self._money),
                (signs, lambda match: self.language.money[match[0]][1]),
                # 21st, and 1990s
                *((pattern, self._ordinal(form)) for pattern, form in self.language.ordinals.items()),
                (self.language.decades, self._decade),
                # 1.2.3, all other numbers, all other signs
                (r"(?<!\d)\d+(?:[.,:]\d+)+", self._chain),
                (number, lambda match: self.read(match[0])),
                (_any_of(sign for sign in self.language.symbols if sign != "-"), self._symbol),
            )
        ]

    def spell(self, text: str) -> str:
        if self.converter is None and re.search(r"\d", text):
            raise ValueError(f"text: {text[:40]!r} has digits, which nothing here can read in {self.name}; write words")
        for pattern, function in self.rules:
            text = pattern.sub(_spaced(function), text)
        return text

    def read(self, number: str) -> str:
        """One number as written, with groups and decimals."""
        whole, _, fraction = number.partition(self.language.decimal)
        if self.language.has_years and not fraction and len(whole) == 4 and 1100 <= int(whole) < 2100:
            words = _clean(self.converter.to_year(int(whole)))
        else:
            words = self._cardinal(whole)
        return words + (f" {self.language.point} {self._digits(fraction)}" if fraction else "")

    def _cardinal(self, whole: str) -> str:
        digits = re.sub(r"\D", "", whole)
        if (len(digits) > 1 and digits[0] == "0") or len(digits) > _LONGEST:
            return self._digits(digits)
        return _clean(self.converter.to_cardinal(int(digits)))

    def _digits(self, digits: str) -> str:
        return " ".join(map(self._cardinal, digits))

    def _clock(self, match: re.Match[str]) -> str:
        clock, hour, minutes = self.language.clock, int(match[1]), int(match[2] or 0)
        words = clock.hours.get(hour) or self.read(str(hour))
        words = f"{words} {clock.noun[hour != 1]}".strip()
        return words + (
            f"{clock.joint}{clock.oh * (minutes < 10)}{self.read(str(minutes))}" if minutes else clock.sharp
        )

    def _money(self, match: re.Match[str]) -> str:
        whole, _, fraction = match["number"].partition(self.language.decimal)
        one, many, *hundredths = self.language.money[match["sign"]]
        if match["scale"]:
            return f"{self.read(match['number'])} {match['scale']} {many}"
        if fraction and not (hundredths and len(fraction) == 2):
            return f"{self.read(match['number'])} {many}"
        units = one if whole == "1" else f"{self._cardinal(whole)} {many}"
        if not int(fraction or 0):
            return units
        cents = hundredths[0] if fraction == "01" else f"{self.read(str(int(fraction)))} {hundredths[1]}"
        return cents if whole == "0" else f"{units} {self.language.symbols['&']} {cents}"

    def _ordinal(self, form: Callable[[str], str]) -> Callable[[re.Match[str]], str]:
        def say(match: re.Match[str]) -> str:
            if len(match[1]) > _LONGEST:
                return self._digits(match[1])
            return form(_clean(self.converter.to_ordinal(int(match[1]))))

        return say

    def _decade(self, match: re.Match[str]) -> str:
        words = self.read(match[1])
        return words[:-1] + "ies" if words.endswith("y") else words + "s"

    def _chain(self, match: re.Match[str]) -> str:
        """Leave a number alone; take apart what only looks like one, such as 1.2.3."""
        return match[0] if self.number.fullmatch(match[0]) else re.sub("[.,:]", " ", match[0])

    def _symbol(self, match: re.Match[str]) -> str:
        return self.language.symbols[match[0]]


@lru_cache
def _reader(primary: str, tag: str) -> _Reader:
    return _Reader(primary, tag)


def _spaced(function: Callable[[re.Match[str]], str]) -> Callable[[re.Match[str]], str]:
    """Words in place of a match are kept apart from the letters around it."""

    def replace(match: re.Match[str]) -> str:
        text = match.string
        before, after = text[max(0, match.start() - 1) : match.start()], text[match.end() : match.end() + 1]
        return " " * (before.isalnum() or before == match[0]) + function(match) + " " * after.isalnum()

    return replace


def _clean(words: str) -> str:
    """num2words puts commas where nobody pauses."""
    return " ".join(words.replace(",", "").split())


def _any_of(texts: Iterable[str]) -> str:
    """A pattern for the longest of the texts that fits."""
    return "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))
