"""The frame loop: many requests side by side, each at its own place in its own sequence."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from codec.tokens.layout import END
from codec.tts.accelerate import Accelerated, Mode
from codec.tts.backbone import State, grow
from codec.tts.heads.base import HeadSampling
from codec.tts.model import TTSModel, as_frames, end_frame
from codec.tts.sampling import Sampling, draw_moves, draw_semantic
from codec.tts.sequence import NONE, NOT_YET, WAIT, Step, speech_steps, text_ids, voice_steps
from codec.tts.text.tokenizer import SpecialIds

SLACK_FRAMES = 25  # that a text of any length may last
CAPACITY = 256  # steps that a fresh loop has room for; doubled whenever they do not suffice


@dataclass
class Stream:
    """State of a request that is being generated."""

    sampling: Sampling
    generator: torch.Generator
    frame: Tensor  # [K] int64, the last one
    steps: Iterator[Step] = field(init=False)
    n_text: int = 0  # ids of the text that have been read
    semantic: list[int] = field(default_factory=list)  # semantic tokens so far
    moves: list[int] = field(default_factory=list)  # how far the text went on after each frame, if that is predicted
    is_stalled: bool = False  # whether the text that is due is not there yet
    _unread: list[Step] = field(default_factory=list)  # steps before it

    def next_steps(self) -> list[Step]:
        """The steps up to the one from which the next frame is predicted; none while the stream is stalled."""
        for step in self.steps:
            self.is_stalled = step is WAIT
            if self.is_stalled:
                return []
            self._unread.append(step)
            if step.predicts_frame:
                break
        steps, self._unread = self._unread, []
        return steps

    def count_text(self, ids: Iterable[int]) -> Iterator[int]:
        """The ids of the text, as they are read."""
        for i in ids:
            self.n_text += i != NOT_YET
            yield i

    @property
    def limit(self) -> int:
        """Frames after which speech is cut."""
        return min(self.sampling.max_frames, SLACK_FRAMES + math.ceil(self.sampling.frames_per_id * self.n_text))


class PendingFrame(NamedTuple):
    """A frame whose acoustic codes have not been drawn."""

    h: Tensor  # [D], hidden state
    semantic: int  # semantic token
    noise: Tensor  # of the acoustic head


class Frames(NamedTuple):
    """The next frames of a request."""

    codes: Tensor  # [K, n] int64
    is_last: bool  # whether the audio ends with them


@dataclass(frozen=True)
class Prefix:
    """Keys and values of a voice, with which requests begin: computed once, used by many."""

    kv: Tensor  # [n_layers, 1, T, 2 * Hkv, head_dim]


class PausedSequence(NamedTuple):
    """A request outside of its slot, with all that it takes to go on."""

    stream: Stream
    kv: Tensor  # as of `Prefix`


class FrameLoop:
    """Up to `n_slots` requests at a time; each `advance` gives every one of them its next frames.

    A request's frames depend on its own settings and seed, not on its neighbours. A slot is free again
    once its request has ended.

    A model without audio history (`SequenceConfig.audio_history`) predicts a frame before the acoustic head has drawn
    the last one, which then draws many at once in little more time than one.

    Args:
        model: the network, shared with other loops; all state is kept here.
        special: the text tokenizer's markers.
        n_slots: how many requests fit.
        mode: how single steps are run, see `codec.tts.accelerate`.
        packet_frames: frames of a request in one `advance`, at most, without audio history; else 1.
    """

    def __init__(
        self, model: TTSModel, special: SpecialIds, n_slots: int = 1, mode: Mode = "eager", packet_frames: int = 1
    ) -> None:
        self.model, self.special = model, special
        self.packet_frames = 1 if model.config.sequence.has_audio_history else packet_frames
        self.streams: list[Stream | None] = [None] * n_slots
        self.lengths = [0] * n_slots  # steps of each slot's stream so far
        self.kv = model.backbone.init_state(n_slots, CAPACITY).kv
        self._read = Accelerated(partial(_read, model), mode)
        self._sample = Accelerated(partial(_sample, model), mode)

    @property
    def free(self) -> list[int]:
        """Slots without a request."""
        return [slot for slot, stream in enumerate(self.streams) if stream is None]

    @torch.no_grad()
    def prefill(self, voice: Tensor, before: Tensor | None = None) -> Prefix:
        """Read a voice's codes `[K, T]`, no more of them than in training, and those `[K, T']` just before."""
        codes = self.model.trim_voice(voice)
        codes = codes if before is None else torch.cat([codes, before], dim=1)
        shifted = as_frames(codes.cpu())
        steps = list(voice_steps(self.special, len(shifted)))
        text, frames = self._blank(1, len(steps))
        text[0] = text_ids(steps, text.shape[2])
        frames[0, torch.tensor([step.reads_frame for step in steps])] = shifted
        state = self.model.backbone.init_state(1, len(steps))
        x = self.model.embed(text.to(self.model.device), frames.to(self.model.device))
        _, state = self.model.backbone.step(x, state)
        return Prefix(state.kv)

    @torch.no_grad()
    def start(self, slot: int, prefix: Prefix, ids: Iterable[int], sampling: Sampling) -> None:
        """Put a request into a free slot.

        Args:
            slot: which.
            prefix: the voice.
            ids: of the text; may be an iterator over text that is still to come, see `speech_steps`.
            sampling: the request's settings.

        Raises:
            ValueError: the slot is taken.
        """
        generator = torch.Generator().manual_seed(sampling.seed)
        stream = Stream(sampling, generator, end_frame(self.model.config.num_codebooks))
        stream.steps = speech_steps(self.model.config.sequence, self.special, stream.count_text(ids), stream.moves)
        self.resume(slot, PausedSequence(stream, prefix.kv))

    def pause(self, slot: int) -> PausedSequence:
        """Take a request out of its slot, which is then free."""
        stream = self.streams[slot]
        assert stream is not None
        paused = PausedSequence(stream, self.kv[:, slot : slot + 1, : self.lengths[slot]].clone())
        self.stop(slot)
        return paused

    def resume(self, slot: int, paused: PausedSequence) -> None:
        """Put a paused request into a free slot; it goes on as if it had not been paused.

        Raises:
            ValueError: the slot is taken.
        """
        if self.streams[slot] is not None:
            raise ValueError(f"slot {slot} is taken; the free ones are {self.free}")
        self.streams[slot] = paused.stream
        self.lengths[slot] = paused.kv.shape[2]
        self._make_room(0)
        self.kv[:, slot, : self.lengths[slot]] = paused.kv[:, 0]

    @torch.no_grad()
    def advance(self, paused: Collection[int] = (), n_frames: int | None = None) -> dict[int, Frames]:
        """The next frames of every request, by slot; none of one whose audio has ended before them.

        Those in the slots `paused` wait, and those whose text is not there yet. `n_frames` may be fewer than
        `packet_frames`.

        Warns when a request is cut at its limit, see `Sampling`.
        """
        streams = self._active(paused)
        pending: dict[int, list[PendingFrame]] = {slot: [] for slot in streams}
        for _ in range(min(n_frames or self.packet_frames, self.packet_frames)):
            for slot, frame in self._predict(paused).items():
                if self._continues(slot):
                    pending[slot].append(frame)
                else:
                    self.stop(slot)
        frames = self._draw_acoustic(
            [(frame, streams[slot].sampling.head) for slot, new in pending.items() for frame in new]
        )
        results = {}
        for (slot, stream), part in zip(streams.items(), frames.split([*map(len, pending.values())]), strict=True):
            if len(part):
                stream.frame = part[-1]
            results[slot] = Frames((part - self.model.layout.n_special).T, self.streams[slot] is None)
        return results

    def stop(self, slot: int) -> None:
        """Free a slot, whether its request has ended or not."""
        self.streams[slot] = None
        self.lengths[slot] = 0

    def _hidden(self, chunks: dict[int, list[Step]]) -> tuple[Tensor, Tensor]:
        """Read the next chunk of each slot; hidden states `[B, D]` of their last steps, and semantic logits."""
        n_steps = max(map(len, chunks.values()))
        n_rows = 1 + max(chunks) if self._read.mode == "eager" else len(self.streams)  # others are made for one shape
        text, frames = self._blank(n_rows, n_steps)
        lengths = torch.zeros(n_rows, dtype=torch.int64)
        for slot, chunk in chunks.items():
            stream = self.streams[slot]
            assert stream is not None
            lengths[slot] = len(chunk)
            text[slot, : len(chunk)] = text_ids(chunk, text.shape[2])
            for place, step in enumerate(chunk):
                if step.reads_frame:
                    frames[slot, place] = stream.frame
        self._make_room(n_steps)
        read_frames = [frames] if (frames != NONE).any() else []
        tensors = [t.to(self.model.device) for t in (text, torch.tensor(self.lengths[:n_rows]), lengths, *read_frames)]
        for slot, chunk in chunks.items():
            self.lengths[slot] += len(chunk)
        kv = self.kv[:, :n_rows]
        if n_steps > 1:  # of any length: not worth a compilation
            return _read(self.model, kv, *tensors)
        return self._read(tensors, kv, key=kv.data_ptr())

    def _active(self, paused: Collection[int]) -> dict[int, Stream]:
        """The requests that are not paused, by slot."""
        return {slot: s for slot, s in enumerate(self.streams) if s is not None and slot not in paused}

    def _predict(self, paused: Collection[int]) -> dict[int, PendingFrame]:
        """The next frame of every request, without its acoustic codes; its text goes on after it."""
        streams = self._active(paused)
        chunks = {slot: steps for slot, stream in streams.items() if (steps := stream.next_steps())}
        if not chunks:
            return {}
        active = {slot: streams[slot] for slot in chunks}
        h, logits = self._hidden(chunks)
        slots = torch.tensor(list(active), device=h.device)
        h = h[slots]
        semantic = draw_semantic(
            logits[slots],
            [s.sampling for s in active.values()],
            [chunks[slot][-1].may_end and len(s.semantic) >= s.sampling.min_frames for slot, s in active.items()],
            [s.semantic for s in active.values()],
            torch.stack([torch.rand(2, generator=s.generator, dtype=torch.float32) for s in active.values()]),
        ).tolist()
        noise = [self.model.acoustic_head.draw(s.sampling.head, s.generator) for s in active.values()]
        self._move_text(h, active)
        for stream, token in zip(active.values(), semantic, strict=True):
            stream.semantic.append(token)
        return dict(zip(active, map(PendingFrame, h, semantic, noise), strict=True))

    def _continues(self, slot: int) -> bool:
        """Whether the last semantic token of a request is that of a frame, not its end."""
        stream = self.streams[slot]
        assert stream is not None
        if stream.semantic[-1] == END:
            return False
        if len(stream.semantic) > stream.limit:
            warnings.warn(
                f"speech did not end by itself: cut after {stream.limit} frames for {stream.n_text} text ids "
                "(Sampling.max_frames, frames_per_id); try another seed or a lower temperature",
                stacklevel=3,
            )
            return False
        return True

    def _draw_acoustic(self, pending: list[tuple[PendingFrame, HeadSampling]]) -> Tensor:
        """Draw the acoustic codes of n pending frames: frames `[n, K]` on the CPU."""
        c = self.model.config
        if not pending:
            return torch.empty(0, c.num_codebooks, dtype=torch.int64)
        semantic = torch.tensor([frame.semantic for frame, _ in pending])
        h = torch.stack([frame.h for frame, _ in pending])
        h = self.model.condition(h, semantic.to(h.device))
        codes = torch.empty(len(pending), c.acoustic_dim, dtype=torch.int64)
        groups: dict[HeadSampling, list[int]] = {}
        for place, (_, sampling) in enumerate(pending):
            groups.setdefault(sampling, []).append(place)
        for sampling, members in groups.items():
            tensors = [h[members], torch.stack([pending[place][0].noise for place in members]).to(h.device)]
            if self._sample.mode != "eager":  # made for one shape
                fill = len(self.streams) * self.packet_frames - len(members)
                tensors = [F.pad(t, (0, 0) * (t.ndim - 1) + (0, fill)) for t in tensors]
            codes[members] = self._sample(tensors, sampling, key=sampling)[: len(members)].cpu()
        return self.model.make_frames(semantic, codes)

    def _move_text(self, h: Tensor, streams: dict[int, Stream]) -> None:
        """Go on in the texts of the n streams, for their hidden states `[n, D]`, if the design needs it."""
        if self.model.move_head is None:
            return
        logits = self.model.move_head(h).float()
        uniforms = torch.stack([torch.rand(1, generator=s.generator, dtype=torch.float32) for s in streams.values()])
        moves = draw_moves(logits, [s.sampling for s in streams.values()], uniforms)
        for s, move in zip(streams.values(), moves.tolist(), strict=True):
            s.moves.append(move)

    def _blank(self, batch_size: int, n_steps: int) -> tuple[Tensor, Tensor]:
        """Text `[B, S, W]` and frames `[B, S, K]` of steps at which nothing is read."""
        c = self.model.config
        shape = (batch_size, n_steps)
        return torch.full((*shape, c.sequence.text_width), NONE), torch.full((*shape, c.num_codebooks), NONE)

    def _make_room(self, n_steps: int) -> None:
        """See that every stream can take `n_steps` more."""
        capacity = self.kv.shape[2]
        while capacity < max(self.lengths) + n_steps:
            capacity *= 2
        if capacity > self.kv.shape[2]:
            self.kv = grow(self.kv, capacity)


class SequenceRequest(NamedTuple):
    """A sequence to generate; the arguments of `FrameLoop.start`."""

    prefix: Prefix
    ids: Iterable[int]
    sampling: Sampling


class GeneratedFrames(NamedTuple):
    """The frames of one sequence."""

    codes: Tensor  # [K, T] int64
    ended: bool  # by itself, not by its limit
    moves: list[int]  # how far the text went on after each frame, if the model predicts that


def generate_frames(loop: FrameLoop, requests: Iterable[SequenceRequest]) -> list[GeneratedFrames]:
    """Generate the frames of each request, in as many slots as the loop has."""
    waiting = enumerate(requests)
    running: dict[int, tuple[int, Stream | None, list[Tensor]]] = {}
    results: dict[int, GeneratedFrames] = {}
    while True:
        for slot, (number, request) in zip(loop.free, waiting, strict=False):  # more are waiting than are free
            loop.start(slot, *request)
            running[slot] = number, loop.streams[slot], []
        if not running:
            return [results[number] for number in range(len(results))]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "speech did not end")  # that is a candidate like others
            frames = loop.advance()
        for slot, (new, is_last) in frames.items():
            number, stream, codes = running[slot]
            codes.append(new)
            if is_last:
                assert stream is not None
                whole = torch.cat(codes, dim=1)
                results[number] = GeneratedFrames(whole, stream.semantic[-1] == END, stream.moves[: whole.shape[1]])
                del running[slot]


def _read(
    model: TTSModel, kv: Tensor, text: Tensor, starts: Tensor, lengths: Tensor, frames: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Read `lengths` `[B]` steps after `starts` `[B]`: the last hidden states `[B, D]` and their semantic logits."""
    h, _ = model.backbone.step(model.embed(text, frames), State(starts, kv), lengths)
    h = h[torch.arange(len(h), device=h.device), (lengths - 1).clamp(min=0)]
    return h, model.semantic_logits(h)


def _sample(model: TTSModel, sampling: HeadSampling, h: Tensor, noise: Tensor) -> Tensor:
    """Acoustic codes `[B, acoustic_dim]`."""
    return model.acoustic_head.sample(h, noise, sampling)
