"""When words are spoken, by a model that knows its place in the text at each frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Word(NamedTuple):
    """A word and the frames in which it is spoken."""

    text: str
    start: int  # first frame of the request
    end: int  # frame after the last one; `start` for a word that was passed over


class WordClock:
    """Follows one sequence through its text.

    Args:
        words: as of `codec.tts.text.feed.Run`; may still grow.
        start: first frame of the sequence, within its request.
    """

    def __init__(self, words: Sequence[tuple[int, str]], start: int) -> None:
        self._words, self._start, self._frame = words, start, start
        self._place = 0  # in the ids of the text
        self._n_begun = 0
        self._spoken: tuple[str, int] | None = None  # the word that is being spoken, and its first frame

    def advance(self, moves: Sequence[int], n_frames: int, is_last: bool) -> list[Word]:
        """Go on to the end of what was spoken.

        Args:
            moves: how far the text goes on after each frame of the sequence, from its first one.
            n_frames: of the request so far.
            is_last: whether the sequence ends with them.

        Returns:
            The words that have ended since the last call.
        """
        ended = []
        for move in moves[self._frame - self._start : n_frames - self._start]:
            ended += self._begin_words()
            self._frame += 1
            self._place += move
        return ended + self._begin_words() + self._end_word() if is_last else ended

    def _begin_words(self) -> list[Word]:
        ended = []
        while self._n_begun < len(self._words) and self._words[self._n_begun][0] <= self._place:
            ended += self._end_word()
            self._spoken = self._words[self._n_begun][1], self._frame
            self._n_begun += 1
        return ended

    def _end_word(self) -> list[Word]:
        spoken, self._spoken = self._spoken, None
        return [Word(*spoken, self._frame)] if spoken is not None and spoken[0] else []
