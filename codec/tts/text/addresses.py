"""Rules for URLs, mail and IP addresses, telephone numbers and versions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from codec.tts.text.rules import Rule, rule
from codec.tts.text.words import Words

_DOMAINS = "com|org|net|edu|gov|io|ai|dev|app|info|eu|uk|de|nl"  # of URLs without "www"
_TAIL = r"(?<![.,;:!?)'\"])"  # punctuation at the end belongs to the sentence
_SEPARATOR = r"(?:\s?[-/]\s?|[.\s])"


def address_rules(words: Words) -> Iterator[Rule]:
    """Yield rules for names; numbers in them are left to later rules."""
    reader = _Addresses(words)
    yield rule(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b", reader.name)
    yield rule(rf"\b(?:(?:https?|ftp)://|www\.)[^\s<>\"]+{_TAIL}", reader.name)
    yield rule(rf"(?<![\w@.-])[\w-]+(?:\.[\w-]+)*\.(?:{_DOMAINS})\b(?:/[^\s<>\"]*)?{_TAIL}", reader.name)
    yield rule(r"(?<![\d.,])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)", reader.ip)


def number_rules(words: Words) -> Iterator[Rule]:
    """Yield rules for telephone numbers and versions, to run after those for dates."""
    reader = _Addresses(words)
    yield rule(
        rf"(?<![\w.,/-])(?:\+\s?)?(?:\(\d+\){_SEPARATOR}?)?\d+(?:{_SEPARATOR}\(?\d+\)?)*(?![\w%])", reader.telephone
    )
    yield rule(r"(?<![\d.,])\d+(?:\.\d+){2,}(?![\d.]*\d)", reader.version)


class _Addresses:
    def __init__(self, words: Words) -> None:
        self.words, self.language = words, words.language
        self.number = re.compile(words.number)

    def name(self, match: re.Match[str]) -> str:
        """Read a mail address or a URL, without its protocol, query and fragment."""
        text = re.sub(r"^(?:\w+://)?(?:www\.)?|[?#].*", "", match[0]).rstrip("/")
        spoken = {".": self.language.dot, "/": self.language.slash, "@": self.language.symbols["@"], "+": "plus"}
        return " ".join(re.sub(r"[./@+_=&%~]", lambda sign: f" {spoken.get(sign[0], '')} ", text).split())

    def ip(self, match: re.Match[str]) -> str:
        groups = match[0].split(".")
        if max(map(int, groups)) > 255:
            return match[0]
        return f" {self.language.dot} ".join(map(self.words.digits, groups))

    def version(self, match: re.Match[str]) -> str:
        """Read a version of three parts or more, unless it is a number whose thousands are grouped by dots."""
        if self.number.fullmatch(match[0]):
            return match[0]
        return f" {self.language.dot} ".join(map(self.words.cardinal, match[0].split(".")))

    def telephone(self, match: re.Match[str]) -> str:
        """Read a telephone number digit by digit, with pauses between groups; leave other numbers alone."""
        text, groups = match[0], re.findall(r"\d+", match[0])
        n_digits = sum(map(len, groups))
        n_dashes = len(re.findall(r"\d\s?-\s?\(?(?=\d)", text))
        is_telephone = (
            text[0] in "+("
            or (groups[0][0] == "0" and len(groups) > 1)
            or n_dashes >= 2
            or (n_dashes == 1 and [len(group) for group in groups] == [3, 4])
        )
        if not (7 <= n_digits <= 15 and is_telephone) or ("." in text and len(groups) < 4):
            return text
        plus = f"{self.language.symbols['+']} " * (text[0] == "+")
        return plus + ", ".join(map(self.words.digits, groups))
