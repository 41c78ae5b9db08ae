"""Rules for units after numbers, fractions, powers and rates."""

from __future__ import annotations

import re
from collections.abc import Iterator

from codec.tts.text.rules import Rule, any_of, reword, rule
from codec.tts.text.units import ONLY_APART, RATES, UNITS, unit_name
from codec.tts.text.words import Words

FRACTION = "\u2044"  # the stroke in the NFKC form of "½"; dates are not written with it
_LOWER = {*range(2, 11), 16, 20, 32, 64, 100, 1000}  # common denominators: 24/7 is no fraction


def quantity_rules(words: Words) -> Iterator[Rule]:
    """Yield rules for quantities; most numbers are left to later rules."""
    reader = _Quantities(words)
    unit = any_of([*UNITS, *words.language.units])
    tied = any_of([*(UNITS.keys() - {*ONLY_APART}), *words.language.units])
    tail = rf"(?:/(?P<per>{unit}))?(?![\w^²³])(?:\.(?=,|\s[a-z\d(]))?"
    yield rule(rf"(?<=\d)\s?({any_of(RATES)})\b", lambda match: f" {RATES[match[1]]}")
    yield rule(r"(?<![\w'])(\d+)'\s?(\d+)\"", reader.feet)
    yield rule(
        rf"(?<![\d/.,-])(?:(?P<whole>\d+)\s)?(?P<upper>\d{{1,4}})(?P<stroke>[/{FRACTION}])(?P<lower>\d{{1,4}})(?![\d/])"
        rf"(?:\s?(?P<unit>{unit})(?!\w))?",
        reader.fraction,
    )
    yield rule(rf"(?P<number>{words.number})(?:\s(?P<unit>{unit})|(?P<dash>-?)(?P<tied>{tied})){tail}", reader.unit)
    # $5/kg, 3/day
    per = words.language.per
    yield rule(rf"(?<=[\d$€£¥¢])/({unit})(?!\w)", lambda match: f" {per} {reader.name(match[1], 1)}")
    yield rule(r"(?<=[\d$€£¥¢])/(?=[^\W\d_]{2})", f" {per} ")
    yield rule(r"(?<![^\W_])([A-Za-z]{1,2}|(?:\d[\d.,]*)?\d|\))\s?\^\s?\(?(-?)(\d+|[a-z])\)?(?!\w)", reader.power)
    yield rule(r"\^", " ")


class _Quantities:
    def __init__(self, words: Words) -> None:
        self.words, self.language = words, words.language

    def name(self, sign: str, count: float) -> str:
        """Name a unit in the plural form for `count`, or return its sign if it has no name."""
        if sign in self.language.units:
            return self.language.units[sign][count != 1]
        return unit_name(sign, count, self.words.name) or sign

    def unit(self, match: re.Match[str]) -> str:
        number, sign = match["number"], match["unit"] or match["tied"]
        is_part = match["dash"] == "-"  # "a 5-kg bag"
        spoken = self.name(sign, 1 if is_part else self.words.count(number))
        number = reword(spoken, self.language.one) if number == "1" and self.language.one else number
        per = f" {self.language.per} {self.name(match['per'], 1)}" if match["per"] else ""
        return f"{number} {spoken}{per}"

    def feet(self, match: re.Match[str]) -> str:
        return " ".join(f"{match[i]} {self.name(sign, int(match[i]))}" for i, sign in ((1, "ft"), (2, "in.")))

    def fraction(self, match: re.Match[str]) -> str:
        upper, lower = int(match["upper"]), int(match["lower"])
        if match["stroke"] == "/" and not (0 < upper <= 2 * lower and (lower in _LOWER or upper == 1 < lower)):
            return match[0]
        whole, unit = match["whole"], match["unit"]
        spoken = self.parts(upper, lower)
        if whole and (upper, lower) == (1, 2) and self.language.fractions.mixed:
            spoken = reword(self.words.cardinal(whole), self.language.fractions.mixed)
        elif whole:
            spoken = f"{whole} {self.language.symbols['&']} {spoken}"
        return f"{spoken} {self.name(unit, 1 if not whole else int(whole) + 1)}" if unit else spoken

    def parts(self, upper: int, lower: int) -> str:
        fractions = self.language.fractions
        if spoken := fractions.exact.get(f"{upper}/{lower}"):
            return spoken
        if not fractions.one or lower == 0 or lower == 1:
            return f"{upper} / {lower}"
        if str(lower) in fractions.names:
            name = fractions.names[str(lower)][upper != 1]
        else:
            ordinal = self.words.ordinal(str(lower))
            name = fractions.part.format(ordinal=ordinal, Ordinal=ordinal.capitalize())
            name = name if upper == 1 else reword(name, fractions.many)
        return f"{fractions.one if upper == 1 else upper} {name}"

    def power(self, match: re.Match[str]) -> str:
        base = " ".join(match[1]) if match[1].isalpha() else match[1]
        squared, cubed, others = self.language.powers
        if not match[2] and match[3] in ("2", "3"):
            return f"{base} {(squared, cubed)[int(match[3]) - 2]}"
        minus = f"{self.language.symbols['-']} " if match[2] else ""
        return f"{base} {others} {minus}{match[3]}"
