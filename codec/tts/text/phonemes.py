"""What a model reads of a text: its words, or their phonemes: IPA by espeak-ng, through the phonemizer package."""

from __future__ import annotations

import logging
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from codec.tts.text.normalise import normalise

_QUIET = logging.getLogger(f"{__name__}.phonemizer")
_QUIET.setLevel(logging.ERROR)


def as_read(text: str, language: str, phonemes: bool) -> str:
    """Any text as a model reads it that was trained with or without phonemes; raises as `normalise`, `to_phonemes`."""
    text = normalise(text, language)
    return to_phonemes(text, language) if phonemes and text else text


def to_phonemes(text: str, language: str) -> str:
    """Normalised text -> IPA with stress marks; punctuation and spaces between words stay.

    Args:
        language: a BCP-47 tag; "en" alone is American English. A region that espeak-ng lacks counts for nothing.

    Raises:
        ImportError: phonemizer is not installed.
        OSError: espeak-ng is not installed.
        ValueError: espeak-ng does not speak the language.
    """
    return _backend(language).phonemize([text], strip=True)[0]


@lru_cache
def _backend(language: str) -> Any:
    try:
        from phonemizer.backend import EspeakBackend
        from phonemizer.backend.espeak.wrapper import EspeakWrapper
    except ImportError as error:
        raise ImportError("phonemes need phonemizer: pip install phonemizer espeakng-loader") from error
    if find_spec("espeakng_loader"):  # one version for all, whatever the system has
        import espeakng_loader

        EspeakWrapper.set_library(espeakng_loader.get_library_path())
        EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    if not EspeakBackend.is_available():
        raise OSError("phonemes need espeak-ng: pip install espeakng-loader, or install it, e.g. apt install espeak-ng")
    return EspeakBackend(
        _voice(language, set(EspeakBackend.supported_languages())),
        preserve_punctuation=True,
        with_stress=True,
        language_switch="remove-flags",
        logger=_QUIET,  # it warns of every word that is pronounced as in another language
    )


def _voice(language: str, voices: set[str]) -> str:
    """espeak-ng's name of a language: some have one with and some without a region."""
    tag = language.replace("_", "-").lower()
    primary = tag.partition("-")[0]
    for name in (tag, "en-us" if primary == "en" else primary, f"{primary}-{primary}"):
        if name in voices:
            return name
    raise ValueError(f"language {language!r}: espeak-ng has no such voice; expected one of {', '.join(sorted(voices))}")
