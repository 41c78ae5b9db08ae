"""Written text as a voice reads it, at once or as it arrives: no markup, and words for all that is no word."""

from __future__ import annotations

from typing import NamedTuple

from codec.tts.text.languages import primary_language
from codec.tts.text.markup import Markup, silence
from codec.tts.text.sentences import Part, SentenceSplitter
from codec.tts.text.wording import readable, tidy, wording


class Reading(NamedTuple):
    """Some words as they are read, perhaps none."""

    text: str
    is_end: bool  # of a sentence
    is_cut: bool  # in the middle of a word
    silence: float = 0.0  # seconds, after it


class Reader:
    """Text that arrives piece by piece, in words: the same ones, whatever the pieces.

    No more is kept back than what the next words could change: of plain text one word.

    Args:
        language: a BCP-47 tag whose first part is in `codec.tts.text.languages.LANGUAGES`, e.g. "en-US".

    Raises:
        ValueError: an unknown language; of the methods, digits in one whose numbers cannot be spelled.
    """

    def __init__(self, language: str) -> None:
        self._language = language
        self._markup, self._splitter = Markup(), SentenceSplitter(primary_language(language))

    def push(self, piece: str) -> list[Reading]:
        """More text; returns what of it is sure."""
        text = self._markup.push(readable(piece))
        return self._read(self._splitter.push(text, self._markup.is_between))

    def flush(self) -> list[Reading]:
        """There is no more text; returns the rest, which ends a sentence."""
        return self._read(self._splitter.push(self._markup.flush()) + self._splitter.flush())

    def _read(self, parts: list[Part]) -> list[Reading]:
        return [self._reading(part) for part in parts]

    def _reading(self, part: Part) -> Reading:
        if seconds := silence(part.text):
            return Reading("", part.is_end, part.is_cut, seconds)
        text = part.text if part.is_plain else wording(part.text, self._language, part.is_end)
        return Reading(text, part.is_end, part.is_cut)


def normalise(text: str, language: str) -> str:
    """Text in NFKC for a voice to read: no markup, digits, emoji, control characters or runs of whitespace.

    "Dr. Müller paid **$5**\u2026" becomes "Doctor Müller paid five dollars...". What is already plain stays as it is.

    Args:
        text: anything; the result may be empty.
        language: a BCP-47 tag whose first part is in `codec.tts.text.languages.LANGUAGES`, e.g. "en-US".

    Raises:
        ValueError: an unknown language, or digits in one whose numbers cannot be spelled.
    """
    reader = Reader(language)
    return joined(reader.push(text) + reader.flush())


def joined(readings: list[Reading]) -> str:
    """Their text, with spaces between words."""
    texts = (reading.text + " " * (not reading.is_cut and reading.text != "") for reading in readings)
    return tidy("".join(texts).rstrip())
