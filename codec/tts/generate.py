"""The frame loop: many requests side by side, each at its own place in its own sequence."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from codec.tokens.layout import END
from codec.tts.accelerate import Accelerated, Mode
from codec.tts.backbone import State, grow
from codec.tts.heads.base import HeadSampling
from codec.tts.model import TTSModel, end_frame
from codec.tts.sampling import Sampling, draw_moves, draw_semantic
from codec.tts.sequence import NONE, Step, speech, voice_prefix, window
from codec.tts.text.tokenizer import SpecialIds

SLACK_FRAMES = 25  # that a text of any length may last
CAPACITY = 256  # steps that a fresh loop has room for; doubled whenever they do not suffice


@dataclass
class Stream:
    """A request in the making."""

    sampling: Sampling
    generator: torch.Generator
    frame: Tensor  # [K] int64, tokens of the last one
    steps: Iterator[Step] = field(init=False)
    n_text: int = 0  # ids of the text that have been read
    semantic: list[int] = field(default_factory=list)  # tokens so far
    moves: list[int] = field(default_factory=list)  # how far the text went on after each frame, if that is predicted

    def chunk(self) -> list[Step]:
        """The steps up to the one from which the next frame is predicted."""
        steps = []
        for step in self.steps:
            steps.append(step)
            if step.predicts:
                break
        return steps

    def count(self, ids: Iterable[int]) -> Iterator[int]:
        """The ids of the text, as they are read."""
        for i in ids:
            self.n_text += 1
            yield i

    @property
    def limit(self) -> int:
        """Frames after which speech is cut."""
        return min(self.sampling.max_frames, SLACK_FRAMES + math.ceil(self.sampling.frames_per_id * self.n_text))


@dataclass(frozen=True)
class Prefix:
    """A voice as the backbone remembers it, to begin requests with: computed once, used by many."""

    kv: Tensor  # [n_layers, 1, T, 2 * Hkv, head_dim]


class FrameLoop:
    """Up to `n_slots` requests at a time; each `advance` gives every one of them its next frame.

    A request's frames depend on its own settings and seed, not on its neighbours. A slot is free again
    once its request has ended.

    Args:
        model: the network, shared with other loops; all state is kept here.
        special: the text tokenizer's markers.
        n_slots: how many requests fit.
        mode: how single steps are run, see `codec.tts.accelerate`.
    """

    def __init__(self, model: TTSModel, special: SpecialIds, n_slots: int = 1, mode: Mode = "eager") -> None:
        self.model, self.special = model, special
        self.streams: list[Stream | None] = [None] * n_slots
        self.lengths = [0] * n_slots  # steps of each slot's stream so far
        self.kv = model.init_state(n_slots, CAPACITY).kv
        self._read = Accelerated(partial(_read, model), mode)
        self._sample = Accelerated(partial(_sample, model), mode)

    @property
    def free(self) -> list[int]:
        """Slots without a request."""
        return [slot for slot, stream in enumerate(self.streams) if stream is None]

    @torch.no_grad()
    def prefix(self, voice: Tensor, before: Tensor | None = None) -> Prefix:
        """Read a voice's codes `[K, T]`, no more of them than in training, and those `[K, T']` spoken just before."""
        codes = self.model.heard(voice)
        codes = codes if before is None else torch.cat([codes, before], dim=1)
        tokens = torch.cat([codes.T.cpu() + self.model.layout.n_special, end_frame(len(codes))[None]])
        steps = list(voice_prefix(self.special, len(tokens)))
        text, frames = self._blank(1, len(steps))
        text[0] = window(steps, text.shape[2])
        frames[0, torch.tensor([step.hears for step in steps])] = tokens
        state = self.model.init_state(1, len(steps))
        x = self.model.embed(text.to(self.model.device), frames.to(self.model.device))
        _, state = self.model.backbone.step(x, state)
        return Prefix(state.kv)

    @torch.no_grad()
    def start(self, slot: int, prefix: Prefix, ids: Iterable[int], sampling: Sampling) -> None:
        """Put a request into a free slot.

        Args:
            slot: which.
            prefix: the voice.
            ids: of the text; may be an iterator over text that is still to come.
            sampling: the request's settings.

        Raises:
            ValueError: the slot is taken.
        """
        if self.streams[slot] is not None:
            raise ValueError(f"slot {slot} is taken; the free ones are {self.free}")
        generator = torch.Generator().manual_seed(sampling.seed)
        stream = Stream(sampling, generator, end_frame(self.model.config.num_codebooks))
        stream.steps = speech(self.model.config.sequence, self.special, stream.count(ids), stream.moves)
        self.streams[slot] = stream
        self.lengths[slot] = prefix.kv.shape[2]
        self._make_room(0)
        self.kv[:, slot, : self.lengths[slot]] = prefix.kv[:, 0]

    @torch.no_grad()
    def advance(self) -> dict[int, Tensor | None]:
        """The next frame of every request: its codes `[K]` int64 by slot, or None where the audio has ended.

        Warns when a request is cut at its limit, see `Sampling`.
        """
        active = {slot: stream for slot, stream in enumerate(self.streams) if stream is not None}
        chunks = {slot: stream.chunk() for slot, stream in active.items()}
        if not chunks:
            return {}
        h, logits = self._hidden(chunks)
        frames = self._draw(h, logits, active, {slot: chunk[-1].may_end for slot, chunk in chunks.items()})
        self._move(h, active)
        results: dict[int, Tensor | None] = {}
        for (slot, stream), frame in zip(active.items(), frames, strict=True):
            stream.frame = frame
            stream.semantic.append(int(frame[0]))
            ended = stream.semantic[-1] == END
            results[slot] = None if ended else frame - self.model.layout.n_special
            if not ended and len(stream.semantic) > stream.limit:
                warnings.warn(
                    f"speech did not end by itself: cut after {stream.limit} frames for {stream.n_text} text ids "
                    "(Sampling.max_frames, frames_per_id); try another seed or a lower temperature",
                    stacklevel=2,
                )
                results[slot] = None
            if results[slot] is None:
                self.stop(slot)
        return results

    def stop(self, slot: int) -> None:
        """Free a slot, whatever its request was about to say."""
        self.streams[slot] = None
        self.lengths[slot] = 0

    def _hidden(self, chunks: dict[int, list[Step]]) -> tuple[Tensor, Tensor]:
        """Read the next chunk of each slot; hidden states `[B, D]` of their last steps, and semantic logits."""
        n_steps = max(map(len, chunks.values()))
        text, frames = self._blank(len(self.streams), n_steps)
        lengths = torch.zeros(len(self.streams), dtype=torch.int64)
        for slot, chunk in chunks.items():
            stream = self.streams[slot]
            assert stream is not None
            lengths[slot] = len(chunk)
            text[slot, : len(chunk)] = window(chunk, text.shape[2])
            for place, step in enumerate(chunk):
                if step.hears:
                    frames[slot, place] = stream.frame
        self._make_room(n_steps)
        tensors = [t.to(self.model.device) for t in (text, frames, torch.tensor(self.lengths), lengths)]
        self.lengths = [have + n for have, n in zip(self.lengths, lengths.tolist(), strict=True)]
        if n_steps > 1:  # of any length: not worth a compilation
            return _read(self.model, self.kv, *tensors)
        return self._read(tensors, self.kv, key=self.kv.data_ptr())

    def _draw(self, h: Tensor, logits: Tensor, streams: dict[int, Stream], may_end: dict[int, bool]) -> Tensor:
        """Frames `[n, K]` on the CPU of the n streams, for the hidden states `[B, D]` of all slots."""
        slots = torch.tensor(list(streams))
        semantic = draw_semantic(
            logits[slots.to(logits.device)],
            [s.sampling for s in streams.values()],
            [may_end[slot] and len(s.semantic) >= s.sampling.min_frames for slot, s in streams.items()],
            [s.semantic for s in streams.values()],
            torch.stack([torch.rand(2, generator=s.generator, dtype=torch.float32) for s in streams.values()]),
        )
        everywhere = torch.full((len(h),), END, device=h.device)
        everywhere[slots.to(h.device)] = semantic.to(h.device)
        h = self.model.condition(h, everywhere)
        codes = torch.empty(len(self.streams), self.model.config.acoustic_dim, dtype=torch.int64)
        groups: dict[HeadSampling, list[int]] = {}
        for slot, s in streams.items():
            groups.setdefault(s.sampling.head, []).append(slot)
        for sampling, members in groups.items():
            drawn = {slot: self.model.acoustic_head.draw(sampling, streams[slot].generator) for slot in members}
            nothing = torch.zeros_like(drawn[members[0]])
            noise = torch.stack([drawn.get(slot, nothing) for slot in range(len(self.streams))])
            codes[members] = self._sample([h, noise.to(h.device)], sampling, key=sampling)[members].cpu()
        return self.model.frame(semantic.cpu(), codes[slots])

    def _move(self, h: Tensor, streams: dict[int, Stream]) -> None:
        """Go on in the texts of the streams, for the hidden states `[B, D]` of all slots, if the design needs it."""
        if self.model.move_head is None:
            return
        logits = self.model.move_head(h[torch.tensor(list(streams), device=h.device)]).float()
        uniforms = torch.stack([torch.rand(1, generator=s.generator, dtype=torch.float32) for s in streams.values()])
        moves = draw_moves(logits, [s.sampling for s in streams.values()], uniforms)
        for s, move in zip(streams.values(), moves.tolist(), strict=True):
            s.moves.append(move)

    def _blank(self, batch_size: int, n_steps: int) -> tuple[Tensor, Tensor]:
        """Text `[B, S, W]` and frames `[B, S, K]` of steps at which nothing is read."""
        c = self.model.config
        shape = (batch_size, n_steps)
        return torch.full((*shape, c.sequence.window), NONE), torch.full((*shape, c.num_codebooks), NONE)

    def _make_room(self, n_steps: int) -> None:
        """See that every stream can take `n_steps` more."""
        capacity = self.kv.shape[2]
        while capacity < max(self.lengths) + n_steps:
            capacity *= 2
        if capacity > self.kv.shape[2]:
            self.kv = grow(self.kv, capacity)


class Request(NamedTuple):
    """A speech to make; the arguments of `FrameLoop.start`."""

    prefix: Prefix
    ids: Iterable[int]
    sampling: Sampling


class Candidate(NamedTuple):
    """A speech that was made, of one sequence."""

    codes: Tensor  # [K, T] int64
    ended: bool  # by itself, not by its limit
    moves: list[int]  # how far the text went on after each frame, if the model predicts that


def speak(loop: FrameLoop, requests: Iterable[Request]) -> list[Candidate]:
    """What the model says to each request, in as many slots as the loop has."""
    waiting = enumerate(requests)
    talking: dict[int, tuple[int, Stream | None, list[Tensor]]] = {}
    spoken: dict[int, Candidate] = {}
    while True:
        for slot, (number, request) in zip(loop.free, waiting, strict=False):  # more are waiting than are free
            loop.start(slot, *request)
            talking[slot] = number, loop.streams[slot], []
        if not talking:
            return [spoken[number] for number in range(len(spoken))]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "speech did not end")  # that is a candidate like others
            frames = loop.advance()
        for slot, frame in frames.items():
            number, stream, codes = talking[slot]
            if frame is not None:
                codes.append(frame)
                continue
            assert stream is not None
            ended, moves = stream.semantic[-1] == END, stream.moves[: len(codes)]
            spoken[number] = Candidate(torch.stack(codes, dim=1), ended, moves)
            del talking[slot]


def _read(
    model: TTSModel, kv: Tensor, text: Tensor, frames: Tensor, starts: Tensor, lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """Read `lengths` `[B]` steps after `starts` `[B]`: the last hidden states `[B, D]` and their semantic logits."""
    h, _ = model.backbone.step(model.embed(text, frames), State(starts, kv), lengths)
    h = h[torch.arange(len(h), device=h.device), (lengths - 1).clamp(min=0)]
    return h, model.semantic_logits(h)


def _sample(model: TTSModel, sampling: HeadSampling, h: Tensor, noise: Tensor) -> Tensor:
    """Acoustic codes `[B, acoustic_dim]`."""
    return model.acoustic_head.sample(h, noise, sampling)
