"""Rules that rewrite text: patterns, and what replaces their matches. Lists of rules run in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

NEVER = "(?!)"  # a pattern that matches nothing


class Rule(NamedTuple):
    """A pattern and a function of its matches, which may return digits and signs for later rules to read."""

    pattern: re.Pattern[str]
    say: Callable[[re.Match[str]], str]


def rule(pattern: str, say: Callable[[re.Match[str]], str] | str) -> Rule:
    """Compile a rule; `say` is a function, or a constant replacement."""
    return Rule(re.compile(pattern), say if callable(say) else lambda match: say)


def apply(rules: Iterable[Rule], text: str) -> str:
    """Run all rules over a text."""
    for pattern, say in rules:
        text = pattern.sub(_spaced(say), text)
    return text


def any_of(texts: Iterable[str]) -> str:
    """Make a pattern that matches the longest possible one of the texts."""
    return "|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or NEVER


def reword(text: str, forms: dict[str, str]) -> str:
    """Replace the first of the patterns in `forms` that is found in a text, if any is."""
    for pattern, replacement in forms.items():
        spoken, count = re.subn(pattern, replacement, text)
        if count:
            return spoken
    return text


def _spaced(say: Callable[[re.Match[str]], str]) -> Callable[[re.Match[str]], str]:
    """Put spaces between the replacement and the letters and digits around the match."""

    def replace(match: re.Match[str]) -> str:
        words, text = say(match), match.string
        if words == match[0]:
            return words
        before, after = text[: match.start()][-1:], text[match.end() :][:1]
        apart = not words.startswith(" ") and (before.isalnum() or before == match[0])
        return " " * apart + words + " " * (after.isalnum() and not words.endswith(" "))

    return replace
