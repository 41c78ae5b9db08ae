"""The engine: one thread with one speech loop, which requests join and leave at any frame.

What a request may cost others is bounded. It waits in a queue of `max_waiting`, in turn with those of other clients.
Its packets wait for its reader in a buffer of `buffer_seconds`; once that is full, the request is paused until there is
room again, and the others go on; so is one whose text is still being written and has nothing more to say for now. While
others wait for a slot, those that are paused have none. After `max_seconds` a request is ended, read or not.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from codec.serve.handle import BusyError, DeadlineError, Handle, SpeechError
from codec.serve.open_text import OpenText
from codec.settings import PositiveFloat, PositiveInt, Settings
from codec.stream import DecoderStream
from codec.tokens.tokens import Tokens, pad_codes
from codec.tts.loop import Request, SpeechLoop
from codec.tts.speech import NOTHING_TO_SAY, TTS
from codec.tts.text.feed import Silence
from codec.tts.text.tokenizer import TextError
from codec.tts.timing import Word

CHECK_SECONDS = 0.5  # between looks at deadlines while nothing else happens

_Packet = tuple[Request, Tensor, list[Word]]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits(Settings):
    """What the engine takes on.

    Raises:
        ValueError: a number is not positive; the message names it.
    """

    n_slots: PositiveInt = 8  # requests that are spoken side by side
    max_waiting: PositiveInt = 32  # requests in the queue
    max_sessions: PositiveInt = 64  # connections for text that is still being written
    buffer_seconds: PositiveFloat = 30.0  # of audio that wait for a request's reader
    max_seconds: PositiveFloat = 300.0  # from asking to the last packet
    packet_frames: PositiveInt = 4  # of a packet, at most, of models without audio history


class Engine:
    """Speak requests side by side in a thread of its own, from `Engine(...)` to `close`.

    Args:
        tts: the voice model; its methods may be used in other threads, too.
        limits: what is taken on.
    """

    def __init__(self, tts: TTS, limits: Limits | None = None) -> None:
        self.tts, self.limits = tts, limits or Limits()
        self._changed = threading.Condition()
        self._queues: dict[str, deque[Handle]] = {}  # those that wait, by client; the first client is next
        self._running: dict[Request, Handle] = {}  # those that have a slot
        self._paused: list[Handle] = []  # those that have none until they can go on
        self._closes_at = float("inf")
        self.has_failed = False  # and works no more
        self._renew()
        self._thread = threading.Thread(target=self._run, name="speech", daemon=True)
        self._thread.start()

    @property
    def n_waiting(self) -> int:
        """Requests in the queue."""
        return sum(map(len, self._queues.values()))

    @property
    def n_running(self) -> int:
        """Requests in slots."""
        return len(self._running)

    @property
    def n_paused(self) -> int:
        """Requests without a slot whose text or reader is behind."""
        return len(self._paused)

    @property
    def is_open(self) -> bool:
        """Whether requests are taken."""
        return self._thread.is_alive() and self._closes_at == float("inf")

    def submit(self, request: Request, client: str = "") -> Handle:
        """Queue a request of a whole text, which is read here, in the caller's thread.

        Args:
            request: of `TTS.request`.
            client: those who wait are served in turn, each in the order of its own requests.

        Raises:
            TextError: nothing to say. BusyError: the queue is full, or the engine is closing.
        """
        self._admit()
        sequences = [s if isinstance(s, Silence | int) else list(s) for s in request.sequences]
        n_text = sum(len(s) for s in sequences if isinstance(s, list))
        if not n_text:
            raise TextError(NOTHING_TO_SAY)
        request.sequences = iter(sequences)
        handle = self._handle(request, client, n_text)
        with self._changed:
            self._admit()
            self._queue(handle)
        return handle

    def submit_open(self, text: OpenText, client: str = "") -> Handle:
        """Speak a text while it is written, from its first words; arguments and errors as of `submit`."""
        handle = self._handle(text.request, client, 0)

        def note() -> None:
            with self._changed:
                handle.n_text, handle.has_more = text.n_ids, True
                self._changed.notify_all()

        handle.has_more = False
        with self._changed:
            self._admit()
            self._paused.append(handle)
        text.on_change = note
        if text.has_changed:
            note()
        return handle

    def close(self, timeout: float = 0.0) -> None:
        """Take no more requests, speak those that are there for at most `timeout` seconds, and end."""
        with self._changed:
            self._closes_at = time.monotonic() + timeout
            self._changed.notify_all()
        self._thread.join()

    def _handle(self, request: Request, client: str, n_text: int) -> Handle:
        return Handle(request, client, n_text, time.monotonic() + self.limits.max_seconds, self._changed)

    def _queue(self, handle: Handle) -> None:
        self._queues.setdefault(handle.client, deque()).append(handle)
        self._changed.notify_all()

    def _admit(self) -> None:
        if not self.is_open:
            raise BusyError("the server is closing", 5, is_closing=True)
        if self.n_waiting >= self.limits.max_waiting:
            raise BusyError(f"{self.n_waiting} requests are waiting", 1 + self.n_waiting // self.limits.n_slots)

    def _renew(self) -> None:
        """Fresh slots."""
        n_slots = self.limits.n_slots
        self._loop: SpeechLoop = self.tts.loop(n_slots, self.limits.packet_frames)
        self._decoder: DecoderStream = self.tts.codec.decoder_stream(n_slots)

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            log.exception("the engine failed; all requests end, and it takes no more")
            with self._changed:
                self.has_failed, self._closes_at = True, time.monotonic()
                for handle in (*self._running.values(), *self._paused, *chain(*self._queues.values())):
                    handle.end(_failed(error))

    def _work(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                self._drop(now)
                if not (self._running or self._queues or self._paused) and self._closes_at < float("inf"):
                    return
                self._queue_resumed()
                self._pause_for_others()
                self._admit_waiting()
                paused = self._paused_slots()
                if len(paused) == len(self._running):  # all, or there are none
                    self._changed.wait(CHECK_SECONDS)
                    continue
                for slot, request in self._loop.running.items():
                    self._running[request].has_more &= slot in paused
                n_frames = self._packet_frames(paused)
            try:
                packets, ended = self._step(paused, n_frames)
            except Exception as error:
                log.exception("a step failed; all requests in it end")
                packets, ended = [], dict.fromkeys(self._running, error)
                self._renew()
            with self._changed:
                for request, packet, words in packets:
                    self._running[request].put(packet, words)
                for request, cause in ended.items():
                    self._running.pop(request).end(None if cause is None else _failed(cause))

    def _drop(self, now: float) -> None:
        """End those that left, are late, or stand in the way of closing."""
        for queue in self._queues.values():
            for handle in [handle for handle in queue if self._is_over(handle, now)]:
                queue.remove(handle)
        self._queues = {client: queue for client, queue in self._queues.items() if queue}
        self._paused = [handle for handle in self._paused if not self._is_over(handle, now)]
        for slot, request in list(self._loop.running.items()):
            if self._is_over(self._running[request], now):
                self._loop.cancel(slot)
                self._decoder.reset(slot)
                del self._running[request]

    def _is_over(self, handle: Handle, now: float) -> bool:
        """Whether a request is to be dropped; then its reader is notified."""
        if handle.is_cancelled:
            handle.end()
        elif now > handle.deadline:
            handle.end(DeadlineError(f"not spoken within {self.limits.max_seconds:g} s; send less text at once"))
        elif now > self._closes_at:
            handle.end(BusyError("the server is closing", 5, is_closing=True))
        else:
            return False
        return True

    def _queue_resumed(self) -> None:
        """Let those wait for a slot again that can go on."""
        resumed = [handle for handle in self._paused if self._can_go_on(handle, self.limits.buffer_seconds / 2)]
        for handle in resumed:
            self._paused.remove(handle)
            self._queue(handle)

    def _pause_for_others(self) -> None:
        """Free slots of those that cannot go on, as many as are waited for."""
        n_needed = self.n_waiting - (self.limits.n_slots - len(self._running))
        for slot in sorted(self._paused_slots())[: max(n_needed, 0)]:
            handle = self._running.pop(self._loop.running[slot])
            self._loop.pause(slot)
            handle.decoder = self._decoder.pause(slot)
            self._paused.append(handle)

    def _admit_waiting(self) -> None:
        """Fill free slots, a request of each client in turn."""
        while self._queues and len(self._running) < self.limits.n_slots:
            client, queue = next(iter(self._queues.items()))
            handle = queue.popleft()
            del self._queues[client]
            if queue:
                self._queues[client] = queue  # behind all others
            self._running[handle.request] = handle
            self._loop.submit(handle.request)

    def _paused_slots(self) -> set[int]:
        """The slots of requests that cannot go on."""
        running = self._loop.running.items()
        return {slot for slot, r in running if not self._can_go_on(self._running[r], self.limits.buffer_seconds)}

    def _can_go_on(self, handle: Handle, buffer_seconds: float) -> bool:
        has_room = handle.n_buffered < buffer_seconds * self.tts.sample_rate
        return has_room and (handle.has_more or not handle.request.is_stalled)

    def _packet_frames(self, paused: set[int]) -> int:
        """Frames of the next packets: no more than each listener has got before, as first packets have to come soon."""
        waiting = {self._loop.running[slot] for slot in paused}
        n_samples = min(handle.n_samples for request, handle in self._running.items() if request not in waiting)
        return min(max(n_samples // self.tts.codec.config.hop_length, 1), self.limits.packet_frames)

    def _step(self, paused: set[int], n_frames: int) -> tuple[list[_Packet], dict[Request, Exception | None]]:
        """The next packets of at most `n_frames`, and the requests that are done or failed."""
        parts = self._loop.advance(paused, n_frames)
        packets: list[_Packet] = []
        ended: dict[Request, Exception | None] = {}
        for slot, request, *_ in parts:  # those that are done come before who follows in their slots
            if request.is_done:
                self._resume_decoder(slot, request)
                packets.append((request, self._decoder.flush(slot)[slot].cpu(), []))
                ended[request] = request.error
        codes = [[self._loop.no_codes] for _ in range(self.limits.n_slots)]
        words: list[list[Word]] = [[] for _ in range(self.limits.n_slots)]
        for slot, _, new, spoken in parts:
            codes[slot].append(new)
            words[slot] += spoken
        for slot, request in self._loop.running.items():
            self._resume_decoder(slot, request)
        waveforms = self._decode([torch.cat(c, dim=1) for c in codes])
        packets += [(request, waveforms[slot], words[slot]) for slot, request in self._loop.running.items()]
        return packets, ended

    def _resume_decoder(self, slot: int, request: Request) -> None:
        handle = self._running[request]
        if handle.decoder is not None:
            self._decoder.resume(slot, handle.decoder)
            handle.decoder = None

    def _decode(self, codes: list[Tensor]) -> list[Tensor]:
        """Codes `[K, n_i]` of each slot to waveforms `[n_i * hop_length]`, none or more."""
        c = self.tts.codec.config
        n_samples = torch.tensor([n.shape[1] * c.hop_length for n in codes])
        waveforms = self._decoder.push(Tokens(pad_codes(codes), n_samples, c.sample_rate, c.hop_length))
        return [waveform.cpu() for waveform in waveforms]


def _failed(cause: BaseException) -> Exception:
    if isinstance(cause, TextError):  # its author's
        return cause
    log.error("a request failed", exc_info=cause)
    return SpeechError("the request failed in the engine; see the server's log")
