"""A request on its way through the engine, and how it may end badly."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Sequence

from torch import Tensor

from codec.stream import PausedStream
from codec.tts.loop import Request
from codec.tts.timing import Word


class BusyError(RuntimeError):
    """The queue is full, or the engine is closing; `retry_after` says in how many seconds to ask again."""

    def __init__(self, reason: str, retry_after: int, is_closing: bool = False) -> None:
        super().__init__(f"{reason}; ask again in {retry_after} s")
        self.retry_after, self.is_closing = retry_after, is_closing


class DeadlineError(RuntimeError):
    """A request was not spoken in its time."""


class SpeechError(RuntimeError):
    """A request failed in the engine; the cause is logged."""


class Handle(AsyncIterator[Tensor]):
    """A request on its way: iterate over its packets `[n]` float32, in one event loop.

    Its packets may be of any number of samples; `n_text` ids were read, `n_samples` are made so far. `words` are those
    that have ended with the packets, if the model knows when; whoever reads them takes them out.

    Raises, from the iteration:
        DeadlineError: it took too long. SpeechError: it failed. BusyError: the engine was closed.
    """

    def __init__(self, request: Request, client: str, n_text: int, deadline: float, changed: threading.Condition):
        self.request, self.client, self.n_text, self.deadline = request, client, n_text, deadline
        self.n_samples = 0  # so far
        self.words: deque[Word] = deque()
        self.is_cancelled = False
        self.has_more = True  # whether text has come since it was last looked at
        self.decoder: PausedStream | None = None  # its state while the request has no slot
        self._changed = changed  # the engine's
        self._packets: deque[Tensor] = deque()
        self._is_ended = False
        self._error: Exception | None = None
        self._listener: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def cancel(self) -> None:
        """Leave: no packet follows, and the slot is free within one packet. Does nothing where all was spoken."""
        with self._changed:
            self.is_cancelled = True
            self._packets.clear()
            self._changed.notify_all()
            self._notify()

    @property
    def n_buffered(self) -> int:
        """Samples that wait for the reader."""
        return sum(map(len, self._packets))

    async def __anext__(self) -> Tensor:
        if self._listener is None:
            self._listener = asyncio.get_running_loop(), asyncio.Event()
        while True:
            event = self._listener[1]
            event.clear()
            with self._changed:
                if self._packets:
                    self._changed.notify_all()
                    return self._packets.popleft()
                if self._is_ended or self.is_cancelled:
                    if self._error is not None:
                        raise self._error
                    raise StopAsyncIteration
            await event.wait()

    def put(self, packet: Tensor, words: Sequence[Word] = ()) -> None:
        """Add a packet for the reader."""
        if self.is_cancelled:
            return
        self.words += words
        if len(packet):
            self.n_samples += len(packet)
            self._packets.append(packet)
            self._notify()

    def end(self, error: Exception | None = None) -> None:
        """No packet follows; the reader gets the error after those that are there."""
        self._is_ended, self._error = True, error
        self._notify()

    def _notify(self) -> None:
        if self._listener is not None:
            loop, event = self._listener
            with contextlib.suppress(RuntimeError):  # the reader's loop was closed
                loop.call_soon_threadsafe(event.set)
