"""Written text as a voice reads it: plain characters, and words for abbreviations, numbers and signs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from codec.tts.text.languages import LANGUAGES, primary_language
from codec.tts.text.numbers import spell

_QUOTES = {
    "'": "\u2018\u2019\u201a\u201b\u02bc\u2032`\u00b4\u2039\u203a",
    '"': "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033",
}
_HYPHENS = "\u2010\u2011\u2012\u2013\u2212"
_DASHES = "\u2014\u2015"
_PLAIN = str.maketrans(
    {quote: plain for plain, quotes in _QUOTES.items() for quote in quotes}
    | dict.fromkeys(_HYPHENS, "-")
    | dict.fromkeys(_DASHES, "\u2014")
    | {"\u066b": ".", "\u066c": ","}  # Arabic decimal and group signs
)
_START = r"(?<![^\W\d])(?<!\.)"  # an abbreviation starts a word, and is not the end of another one
_JOINERS = ("Cf", "Me")  # characters that only change their neighbours
# Controls, surrogates, private and unassigned characters, emoji and other signs; "°" and those with words come first.
_SILENT = ("Cc", "Cs", "Co", "Cn", "Sc", "Sk", "Sm", "So")


def normalise(text: str, language: str) -> str:
    """Text in NFKC for a voice to read: no digits, emoji, control characters or runs of whitespace.

    "Dr. Müller paid $5\u2026" becomes "Doctor Müller paid five dollars...". What is already plain stays as it is.

    Args:
        text: anything; the result may be empty.
        language: a BCP-47 tag whose first part is in `codec.tts.text.languages.LANGUAGES`, e.g. "en-US".

    Raises:
        ValueError: an unknown language, or digits in one whose numbers cannot be spelled.
    """
    primary = primary_language(language)
    text = _expand(_plain(text, primary), primary)
    text = unicodedata.normalize("NFKC", spell(text, language).replace("\u2014", " - "))
    text = "".join(" " if unicodedata.category(c) in _SILENT else c for c in text)
    return re.sub(r"\s+(?=[.,;:!?](?:\s|$))", "", " ".join(text.split()))


def _plain(text: str, primary: str) -> str:
    """NFKC but for "º" and "ª", with digits 0 to 9, plain quotes and hyphens, and without joiners."""
    language = LANGUAGES[primary]
    text = re.sub(r"(?<=\d)[\u00a0\u202f](?=\d{3})", "", text).translate(_PLAIN)
    text = re.sub(r"(?<=\d)(?=[½¼¾])", f" {language.symbols['&']} ", text)
    text = re.sub("[½¼¾]", lambda match: language.symbols[match[0]], text)
    text = "".join(" " + c if unicodedata.category(c) == "No" else c for c in text)  # 10² is not 102
    text = re.sub("[^ºª]+", lambda match: unicodedata.normalize("NFKC", match[0]), text).translate(_PLAIN)
    text = re.sub(r"\d", lambda match: str(unicodedata.decimal(match[0])), text)
    kept = (c for c in text if unicodedata.category(c) not in _JOINERS and not "\ufe00" <= c <= "\ufe0f")
    return " ".join(unicodedata.normalize("NFC", "".join(kept)).split())


def _expand(text: str, primary: str) -> str:
    """Words for abbreviations; a full stop stays where the abbreviation is likely to end the sentence."""
    language = LANGUAGES[primary]
    closing = {_compact(short) for short in language.closing}

    def word_and_stop(match: re.Match[str], word: str) -> str:
        following = match.string[match.end() : match.end() + 2].strip()
        ends = not following or (_compact(match[0]) in closing and following.isupper())
        return word + "." * (ends and match[0].endswith("."))

    text = _replace(text, language.before_number, rf"{_START}(?:%s)(?=\s?\d)", lambda _, word: word + " ")
    text = _replace(text, language.after_number, r"(?<=\d)\s?(?:%s)(?!\w)", lambda _, word: " " + word)
    return _replace(text, language.abbreviations | language.closing, rf"{_START}(?:%s)(?!\w)", word_and_stop)


def _replace(text: str, table: dict[str, str], pattern: str, say: Callable[[re.Match[str], str], str]) -> str:
    """Say the words for the table's short forms, also at the start of a sentence, where `pattern` % them matches."""
    if not table:
        return text
    table = table | {_capital(short): _capital(word) for short, word in table.items() if short[0].islower()}
    words = {_compact(short): word for short, word in table.items()}
    shorts = (re.escape(short).replace(r"\ ", r"\s?") for short in sorted(table, key=len, reverse=True))
    return re.sub(pattern % "|".join(shorts), lambda match: say(match, words[_compact(match[0])]), text)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _compact(short: str) -> str:
    return short.replace(" ", "")
