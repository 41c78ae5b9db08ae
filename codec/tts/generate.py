"""The frame loop: many requests side by side, each at its own place in its own sequence."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from codec.tokens.layout import END
from codec.tts.heads.base import HeadSampling
from codec.tts.model import TTSModel, end_frame
from codec.tts.sampling import Sampling, draw_semantic
from codec.tts.sequence import NONE, Step, speech, voice_prefix
from codec.tts.text import SpecialIds

SLACK_FRAMES = 25  # that a text of any length may last
CAPACITY = 256  # steps that a fresh loop has room for; doubled whenever they do not suffice


@dataclass
class Stream:
    """A request in the making."""

    steps: Iterator[Step]
    sampling: Sampling
    generator: torch.Generator
    frame: Tensor  # [K] int64, tokens of the last one
    semantic: list[int] = field(default_factory=list)  # tokens so far
    n_text: int = 0  # ids of the text that have been read

    def chunk(self) -> list[Step]:
        """The steps up to the one from which the next frame is predicted."""
        steps = []
        for step in self.steps:
            steps.append(step)
            self.n_text += step.text != NONE
            if step.predicts:
                break
        return steps

    @property
    def limit(self) -> int:
        """Frames after which speech is cut."""
        return min(self.sampling.max_frames, SLACK_FRAMES + math.ceil(self.sampling.frames_per_id * self.n_text))


@dataclass(frozen=True)
class Prefix:
    """A voice as the backbone remembers it, to begin requests with: computed once, used by many."""

    kv: Tensor  # [n_layers, 2, 1, Hkv, T, head_dim]


class FrameLoop:
    """Up to `n_slots` requests at a time; each `advance` gives every one of them its next frame.

    A request's frames depend on its own settings and seed, not on its neighbours. A slot is free again
    once its request has ended.

    Args:
        model: the network, shared with other loops; all state is kept here.
        special: the text tokenizer's markers.
        n_slots: how many requests fit.
    """

    def __init__(self, model: TTSModel, special: SpecialIds, n_slots: int = 1) -> None:
        self.model, self.special = model, special
        self.streams: list[Stream | None] = [None] * n_slots
        self.lengths = [0] * n_slots  # steps of each slot's stream, as in the state
        self.state = model.init_state(n_slots, CAPACITY)

    @property
    def free(self) -> list[int]:
        """Slots without a request."""
        return [slot for slot, stream in enumerate(self.streams) if stream is None]

    @torch.inference_mode()
    def prefix(self, codes: Tensor) -> Prefix:
        """Read a voice's codes `[K, T]`."""
        tokens = torch.cat([codes.T.cpu() + self.model.layout.n_special, end_frame(len(codes))[None]])
        steps = list(voice_prefix(self.special, len(tokens)))
        text, frames = self._blank(1, len(steps))
        text[0] = torch.tensor([step.text for step in steps])
        frames[0, torch.tensor([step.hears for step in steps])] = tokens
        state = self.model.init_state(1, len(steps))
        _, state = self.model.backbone.step(self._embed(text, frames), state)
        return Prefix(state.kv)

    @torch.inference_mode()
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
        steps = speech(self.model.config.sequence, self.special, ids)
        generator = torch.Generator().manual_seed(sampling.seed)
        self.streams[slot] = Stream(steps, sampling, generator, end_frame(self.model.config.num_codebooks))
        n_steps = prefix.kv.shape[4]
        self.lengths[slot] = n_steps
        self._make_room(0)
        self.state.kv[:, :, slot, :, :n_steps] = prefix.kv[:, :, 0]
        self.state.length[slot] = n_steps

    @torch.inference_mode()
    def advance(self) -> dict[int, Tensor | None]:
        """The next frame of every request: its codes `[K]` int64 by slot, or None where the audio has ended.

        Warns when a request is cut at its `max_frames`.
        """
        active = {slot: stream for slot, stream in enumerate(self.streams) if stream is not None}
        chunks = {slot: stream.chunk() for slot, stream in active.items()}
        if not chunks:
            return {}
        h = self._hidden(chunks)
        frames = self._draw(h, list(active.values()), [chunk[-1].may_end for chunk in chunks.values()])
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

    @torch.inference_mode()
    def stop(self, slot: int) -> None:
        """Free a slot, whatever its request was about to say."""
        self.streams[slot] = None
        self.lengths[slot] = 0
        self.state.length[slot] = 0

    def _hidden(self, chunks: dict[int, list[Step]]) -> Tensor:
        """Read the next chunk of each slot; hidden states `[n, D]` of their last steps."""
        n_steps = max(map(len, chunks.values()))
        text, frames = self._blank(len(self.streams), n_steps)
        lengths = torch.zeros(len(self.streams), dtype=torch.int64)
        for slot, chunk in chunks.items():
            stream = self.streams[slot]
            assert stream is not None
            lengths[slot] = len(chunk)
            text[slot, : len(chunk)] = torch.tensor([step.text for step in chunk])
            for place, step in enumerate(chunk):
                if step.hears:
                    frames[slot, place] = stream.frame
        self._make_room(n_steps)
        slots = torch.tensor(list(chunks))
        device = self.model.device
        h, self.state = self.model.backbone.step(self._embed(text, frames), self.state, lengths.to(device))
        self.lengths = [have + n for have, n in zip(self.lengths, lengths.tolist(), strict=True)]
        return h[slots.to(device), (lengths[slots] - 1).to(device)]

    def _draw(self, h: Tensor, streams: list[Stream], may_end: list[bool]) -> Tensor:
        """Frames `[n, K]` on the CPU for hidden states `[n, D]`."""
        logits = self.model.semantic_logits(h).cpu()
        semantic = [
            draw_semantic(row, s.sampling, may and len(s.semantic) >= s.sampling.min_frames, s.semantic, s.generator)
            for row, s, may in zip(logits, streams, may_end, strict=True)
        ]
        head = self.model.acoustic_head
        noise = [head.draw(s.sampling.head, s.generator) for s in streams]
        codes = torch.empty(len(streams), self.model.config.acoustic_dim, dtype=torch.int64)
        groups: dict[HeadSampling, list[int]] = {}
        for i, s in enumerate(streams):
            groups.setdefault(s.sampling.head, []).append(i)
        for sampling, rows in groups.items():
            drawn = torch.stack([noise[i] for i in rows]).to(h.device)
            codes[rows] = head.sample(h[rows], drawn, sampling).cpu()
        return self.model.frame(torch.tensor(semantic), codes)

    def _blank(self, batch_size: int, n_steps: int) -> tuple[Tensor, Tensor]:
        """Text `[B, S]` and frames `[B, S, K]` of steps at which nothing is read."""
        shape = (batch_size, n_steps)
        return torch.full(shape, NONE), torch.full((*shape, self.model.config.num_codebooks), NONE)

    def _embed(self, text: Tensor, frames: Tensor) -> Tensor:
        return self.model.embed(text.to(self.model.device), frames.to(self.model.device))

    def _make_room(self, n_steps: int) -> None:
        """See that every stream can take `n_steps` more."""
        needed = max(self.lengths) + n_steps
        capacity = self.state.capacity
        while capacity < needed:
            capacity *= 2
        if capacity > self.state.capacity:
            self.state = self.state.grown(capacity)
