"""Numbers, amounts of money, times and signs as words."""

# ruff: noqa: RUF001  signs of many kinds

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache, partial

from codec.tts.text.addresses import address_rules, number_rules
from codec.tts.text.dates import date_rules
from codec.tts.text.languages import primary_language
from codec.tts.text.quantities import quantity_rules
from codec.tts.text.romans import roman_rules
from codec.tts.text.rules import NEVER, Rule, any_of, apply, reword, rule
from codec.tts.text.words import Words

_TIMES = "×"
_MINUS = "\u2212"  # becomes a word last, as the Dutch "min" is also a unit
CODES = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹"}


def spell(text: str, language: str) -> str:
    """Write digits, and signs that have a name, as words.

    Args:
        text: in NFKC with plain hyphens, such as "$5 - 4.50 is 10%".
        language: a BCP-47 tag; "en-IN" or "fr-CH" read numbers in their own way.

    Raises:
        ValueError: an unknown language, or digits in one that num2words lacks.
    """
    return _reader(primary_language(language), language.replace("-", "_").lower()).spell(text)


class _Reader:
    """The rules of one language, in the order in which they run."""

    def __init__(self, primary: str, tag: str) -> None:
        self.words = Words(primary, tag)
        self.language = self.words.language
        self.rules = list(self._rules() if self.words.converter else self._signs())

    def spell(self, text: str) -> str:
        if self.words.converter is None and re.search(r"\d", text):
            name = self.words.name
            raise ValueError(f"text: {text[:40]!r} has digits, which are not supported in {name}; write words")
        return apply(self.rules, text)

    def _rules(self) -> Iterator[Rule]:
        words, language = self.words, self.language
        money, number = any_of(language.money), words.number
        codes, clock = any_of(CODES), language.clock
        nouns = rf"\s?(?:{any_of(clock.noun)})\b" if any(clock.noun) else NEVER
        minus = rf"(?=(?:{money})?[.,]?\d)"
        yield from address_rules(words)
        yield from roman_rules(words)
        yield from date_rules(words)
        yield from number_rules(words)
        if language.dotted.before:
            yield from self._dotted()
        # 5,- €, and EUR 5
        yield rule(r"(?<=\d),-+(?!\w)", "")
        yield rule(rf"\b({codes})(?=\s?-?\d)|(?<=\d)\s?({codes})\b", lambda match: CODES[match[1] or match[2]])
        # 5-10, and 5 - 4 or -4, and 3 * 4
        yield rule(rf"(?<=[\d%])-(?=(?:{money})?\d)", language.to)
        yield rule(rf"(?:(?<=[\d)])\s+-\s+|(?<=\b[a-zA-Z])\s-\s|(?<![^\s(=])-){minus}", _MINUS)
        yield rule(rf"(?<=[\d)])\s*[*{_TIMES}]\s*(?=[\d(])", language.symbols[_TIMES])
        yield rule(r"(?<=\d)\s?[x]\s?(?=\d)", language.symbols[_TIMES])
        # 21st, and ½
        for pattern, forms in language.ordinals.items():
            yield rule(pattern, partial(self._ordinal, forms))
        # 10:30, 10.30 Uhr, and 10 Uhr
        yield rule(rf"(?<![\d:./⁄])([01]?\d|2[0-4])(?:{clock.sign})([0-5]\d)(?![\d:])(?:{nouns})?", self._clock)
        yield rule(rf"(?<![\d:.,/⁄])([01]?\d|2[0-4])\.([0-5]\d){nouns}", self._clock)
        yield rule(rf"(?<![\d:.,/⁄])([01]?\d|2[0-4])(){nouns}", self._clock)
        yield rule(r"(?<![\d:.,])(\d+):(\d+)(?![\d:])", lambda match: f"{match[1]} {language.ratio} {match[2]}")
        yield from quantity_rules(words)
        # $5 million, and 5 Mio. €, and € with words before it
        scale = rf"(?:\s(?P<scale>{any_of(language.scales)})\b|\s?(?P<letter>{any_of(language.scale_letters)})\b)?"
        yield rule(rf"(?P<sign>{money})\s?(?P<minus>-)?(?P<number>{number}){scale}", self._money)
        yield rule(rf"(?P<minus>(?!))?(?P<number>{number}){scale}\s?(?P<sign>{money})", self._money)
        yield rule(money, lambda match: language.money[match[0]][1])
        # "<" and ">" compare numbers and single letters; between words they are arrows and such
        yield rule(r"(?<=[^\W\d_]{2})\s*[<>]\s*(?=[^\W\d_]{2})", ", ")
        # 1,2,3, all other numbers, all other signs
        yield rule(r"(?<!\d)\d+(?:[.,:]\d+)+", self._chain)
        yield rule(number, lambda match: words.read(match[0]))
        yield from self._signs()

    def _signs(self) -> Iterator[Rule]:
        symbols = self.language.symbols
        yield rule(_MINUS, symbols["-"])
        yield rule(any_of(sign for sign in symbols if sign != "-"), lambda match: symbols[match[0]])

    def _dotted(self) -> Iterator[Rule]:
        """Yield rules for ordinal numbers with a full stop, alone and in rows: "am 1. und 2. Mai"."""
        dotted = self.language.dotted
        one = r"\d{1,3}\."
        row = rf"(?P<row>{one}(?:{dotted.links}\s?{one})*)"
        nouns = any_of(dotted.nouns)
        sure = rf"(?=\s(?:{nouns})\b|\s[a-zäöüß]|[,;:)])"

        def say(match: re.Match[str]) -> str:
            before, after = match.string[: match.start("row")], match.string[match.end() :].split()
            end = after[0] if after else ""

            def form(number: re.Match[str]) -> str:
                return dotted.form(self.words.ordinal(number[1]), before, end)

            return match["before"] + re.sub(r"(\d{1,3})\.", form, match["row"])

        yield rule(rf"(?P<before>\b(?i:{dotted.before})\s){row}(?=\s|[,;:)]|$)", say)
        yield rule(rf"(?P<before>)(?<![\d.,])\b{row}{sure}", say)

    def _clock(self, match: re.Match[str]) -> str:
        clock, hour, minutes = self.language.clock, int(match[1]), int(match[2] or 0)
        words = clock.hours.get(str(hour)) or self.words.cardinal(str(hour))
        words = f"{words} {clock.noun[hour != 1]}".strip()
        if minutes:
            return f"{words}{clock.joint}{clock.oh * (minutes < 10)}{self.words.cardinal(str(minutes))}"
        is_sharp = not match.string[match.end() :].lstrip().startswith(clock.halves or ("\0",))
        return words + clock.sharp * is_sharp

    def _money(self, match: re.Match[str]) -> str:
        whole, _, fraction = match["number"].partition(self.language.decimal)
        one, many, *hundredths = self.language.money[match["sign"]]
        minus = f"{self.language.symbols['-']} " if match["minus"] else ""
        scale = match["scale"] or self.language.scale_letters.get(match["letter"] or "")
        if scale:
            return f"{minus}{self.words.read(match['number'])} {scale} {many}"
        whole = whole or "0"
        if fraction and not (hundredths and len(fraction) == 2):
            return f"{minus}{self.words.read(match['number'])} {many}"
        units = one if whole == "1" else f"{self.words.cardinal(whole)} {many}"
        if not int(fraction or 0):
            return minus + units
        cents = hundredths[0] if fraction == "01" else f"{self.words.cardinal(str(int(fraction)))} {hundredths[1]}"
        return minus + (cents if whole == "0" else f"{units} {self.language.symbols['&']} {cents}")

    def _ordinal(self, forms: dict[str, str], match: re.Match[str]) -> str:
        return reword(self.words.ordinal(match[1]), forms)

    def _chain(self, match: re.Match[str]) -> str:
        """Separate the numbers of a list such as 1,2,3; leave a single number alone."""
        if re.fullmatch(self.words.number, match[0]):
            return match[0]
        return re.sub("[,:]", " ", match[0]).replace(".", f" {self.language.dot} ")


_reader = lru_cache(_Reader)
