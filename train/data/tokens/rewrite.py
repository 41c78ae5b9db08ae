"""Transcripts rewritten between written and spoken forms: "5 - 4" and "five minus four" (arXiv 2603.25551).

A model trained on both reads digits without a text front end.
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from codec.tts.text.languages import load_language, primary_tag
from codec.tts.text.numbers import spell
from codec.tts.text.rules import any_of
from codec.tts.text.words import speaks_numbers

_NUMBERS = (*range(2100), *(n * scale for scale in (1_000, 10_000, 100_000, 1_000_000) for n in range(1, 10)))
_AMBIGUOUS = ("neuf", "sei")  # also "new" in French and "you are" in Italian


def rewrite(text: str, language: str, rng: np.random.Generator) -> str:
    """Write all numbers and signs as words or, with probability one half, about half of the number words as digits.

    Ambiguous words such as "one" become digits only beside a sign. Text in an unsupported language is unchanged.

    Args:
        language: a BCP-47 tag.
    """
    if not speaks_numbers(language):
        return text
    if rng.random() < 0.5:
        return spell(text, language)
    words = _number_words(language)
    return words.pattern.sub(lambda match: words.write(match[0]) if rng.random() < 0.5 else match[0], text)


class _NumberWords:
    """Number words of one language; `pattern` matches the longest runs of them, with signs between."""

    def __init__(self, language: str) -> None:
        entry = load_language(primary_tag(language))
        self.digits = {_key(spell(str(number), language)): str(number) for number in _NUMBERS}
        self.point = entry.point.lower()
        self.signs = {self.point: entry.decimal} | {entry.symbols[sign]: f" {sign} " for sign in "+-\u00d7="}
        link = re.escape(entry.symbols["&"])  # as in "two hundred and five", but not at the end of a number
        word = rf"(?:{any_of({word for key in self.digits for word in key.split()} - {link})})\b"
        number = rf"{word}(?:[\s-](?:{link}\s)?{word})*"
        self.sign = re.compile(rf"\s({any_of(self.signs)})\s", re.IGNORECASE)
        self.pattern = re.compile(rf"(?<![\w-]){number}(?:{self.sign.pattern}{number})*(?![\w-])", re.IGNORECASE)

    def write(self, words: str) -> str:
        """Write a match of `pattern` as digits; words that are no number, or several, stay."""
        first, *rest = self.sign.split(words)
        written = self.digits.get(_key(first), "")
        if not written or (not rest and (written == "1" or first.lower() in _AMBIGUOUS)):
            return words
        for sign, number in zip(rest[::2], rest[1::2], strict=True):
            digits = self.digits.get(_key(number), "")
            if not digits or (sign.lower() == self.point and len(digits) > 1):
                return words
            written += self.signs[sign.lower()] + digits
        return written


_number_words = lru_cache(_NumberWords)


def _key(words: str) -> str:
    return " ".join(words.lower().replace("-", " ").split())
