"""Text, whole or arriving piece by piece, as the runs of ids that one sequence each speaks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from codec.tts.text.phonemes import as_read
from codec.tts.text.sentences import SentenceSplitter
from codec.tts.text.tokenizer import TextTokenizer

MIN_CHARS, MAX_CHARS = 60, 200  # of a run; between the two it ends with a sentence, at the latest at the longest
_SPACES = re.compile(r"\s")
SENTENCE_ENDS = (".", "!", "?", "…", '."', '!"', '?"')


def sentence_ids(
    pieces: Iterable[str], language: str, tokenizer: TextTokenizer, phonemes: bool = False
) -> Iterator[list[int]]:
    """Ids of each sentence, once its text is complete; sentences without a letter or digit are left out."""
    splitter = SentenceSplitter(MAX_CHARS)
    arrived = chain.from_iterable(splitter.push(piece) for piece in pieces)
    for sentence in chain(arrived, _late(splitter)):
        text = as_read(sentence, language, phonemes)
        if any(c.isalnum() for c in text):
            yield tokenizer.encode(text)


def word_ids(
    pieces: Iterable[str], language: str, tokenizer: TextTokenizer, phonemes: bool = False
) -> Iterator[Iterator[int]]:
    """Runs of ids, each read word by word while the text arrives; exhaust a run before taking the next.

    Words are normalised one by one, so what only several of them show, such as "5 km", is read as it stands.
    """
    read = (as_read(word, language, phonemes) for word in _words(pieces))
    words = (word for word in read if any(c.isalnum() for c in word))
    for first in words:
        yield _run(first, words, tokenizer)


def _run(first: str, words: Iterator[str], tokenizer: TextTokenizer) -> Iterator[int]:
    n_chars = 0
    for word in chain([first], words):
        yield from tokenizer.encode(f" {word}" if n_chars else word)
        n_chars += 1 + len(word)
        if n_chars >= MAX_CHARS or (n_chars >= MIN_CHARS and word.endswith(SENTENCE_ENDS)):
            return


def _words(pieces: Iterable[str]) -> Iterator[str]:
    """Words as soon as the space after them has arrived."""
    rest = ""
    for piece in pieces:
        rest += piece
        whole, _, rest = _SPACES.sub(" ", rest).rpartition(" ")
        yield from whole.split()
    yield from rest.split()


def _late(splitter: SentenceSplitter) -> Iterator[str]:
    """What is left once all has arrived: asked for only then."""
    yield from splitter.flush()
