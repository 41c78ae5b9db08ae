"""Runs of token ids, one for each sequence, of text that is whole or arrives piece by piece.

Both kinds of runs have the same words. A run ends with a punctuation mark, as without one a voice stops in mid-word.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import NamedTuple

from codec.tts.text.normalise import Reader, Reading
from codec.tts.text.phonemes import PhonemeStream, spoken_words, to_phonemes
from codec.tts.text.tokenizer import TextError, TextTokenizer, check_text

MIN_CHARS, MAX_CHARS = 60, 200  # of a run: it ends with a sentence between the two, or at the maximum
_CLOSERS = "\"')"
_MARKS = ".,;:!?…।۔؟،؛。！？，、；："  # noqa: RUF001


@dataclass(frozen=True)
class Silence:
    """A pause between two runs, requested by the text."""

    seconds: float


class Run(Iterator[int]):
    """Ids of one sequence, and where its words begin.

    Args:
        ids: read one by one.
        words: the first id and the text of each word, as far as it was read; after the last one, their number and "".
    """

    def __init__(self, ids: Iterator[int], words: list[tuple[int, str]]) -> None:
        self.words, self._ids = words, ids

    def __next__(self) -> int:
        return next(self._ids)


def text_pieces(text: str | Iterable[str]) -> Iterator[str]:
    """Check a text, whole or in pieces, and iterate over its pieces.

    Raises:
        TextError: the text cannot be read; for a piece, once it arrives.
    """
    if isinstance(text, str):
        check_text(text)
        return iter([text])
    if isinstance(text, bytes | bytearray | memoryview):
        raise TextError(f"text: {type(text).__name__}; decode it first: text.decode('utf-8')")
    if isinstance(text, AsyncIterable):
        raise TextError(
            f"text: {type(text).__name__}, which is asynchronous; gather it first, ''.join([piece async for piece in "
            "text]), or hand its pieces to an iterator in a thread, through a queue.Queue"
        )
    if not isinstance(text, Iterable):
        raise TextError(f"text: {type(text).__name__} {text!r}; expected a string, or an iterable of strings")
    return _checked(iter(text))


def sentence_ids(
    pieces: Iterable[str], language: str, tokenizer: TextTokenizer, phonemes: bool = False
) -> Iterator[list[int] | Silence]:
    """Yield the ids of each sentence once its text is complete; skip sentences without a letter or digit."""
    text = ""
    for reading in _readings(pieces, language):
        if reading.silence:
            yield Silence(reading.silence)
        text += reading.text + " " * (not reading.is_cut)
        while len(text.rstrip()) > MAX_CHARS:
            place = _last_pause(text)
            yield from _ids(text[:place].rstrip(), ",", language, tokenizer, phonemes)
            text = text[place:].lstrip()
        if reading.is_end:
            yield from _ids(text.rstrip(), ".", language, tokenizer, phonemes)
            text = ""


def word_ids(
    pieces: Iterable[str], language: str, tokenizer: TextTokenizer, phonemes: bool = False
) -> Iterator[Run | Silence]:
    """Yield runs of ids, each word by word while the text arrives; exhaust a run before taking the next.

    A word is read once no later text can change its reading: in plain text with the next word, "5" with what may be
    its unit. Phonemes wait for no more than that, unless the next word leaves open how a word is stressed.
    """
    words = _Words(pieces, language)
    waiting: list[_Word] = []
    for word in words:
        waiting.append(word)
        if any(c.isalnum() for c in word.text):  # a run needs a letter or digit
            places: list[tuple[int, str]] = []
            yield Run(_run_ids(_run_text(waiting, words, language, phonemes), places, tokenizer), places)
            waiting = []
        elif word.is_end:
            waiting = []
        if words.silence:
            yield Silence(words.silence)
            words.silence = 0.0


def _readings(pieces: Iterable[str], language: str) -> Iterator[Reading]:
    reader = Reader(language)
    for piece in pieces:
        yield from reader.push(piece)
    yield from reader.flush()


def _ids(text: str, mark: str, language: str, tokenizer: TextTokenizer, phonemes: bool) -> Iterator[list[int]]:
    """Yield the ids of a sentence or a part of it, if it has a letter or digit."""
    if any(c.isalnum() for c in text):
        text = _marked(text, mark)
        yield tokenizer.encode(to_phonemes(text, language) if phonemes else text)


def _last_pause(text: str) -> int:
    """Find where to cut a sentence that is too long: after a mark, else at a space, else anywhere."""
    head = text[: MAX_CHARS + 1]
    marks = [place for place in range(1, len(head)) if head[place].isspace() and head[place - 1] in _MARKS]
    return marks[-1] if marks else max(head.rfind(" "), 0) or MAX_CHARS


def _marked(text: str, mark: str) -> str:
    """End a text with a mark, unless it has one."""
    return text if text.rstrip(_CLOSERS).endswith(tuple(_MARKS)) else text + mark


class _Word(NamedTuple):
    text: str  # "" where a sentence ends with no word
    is_end: bool  # of a sentence
    following: str  # the word after it, if known


class _Words(Iterator[_Word]):
    def __init__(self, pieces: Iterable[str], language: str) -> None:
        self.silence = 0.0  # seconds, after the last word
        self._words = self._read(pieces, language)

    def __next__(self) -> _Word:
        return next(self._words)

    def _read(self, pieces: Iterable[str], language: str) -> Iterator[_Word]:
        for reading in _readings(pieces, language):
            self.silence += reading.silence
            words = reading.text.split() or [""]
            yield from (_Word(word, False, following) for word, following in pairwise(words))
            yield _Word(words[-1], reading.is_end, reading.next_word)


def _run_ids(
    spoken: Iterator[tuple[str, list[str]]], places: list[tuple[int, str]], tokenizer: TextTokenizer
) -> Iterator[int]:
    n_ids = 0
    for text, words in spoken:
        ids = tokenizer.encode(text)
        places += [(n_ids, word) for word in words]
        yield from ids
        n_ids += len(ids)
    places.append((n_ids, ""))


def _run_text(first: list[_Word], words: _Words, language: str, phonemes: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield the text of one run, in pieces that are encoded one by one, and the words that begin with each."""
    stream = _SpokenWords(language) if phonemes else None
    n_chars, last, is_end = 0, "", False
    for word, is_end, following in chain(first, words):
        if word:
            for spoken, begun in stream.push(word, following) if stream else [(word, [word])]:
                yield f" {spoken}" if last else spoken, begun
                last = spoken
            n_chars += 1 + len(word)
        if words.silence or n_chars >= MAX_CHARS or (is_end and n_chars >= MIN_CHARS):
            break
    for spoken, begun in stream.flush() if stream else []:
        yield f" {spoken}" if last else spoken, begun
        last = spoken
    yield _marked(last, "." if is_end else ",")[len(last) :], []


