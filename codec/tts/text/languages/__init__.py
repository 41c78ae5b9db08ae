"""What the languages of the released TTS say for the signs of written text: a table, one file a language."""

from __future__ import annotations

from codec.tts.text.languages import ar, de, en, es, fr, hi, it, nl, pt
from codec.tts.text.languages.entry import Clock, Dates, Fractions, Language, Ordinals

LANGUAGES = {
    "en": en.ENTRY,
    "fr": fr.ENTRY,
    "es": es.ENTRY,
    "pt": pt.ENTRY,
    "it": it.ENTRY,
    "nl": nl.ENTRY,
    "de": de.ENTRY,
    "ar": ar.ENTRY,
    "hi": hi.ENTRY,
}

__all__ = ["LANGUAGES", "Clock", "Dates", "Fractions", "Language", "Ordinals", "primary_language", "primary_tag"]


def primary_language(tag: str) -> str:
    """The key in `LANGUAGES` of a BCP-47 tag in any case: "en" for "en-US".

    Raises:
        ValueError: a language that is not in the table, or no tag.
    """
    if not isinstance(tag, str):
        raise ValueError(f"language: {type(tag).__name__} {tag!r}; expected a tag such as 'en' or 'de-AT'")
    language = primary_tag(tag)
    if language not in LANGUAGES:
        raise ValueError(f"language {tag!r} is not known; expected one of {', '.join(LANGUAGES)}, with any region")
    return language


def primary_tag(tag: str) -> str:
    """The language of a tag without its region, script and variant."""
    return tag.replace("_", "-").partition("-")[0].lower()
