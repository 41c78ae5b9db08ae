"""Phonemes of normalised text: IPA by espeak-ng, through the phonemizer package."""

from __future__ import annotations

import logging
import re
from difflib import SequenceMatcher
from functools import lru_cache
from importlib.util import find_spec
from itertools import takewhile
from threading import Lock
from typing import Any

from codec.extras import MissingDependencyError, needs
from codec.tts.text.languages import primary_tag
from codec.tts.text.normalise import normalise

_MARKS = ';:,.!?¡¿—…"«»“”(){}[]'  # at which phonemizer splits text
# "A" as a letter, not the article: "Plan A works", "ten A M"; espeak-ng reads "A-" as the letter.
_LETTERS = {"en": re.compile(r"(?<=[\w,;:)'\"]\s)A(?=\s(?:[a-z]|[A-Z]\b))|\bA(?=\s[A-Z]\b)")}
_STRESSED = "banana"  # a word that is stressed in every language, and merges with no other

_ONE_AT_A_TIME = Lock()  # espeak-ng has one buffer for all threads
_QUIET = logging.getLogger(f"{__name__}.phonemizer")
_QUIET.setLevel(logging.ERROR)


def as_read(text: str, language: str, phonemes: bool) -> str:
    """Prepare a text for a model with or without phonemes; raises as `normalise` and `to_phonemes` do."""
    text = normalise(text, language)
    return to_phonemes(text, language) if phonemes and text else text


def to_phonemes(text: str, language: str) -> str:
    """Transcribe normalised text in IPA with stress marks; punctuation and spaces between words stay.

    Args:
        language: a BCP-47 tag; "en" alone is American English. A region that espeak-ng lacks is ignored.

    Raises:
        MissingDependencyError: phonemizer or espeak-ng is not installed.
        ValueError: espeak-ng does not speak the language.
    """
    return _phonemes(_with_letters(text, language), language)


class PhonemeStream:
    """`to_phonemes` for text that arrives word by word.

    The phonemes of a word depend on its neighbours up to the next mark, as in "of the" and "what for?"; they are
    returned once the next word is known, or a mark, unless they still depend on what follows that.

    Args:
        language: as for `to_phonemes`, with the same errors.
    """

    def __init__(self, language: str) -> None:
        self._language = language
        self._before = ""  # the word before these
        self._words: list[str] = []  # since the last mark
        self._returned: list[str] = []  # their phonemes, as far as returned

    @property
    def is_empty(self) -> bool:
        """Whether the phonemes of all words were returned."""
        return not self._words

    def push(self, word: str, following: str = "") -> list[str]:
        """Take one more word of normalised text, with its marks, and the one after it, if known.

        Returns:
            Phonemes, word by word.
        """
        out = self.flush() if word[0] in _MARKS else []
        self._words.append(word)
        if any(mark in word.lstrip(_MARKS) for mark in _MARKS):
            return out + self.flush()
        words = [*self._words, following] if following else self._words
        known, going_on = self._said(words), self._said([*words, _STRESSED])
        n_known = len(known) - len(_phonemes_alone(words[-1], self._language).split())
        pairs = zip(known[: max(n_known, 0)], going_on, strict=False)
        return out + self._take([word for word, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)])

    def flush(self) -> list[str]:
        """End the text; return the rest."""
        out = self._take(self._said(self._words))
        self._before = self._words[-1] if self._words else self._before
        self._words, self._returned = [], []
        return out

    def _said(self, words: list[str]) -> list[str]:
        """Phonemes of words after those that came before."""
        context = f"{self._before} " if self._before else ""
        text = _with_letters(context + " ".join(words), self._language)[len(context) :]
        return _phonemes(text, self._language).split()

    def _take(self, known: list[str]) -> list[str]:
        """Return the known phonemes without those that were returned before."""
        n_said = len(self._returned)
        if known[:n_said] != self._returned:  # a word has changed, and perhaps become one with the next
            spoken = "".join(self._returned)
            near = range(max(n_said - 1, 0), n_said + 2)
            n_said = max(near, key=lambda n: _likeness(spoken, "".join(known[:n])))
        if len(known) <= n_said:
            return []
        out, self._returned = known[n_said:], known
        return out


def spoken_words(piece: str, words: tuple[str, ...], language: str) -> tuple[int, int]:
    """Compare a piece of `PhonemeStream`'s with one or two words that it may be of.

    Returns:
        How many of the words are in it, 1 or 2, and how many more pieces the last of these has.
    """
    alone = [_phonemes_alone(word, language) for word in words]
    both = "".join(alone)
    n_words = 2 if len(words) == 2 and _likeness(piece, both) > _likeness(piece, alone[0]) else 1
    return n_words, 0 if n_words == 2 else alone[0].count(" ")


def check_phonemes(language: str) -> None:
    """Check that `to_phonemes` can speak a language; raises as it does."""
    _backend(language)


@lru_cache(4096)
def _phonemes_alone(word: str, language: str) -> str:
    return _phonemes(word, language)


def _likeness(a: str, b: str) -> float:
    return SequenceMatcher(None, a, b).ratio()


def _phonemes(text: str, language: str) -> str:
    with _ONE_AT_A_TIME:
        return str(_backend(language).phonemize([text], strip=True)[0]) if text else ""


def _with_letters(text: str, language: str) -> str:
    pattern = _LETTERS.get(primary_tag(language))
    return pattern.sub("A-", text) if pattern else text


@lru_cache
def _backend(language: str) -> Any:
    with needs("phonemizer", "text as phonemes", "phonemes"):
        from phonemizer.backend import EspeakBackend
        from phonemizer.backend.espeak.wrapper import EspeakWrapper
    if find_spec("espeakng_loader"):  # the same version on all systems
        import espeakng_loader

        EspeakWrapper.set_library(espeakng_loader.get_library_path())
        EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    if not EspeakBackend.is_available():
        raise MissingDependencyError("text as phonemes needs espeak-ng: pip install 'codec37[phonemes]'")
    return EspeakBackend(
        _voice(language, set(EspeakBackend.supported_languages())),
        preserve_punctuation=True,
        with_stress=True,
        language_switch="remove-flags",
        logger=_QUIET,  # without warnings about words of other languages
    )


def _voice(language: str, voices: set[str]) -> str:
    """espeak-ng's name of a language; some of its names have a region, others have none."""
    tag, primary = language.replace("_", "-").lower(), primary_tag(language)
    for name in (tag, "en-us" if primary == "en" else primary, f"{primary}-{primary}"):
        if name in voices:
            return name
    raise ValueError(f"language {language!r}: espeak-ng has no such voice; expected one of {', '.join(sorted(voices))}")
