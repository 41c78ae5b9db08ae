"""Text that is still being written, as the engine reads it: whatever is there, without waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

from codec.tts.loop import Request
from codec.tts.sampling import Sampling
from codec.tts.sequence import NOT_YET
from codec.tts.speech import TTS
from codec.tts.text.feed import Run, Silence
from codec.tts.text.tokenizer import TextError
from codec.tts.voices import Voice

T = TypeVar("T")


class OpenText:
    """One text of a request, read in a thread of its own until it is closed.

    Args:
        tts: the model that reads it.
        voice: who speaks.
        sampling: how frames are drawn.
        language: of the text.

    Raises:
        ValueError, MissingDependencyError: as of `TTS.stream`.
    """

    def __init__(self, tts: TTS, voice: Voice, sampling: Sampling, language: str) -> None:
        self.n_ids = 0  # that were read
        self.has_changed = False  # whether anything was read
        self.on_change: Callable[[], None] = lambda: None  # called whenever something was
        self._pieces: SimpleQueue[str | None] = SimpleQueue()
        sequences = tts.request(iter(self._pieces.get, None), voice, sampling, language).sequences
        self._read = _Inbox[Iterable[int] | Silence | int](self._notify)
        self.request = Request(self._read, voice, sampling, is_stalled=True)
        Thread(target=self._work, args=(sequences,), name="text", daemon=True).start()

    def append(self, piece: str) -> None:
        """Go on with the text."""
        self._pieces.put(piece)

    def close(self) -> None:
        """End the text, what was held back is read; does nothing if it has ended."""
        self._pieces.put(None)

    def _notify(self) -> None:
        self.has_changed = True
        self.on_change()

    def _work(self, sequences: Iterator[Iterable[int] | Silence | int]) -> None:
        try:
            for sequence in sequences:
                if not isinstance(sequence, Run):
                    self.n_ids += len(sequence) if isinstance(sequence, list) else 0
                    self._read.put(sequence)
                    continue
                ids = _Inbox[int](self._notify)
                self._read.put(Run(ids, sequence.words))
                for i in sequence:
                    self.n_ids += 1
                    ids.put(i)
                ids.close()
        except ValueError as error:  # of the text
            self._read.close(TextError(str(error)))
        except Exception as error:
            self._read.close(error)
        else:
            self._read.close()


class _Inbox(Iterator[T], Generic[T]):
    """Items from another thread; NOT_YET where the next one has not come."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._items: deque[T] = deque()
        self._on_change, self._is_closed = on_change, False
        self._error: Exception | None = None

    def put(self, item: T) -> None:
        self._items.append(item)
        self._on_change()

    def close(self, error: Exception | None = None) -> None:
        self._error, self._is_closed = error, True
        self._on_change()

    def __next__(self) -> T:
        is_closed = self._is_closed  # asked before the items: none follows them
        if self._items:
            return self._items.popleft()
        if not is_closed:
            return NOT_YET  # type: ignore[return-value]
        if self._error is not None:
            raise self._error
        raise StopIteration
