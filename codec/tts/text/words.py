"""The numbers of one language as words, by the num2words package."""

from __future__ import annotations

import re

from codec.extras import needs
from codec.tts.text.languages import LANGUAGES, primary_tag

with needs("num2words", "reading numbers", "tts"):
    from num2words import CONVERTER_CLASSES

_LONGEST = 12  # digits; a longer number is an identifier, which is read digit by digit


def speaks_numbers(language: str) -> bool:
    """Whether digits are read in this language, known or not."""
    return primary_tag(language) in LANGUAGES.keys() & CONVERTER_CLASSES.keys()


class Words:
    """Numbers as people write them in a language, and as they say them.

    Args:
        primary: key in `LANGUAGES`.
        tag: in lower case with underscores; "en_in" or "fr_ch" read numbers in their own way.
    """

    def __init__(self, primary: str, tag: str) -> None:
        self.name, self.tag, self.language = primary, tag, LANGUAGES[primary]
        regional = {name.lower(): name for name in CONVERTER_CLASSES}
        self.converter = CONVERTER_CLASSES.get(regional.get(tag, primary))
        decimal = re.escape(self.language.decimal)
        whole = rf"(?<![\d^])(?:\d{{1,3}}(?:{self.language.group}\d{{3}})+|\d+)(?:{decimal}\d+)?(?!\d)"
        self.number = rf"(?:{whole}|(?<![\w.,])[.,]\d+(?!\d))"  # a pattern of 1,000.5 and .5

    def read(self, number: str) -> str:
        """A number as written, with groups and decimals."""
        if number[0] in ".,":
            number = f"0{self.language.decimal}{number[1:]}"
        whole, _, fraction = number.partition(self.language.decimal)
        words = self.year(whole) if not fraction and self.is_year(whole) else self.cardinal(whole)
        return words + (f" {self.language.point} {self.digits(fraction)}" if fraction else "")

    def is_year(self, number: str) -> bool:
        return self.language.has_years and re.fullmatch(r"1[1-9]\d\d|20\d\d", number) is not None

    def cardinal(self, number: str) -> str:
        """A whole number as written; one with zeros before it, or a very long one, digit by digit."""
        digits = re.sub(r"\D", "", number)
        if (len(digits) > 1 and digits[0] == "0") or len(digits) > _LONGEST:
            return self.digits(digits)
        return _clean(self.converter.to_cardinal(int(digits)))

    def ordinal(self, digits: str) -> str:
        if len(digits) > _LONGEST:
            return self.digits(digits)
        return _clean(self.converter.to_ordinal(int(digits)))

    def year(self, digits: str) -> str:
        return _clean(self.converter.to_year(int(digits))) if self.is_year(digits) else self.cardinal(digits)

    def digits(self, digits: str) -> str:
        return " ".join(map(self.cardinal, digits))

    def count(self, number: str) -> float:
        """The value of a number as written, for plurals."""
        plain = re.sub(rf"[^\d{re.escape(self.language.decimal)}]", "", number)
        return float(plain.replace(self.language.decimal, ".") or 0)


def _clean(words: str) -> str:
    """num2words puts commas where nobody pauses."""
    return " ".join(words.replace(",", "").split())
