"""The speech loop: requests of any length side by side, sentence by sentence, joining and leaving at any frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from codec.tokenizer import Tokenizer
from codec.tokens.layout import END
from codec.tts.accelerate import Mode
from codec.tts.generate import FrameLoop, PausedSequence, Prefix
from codec.tts.model import TTSModel
from codec.tts.sampling import Sampling
from codec.tts.sequence import NOT_YET
from codec.tts.text.feed import Run, Silence
from codec.tts.text.tokenizer import SpecialIds
from codec.tts.timing import Word, WordClock
from codec.tts.voices import Voice

CONTEXT_FRAMES = 25  # of the speech so far, at most, which the next sequence reads after the voice
SETTLING_FRAMES = 8  # of silence, after which the codec's codes of it no longer change
MAX_PREFIXES = 16  # voices whose keys and values are kept


@dataclass(eq=False)
class Request:
    """One text in one voice, spoken in one or more sequences."""

    sequences: Iterator[Iterable[int] | Silence | int]  # the only int is NOT_YET
    voice: Voice
    sampling: Sampling
    has_speech: bool = False  # whether there was a text to speak
    context: Tensor | None = None  # codes [K, n] of its last frames, for the next sequence
    was_cut: bool = False
    n_silent: int = 0  # frames before the next sequence
    n_frames: int = 0  # so far, silent ones among them
    clock: WordClock | None = None  # of the sequence, where the model knows its place in the text
    is_stalled: bool = False  # whether the text that is due is not there yet
    paused: PausedSequence | None = None  # its sequence, while it has no slot
    is_done: bool = False  # nothing follows
    error: Exception | None = None  # which ended it


class Part(NamedTuple):
    """The next codes of a request; none where it is done."""

    slot: int
    request: Request
    codes: Tensor  # [K, n] int64
    words: Sequence[Word] = ()  # that end with them


class SpeechCache:
    """What all loops over one model share: keys and values of voices, and the codes of silence.

    Args:
        codec: whose codes the model predicts.
    """

    def __init__(self, codec: Tokenizer) -> None:
        self.codec = codec
        self._prefixes: dict[str, Prefix] = {}
        self._silent_frame: Tensor | None = None

    @property
    def silent_frame(self) -> Tensor | None:
        """Codes `[K, 1]` of a silent frame; None where the codec cannot encode it."""
        if self._silent_frame is None and self.codec.model.has_encoder:
            c = self.codec.config
            quiet = torch.zeros(SETTLING_FRAMES * c.hop_length, dtype=torch.float32)
            self._silent_frame = self.codec.encode(quiet, c.sample_rate).codes[0, :, -1:].cpu()
        return self._silent_frame

    def prefill(self, loop: FrameLoop, voice: Voice) -> Prefix:
        """Keys and values of a voice, computed only once."""
        key = voice.provenance.sha256 + voice.provenance.created
        if key not in self._prefixes:
            if len(self._prefixes) == MAX_PREFIXES:
                del self._prefixes[next(iter(self._prefixes))]
            self._prefixes[key] = loop.prefill(voice.codes)
        return self._prefixes[key]


class SpeechLoop:
    """Up to `n_slots` requests at a time; others wait for a slot in the order in which they were submitted.

    A request keeps its slot until it is done or paused, has failed or is cancelled. What fails in one ends that one.

    Args:
        model: the network.
        special: the text tokenizer's markers.
        cache: shared with other loops in the same thread.
        n_slots: how many requests are spoken side by side.
        mode: see `FrameLoop`.
        packet_frames: see `FrameLoop`.
    """

    def __init__(
        self, model: TTSModel, special: SpecialIds, cache: SpeechCache, n_slots: int, mode: Mode, packet_frames: int
    ) -> None:
        self.cache = cache
        self.frames = FrameLoop(model, special, n_slots, mode, packet_frames)
        self.waiting: deque[Request] = deque()
        self.running: dict[int, Request] = {}  # by slot
        self.no_codes = torch.zeros(model.config.num_codebooks, 0, dtype=torch.int64)

    def submit(self, request: Request) -> None:
        """Speak a request as soon as there is a slot."""
        self.waiting.append(request)

    def cancel(self, slot: int) -> None:
        """Forget the request that is spoken in a slot; the slot is free."""
        del self.running[slot]
        self.frames.stop(slot)

    def pause(self, slot: int) -> None:
        """Take a request out of its slot, which is then free; submitted again, it goes on where it was."""
        request = self.running.pop(slot)
        request.paused = None if self.frames.streams[slot] is None else self.frames.pause(slot)

    def run(self) -> Iterator[Part]:
        """Speak all that was submitted.

        Raises:
            Exception: that of a request which failed.
        """
        while self.running or self.waiting:
            for part in self.advance():
                if part.request.error is not None:
                    raise part.request.error
                yield part

    def advance(self, paused: Collection[int] = (), n_frames: int | None = None) -> list[Part]:
        """The next frames of all requests but those in the slots `paused`, which stay as they are.

        At most `n_frames` of each, see `FrameLoop.advance`.
        """
        parts = [part for slot in self.frames.free if slot not in paused for part in self._next(slot)]
        streams = list(self.frames.streams)
        for slot, (codes, is_last) in self.frames.advance(paused, n_frames).items():
            request, stream = self.running[slot], streams[slot]
            assert stream is not None
            request.is_stalled = stream.is_stalled
            request.was_cut |= is_last and stream.semantic[-1] != END
            if codes.shape[1]:
                context = codes if request.context is None else torch.cat([request.context, codes], dim=1)
                request.context = context[:, -CONTEXT_FRAMES:]
                request.n_frames += codes.shape[1]
            words = request.clock.advance(stream.moves, request.n_frames, is_last) if request.clock else []
            if codes.shape[1] or words:
                parts.append(Part(slot, request, codes, words))
        return parts

    def _next(self, slot: int) -> Iterator[Part]:
        """Give a free slot its next sequence: of its request, else of the first that waits and has one."""
        while slot in self.running or self.waiting:
            request = self.running.pop(slot, None) or self.waiting.popleft()
            try:
                self._begin(slot, request)
            except Exception as error:
                request.is_done, request.error = True, error
            if not request.is_done:
                self.running[slot] = request
                n_silent, request.n_silent = request.n_silent, 0
                if n_silent:
                    assert self.cache.silent_frame is not None
                    request.n_frames += n_silent
                    yield from [Part(slot, request, self.cache.silent_frame)] * n_silent
                return
            yield Part(slot, request, self.no_codes)

    def _begin(self, slot: int, request: Request) -> None:
        """Go on with the request's sequence if it was paused, else start the next one if there is one."""
        if request.paused is not None:
            self.frames.resume(slot, request.paused)
            request.paused = None
            return
        ids = next(request.sequences, None)
        while isinstance(ids, Silence):
            if self.cache.silent_frame is not None:
                request.n_silent += round(ids.seconds * self.cache.codec.config.frame_rate)
            ids = next(request.sequences, None)
        request.is_done, request.is_stalled = ids is None, ids == NOT_YET
        if ids is None or isinstance(ids, int):
            return
        if request.context is not None:
            prefix = self.frames.prefill(request.voice.codes, request.context)
            request.sampling = replace(request.sampling, seed=request.sampling.seed + 1)
        else:
            prefix = self.cache.prefill(self.frames, request.voice)
        self.frames.start(slot, prefix, ids, request.sampling)
        request.has_speech = True
        request.clock = None
        if isinstance(ids, Run) and self.frames.model.move_head is not None:
            request.clock = WordClock(ids.words, request.n_frames + request.n_silent)
