"""Patterns of written text and what is said in their place: a list that runs in turn, each leaving less to the next."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

NEVER = "(?!)"  # a pattern that matches nothing


class Rule(NamedTuple):
    """One of them; what `say` gives may hold digits and signs, which later rules read."""

    pattern: re.Pattern[str]
    say: Callable[[re.Match[str]], str]


def rule(pattern: str, say: Callable[[re.Match[str]], str] | str) -> Rule:
    """A rule of a pattern and a function, or what it always says."""
    return Rule(re.compile(pattern), say if callable(say) else lambda match: say)


def apply(rules: Iterable[Rule], text: str) -> str:
    """The text once all rules have read it."""
    for pattern, say in rules:
        text = pattern.sub(_spaced(say), text)
    return text


def any_of(texts: Iterable[str]) -> str:
    """A pattern for the longest of the texts that fits."""
    return "|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or NEVER


def reword(text: str, forms: dict[str, str]) -> str:
    """A text with a replacement for the first of the patterns that is found in it, if one is."""
    for pattern, replacement in forms.items():
        said, count = re.subn(pattern, replacement, text)
        if count:
            return said
    return text


def _spaced(say: Callable[[re.Match[str]], str]) -> Callable[[re.Match[str]], str]:
    """Words in place of a match are kept apart from the letters around it."""

    def replace(match: re.Match[str]) -> str:
        words, text = say(match), match.string
        if words == match[0]:
            return words
        before, after = text[: match.start()][-1:], text[match.end() :][:1]
        apart = not words.startswith(" ") and (before.isalnum() or before == match[0])
        return " " * apart + words + " " * (after.isalnum() and not words.endswith(" "))

    return replace
