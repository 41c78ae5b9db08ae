"""Rules for Roman numbers: ordinal after the names of rulers, cardinal elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from codec.tts.text.rules import Rule, any_of, rule
from codec.tts.text.words import Words

_ROMAN = r"(?:X{0,3}(?:IX|IV|V?I{1,3}|V)|X{1,3})"  # 1 to 39
_VALUES = {"I": 1, "V": 5, "X": 10}
# Names of popes, kings and queens, as several languages spell them.
_MEN = (
    "Albert Alexander Alfonso Amadeus August Augustus Benedict Benedikt Benedictus Boniface Carlos Charles "
    "Christian Clemens Clement Constantine Darius David Eduard Edward Felipe Ferdinand Filips Francis François "
    "Franz Franziskus Frederick Frederik Friedrich Georg George Gregor Gregory Gustav Haakon Harald Heinrich "
    "Hendrik Henri Henry Innocent Innozenz Ivan Iwan James Jan Johann John Joseph Juan Julius Karel Karl Konrad "
    "Konstantin Leo Leopold Lodewijk Lorenzo Louis Ludwig Malcolm Manuel Maximilian Mehmed Napoleon Nicholas "
    "Nikolaus Olaf Oscar Otto Paul Paulus Pedro Peter Philip Philipp Philippe Pius Ptolemy Ramesses Ramses "
    "Richard Robert Rudolf Sigismund Stephen Suleiman Theodor Umberto Urban Viktor Vittorio Wilhelm Willem "
    "William Xerxes"
)
_WOMEN = "Anna Anne Beatrix Catherine Christina Elisabeth Elizabeth Isabella Katharina Margaret Margrethe Maria Mary"
RULER = rf"(?:{'|'.join([*_MEN.split(), *_WOMEN.split()])})s?"  # a pattern of the names
_LETTERS = ("I", "V", "X", "IV", "XX", "XXX")  # numbers only after some words, otherwise letters


def roman_rules(words: Words) -> Iterator[Rule]:
    """Yield rules for Roman numbers; cardinal ones become digits, for later rules."""

    def reign(match: re.Match[str]) -> str:
        number = str(_value(match["roman"]))
        ordinal = words.ordinal(number)
        form = words.language.reign[match["name"].removesuffix("s") in _WOMEN.split()]
        spoken = form.format(cardinal=number, ordinal=ordinal, Ordinal=ordinal.capitalize())
        return f"{match['name']} {spoken}"

    # "3XV" is read as "3 XV": digits become words of their own.
    yield rule(r"(?<=\d)(?=[IVX]{2,}(?![^\W\d]))", " ")
    yield rule(r"(?<![^\W\d])[IVX]{2,}(?=\d)", lambda match: f"{match[0]} ")
    dot = r"(?:\.(?=\s|,))?" if words.language.dotted.before else ""
    end = r"(?![\w'-])"
    several = rf"(?!(?:{'|'.join(_LETTERS)})\b){_ROMAN}"
    # "Henry V", but not "Yesterday Henry I met": a lone "I" is a number only where nothing goes on after it.
    single = r"(?:I(?=[.,;:!?)]|$)|[VX]|IV|XX)"
    yield rule(rf"\b(?P<name>{RULER})\s(?P<roman>{several}|{single}){end}{dot}", reign)
    # "Part I" of a play, but not "the part I like".
    nouns = any_of(words.language.numbered)
    yield rule(
        rf"\b(?:(?P<word>{nouns})\s(?P<first>I)|(?P<noun>(?i:{nouns}))\s(?P<roman>(?!I\b){_ROMAN})){end}",
        lambda match: f"{match['word'] or match['noun']} {_value(match['first'] or match['roman'])}",
    )
    yield rule(rf"(?<![\w'.-])(?P<roman>{several}){end}", lambda match: str(_value(match["roman"])))
    yield rule(rf"(?<![\w'.-])(?:IV|XX|XXX){end}", lambda match: " ".join(match[0]))


def _value(roman: str) -> int:
    digits = [_VALUES[letter] for letter in roman]
    return sum(-a if a < b else a for a, b in zip(digits, [*digits[1:], 0], strict=True))
