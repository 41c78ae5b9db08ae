"""Normalisation: written text as the words that a voice reads, whole or as it arrives."""

from __future__ import annotations

from typing import NamedTuple

from codec.tts.text.languages import primary_language
from codec.tts.text.markup import Markup, silence
from codec.tts.text.sentences import Part, SentenceSplitter
from codec.tts.text.wording import readable, tidy, wording


class Reading(NamedTuple):
    """Normalised words, perhaps none."""

    text: str
    is_end: bool  # of a sentence
    is_cut: bool  # in the middle of a word
    silence: float = 0.0  # seconds, after it
    next_word: str = ""  # of the next reading, if known; it may get a mark yet


class Reader:
    """Normalises text that arrives piece by piece; how it is cut changes nothing.

    It keeps back only what later words can change: of plain text one word.

    Args:
        language: a BCP-47 tag whose first part is in `codec.tts.text.languages.LANGUAGES`, e.g. "en-US".

    Raises:
        ValueError: an unknown language; of the methods, digits in one whose numbers cannot be spelled.
    """

    def __init__(self, language: str) -> None:
        self._language = language
        self._markup, self._splitter = Markup(), SentenceSplitter(primary_language(language))

    def push(self, piece: str) -> list[Reading]:
        """Take more text; return the readings that it completes."""
        text = self._markup.push(readable(piece))
        return list(map(self._read, self._splitter.push(text, self._markup.is_between)))

    def flush(self) -> list[Reading]:
        """End the text; return the rest, which ends a sentence."""
        return list(map(self._read, self._splitter.push(self._markup.flush()) + self._splitter.flush()))

    def _read(self, part: Part) -> Reading:
        if seconds := silence(part.text):
            return Reading("", part.is_end, part.is_cut, seconds)
        text, next_word = self._words(part.text, part.is_end), self._words(part.next_word)
        return Reading(text, part.is_end, part.is_cut, next_word=next_word)

    def _words(self, text: str, is_end: bool = False) -> str:
        return text if not text or self._splitter.is_normalised(text) else wording(text, self._language, is_end)


def normalise(text: str, language: str) -> str:
    """Normalise a text: NFKC without markup, digits, emoji, control characters or runs of whitespace.

    "Dr. Müller paid **$5**\u2026" becomes "Doctor Müller paid five dollars...". Normalised text stays as it is.

    Args:
        text: anything; the result may be empty.
        language: a BCP-47 tag whose first part is in `codec.tts.text.languages.LANGUAGES`, e.g. "en-US".

    Raises:
        ValueError: an unknown language, or digits in one whose numbers cannot be spelled.
    """
    reader = Reader(language)
    readings = reader.push(text) + reader.flush()
    texts = (reading.text + " " * (not reading.is_cut and reading.text != "") for reading in readings)
    return tidy("".join(texts).rstrip())
