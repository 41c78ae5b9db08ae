"""Numbers as words, by the num2words package."""

from __future__ import annotations

import re

from codec.extras import needs
from codec.tts.text.languages import LANGUAGES, load_language, primary_tag

with needs("num2words", "reading numbers", "tts"):
    from num2words import CONVERTER_CLASSES

_LONGEST = 12  # digits; longer numbers are identifiers, and are read digit by digit


def speaks_numbers(language: str) -> bool:
    """Whether numbers can be read in a language, of any BCP-47 tag."""
    return primary_tag(language) in LANGUAGES.keys() & CONVERTER_CLASSES.keys()


class Words:
    """Reads numbers as they are written in one language.

    Args:
        primary: key in `LANGUAGES`.
        tag: in lower case with underscores; some regions, as "en_in" and "fr_ch", have other number words.
    """

    def __init__(self, primary: str, tag: str) -> None:
        self.name, self.tag, self.language = primary, tag, load_language(primary)
        regional = {name.lower(): name for name in CONVERTER_CLASSES}
        self.converter = CONVERTER_CLASSES.get(regional.get(tag, primary))
        decimal = re.escape(self.language.decimal)
        whole = rf"(?<![\d^])(?:\d{{1,3}}(?:{self.language.group}\d{{3}})+|\d+)(?:{decimal}\d+)?(?!\d)"
        self.number = rf"(?:{whole}|(?<![\w.,])[.,]\d+(?!\d))"  # a pattern of 1,000.5 and .5

    def read(self, number: str) -> str:
        """Read a number with groups and decimals."""
        if number[0] in ".,":
            number = f"0{self.language.decimal}{number[1:]}"
        whole, _, fraction = number.partition(self.language.decimal)
        words = self.year(whole) if not fraction and self.is_year(whole) else self.cardinal(whole)
        return words + (f" {self.language.point} {self.digits(fraction)}" if fraction else "")

    def is_year(self, number: str) -> bool:
        return self.language.has_years and re.fullmatch(r"1[1-9]\d\d|20\d\d", number) is not None

    def cardinal(self, number: str) -> str:
        """Read a whole number; a very long one, or one that begins with 0, digit by digit."""
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
        """Parse a number, for plurals."""
        plain = re.sub(rf"[^\d{re.escape(self.language.decimal)}]", "", number)
        return float(plain.replace(self.language.decimal, ".") or 0)


def _clean(words: str) -> str:
    """Remove the commas that num2words writes."""
    return " ".join(words.replace(",", "").split())