class _SpokenWords:
    """Phonemes of words that arrive one by one, and the words that begin with each piece of them.

    A piece may hold two words, as of "of the", and a word may have several pieces.
    """

    def __init__(self, language: str) -> None:
        self._language, self._stream = language, PhonemeStream(language)
        self._words: deque[str] = deque()  # of which no piece has come
        self._n_more = 0  # pieces of the last word

    def push(self, word: str, following: str) -> list[tuple[str, list[str]]]:
        self._words.append(word)
        return self._with_words(self._stream.push(word, following))

    def flush(self) -> list[tuple[str, list[str]]]:
        return self._with_words(self._stream.flush())

    def _with_words(self, pieces: list[str]) -> list[tuple[str, list[str]]]:
        pairs = [(piece, self._take(piece)) for piece in pieces]
        if pairs and self._stream.is_empty:  # whatever was miscounted
            pairs[-1][1].extend(self._words)
            self._words.clear()
            self._n_more = 0
        return pairs

    def _take(self, piece: str) -> list[str]:
        if self._n_more or not self._words:
            self._n_more = max(self._n_more - 1, 0)
            return []
        n_words, self._n_more = spoken_words(piece, tuple(self._words)[:2], self._language)
        return [self._words.popleft() for _ in range(n_words)]


def _checked(pieces: Iterator[str]) -> Iterator[str]:
    for piece in pieces:
        if not isinstance(piece, str):
            raise TextError(f"text: a piece of it is {type(piece).__name__} {piece!r}; expected strings")
        yield piece
