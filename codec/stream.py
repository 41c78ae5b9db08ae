"""Streams: push any number of samples and pull frames, push frames and pull samples; exactly as offline.

The network sees whole frames. A stream keeps what does not fill a frame yet, and, where a frame is
shorter than the first convolution's mirrored padding, waits for `config.lead_frames` at its start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from codec.audio.io import to_mono
from codec.model import Codec
from codec.nn.state import State
from codec.quant.base import NO_CODE
from codec.step import DecodeStep, EncodeStep, Step
from codec.tokens.tokens import Tokens, check_codes, pad_codes


class PausedStream(NamedTuple):
    """All that a stream remembers, outside of its place among others."""

    state: State  # a row of each tensor
    started: bool
    pending: Tensor
    owed: int


class _Streams:
    """B independent streams through `step`, `unit` rows of input to a frame."""

    def __init__(self, step: Step, batch_size: int, unit: int, empty: Tensor) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size = {batch_size}: expected at least 1")
        self.step, self.config, self.batch_size, self.unit = step, step.config, batch_size, unit
        self.state: State = step.init_state(batch_size)
        self.started = [False] * batch_size
        self.pending = [empty.to(step.device)] * batch_size  # input rows that fill no frame yet

    def reset(self, stream: int | None = None) -> None:
        """Forget stream number `stream` (all by default) and start it anew."""
        for i in self._chosen(stream):
            self.pending[i] = self.pending[i][:0]
            self.started[i] = False
        self.state[0] = self.state[0] * torch.tensor(self.started, device=self.state[0].device)

    def _drain(self) -> list[Tensor]:
        """Process every frame that is pending; returns the outputs `[n_i, ...]` of each stream."""
        outputs: list[list[Tensor]] = [[] for _ in range(self.batch_size)]
        lead = self.config.lead_frames
        while True:
            ready = [len(rows) // self.unit for rows in self.pending]
            needed = [1 if started else lead for started in self.started]
            active = [i for i in range(self.batch_size) if ready[i] >= needed[i]]
            if not active:
                return [self._joined(parts) for parts in outputs]
            n_frames = min(min(ready[i] for i in active), max(lead, self.step.chunk_frames // self.batch_size))
            active = [i for i in active if needed[i] <= n_frames]
            for i, y in zip(active, self._run(active, n_frames, None), strict=True):
                outputs[i].append(y)
                self.started[i] = True

    def _finish(self, stream: int | None) -> list[Tensor]:
        """Process what is pending as the end of the streams, and reset them."""
        outputs = [self._nothing()] * self.batch_size
        chosen = self._chosen(stream)
        active = [i for i in chosen if len(self.pending[i])]
        if active:
            n_frames = 1 if all(self.started[i] for i in active) else self.config.lead_frames
            lengths = [len(self.pending[i]) for i in active]
            y = self._run(active, n_frames, torch.tensor(lengths))
            for i, row, length in zip(active, y, lengths, strict=True):
                outputs[i] = row[: -(-length // self.unit)]
        self.reset(stream)
        return outputs

    def _run(self, active: list[int], n_frames: int, length: Tensor | None) -> Tensor:
        """Feed `n_frames` frames of the A active streams, zeros where there is less; returns `[A, n_frames, ...]`.

        Args:
            length: `[A]`, see `Step`.
        """
        size = n_frames * self.unit
        rows = []
        for i in active:
            missing = self.pending[i].new_zeros(max(size - len(self.pending[i]), 0), *self.pending[i].shape[1:])
            rows.append(torch.cat([self.pending[i][:size], missing]) if len(missing) else self.pending[i][:size])
            self.pending[i] = self.pending[i][size:]
        chunk, state = torch.stack(rows), self.state
        places = None if len(active) == self.batch_size else torch.tensor(active, device=chunk.device)
        if places is not None:
            state = [t[places] for t in state]
        y, *state = self.step(self._input(chunk), None if length is None else length.to(chunk.device), *state)
        if places is not None:
            state = [old.index_copy(0, places, new) for old, new in zip(self.state, state, strict=True)]
        self.state = state
        return self._rows(y)

    def _joined(self, parts: list[Tensor]) -> Tensor:
        """The outputs of a stream as one."""
        return parts[0] if len(parts) == 1 else torch.cat([self._nothing(), *parts])

    def _chosen(self, stream: int | None) -> range:
        if stream is None:
            return range(self.batch_size)
        if not 0 <= stream < self.batch_size:
            raise ValueError(f"stream = {stream}: expected 0 to {self.batch_size - 1}")
        return range(stream, stream + 1)

    def _input(self, rows: Tensor) -> Tensor:
        """Rows `[B, n * unit, ...]` as a step takes them."""
        return rows

    def _rows(self, y: Tensor) -> Tensor:
        """What a step gives as `[B, n, ...]`."""
        raise NotImplementedError

    def _nothing(self) -> Tensor:
        raise NotImplementedError


class EncoderStream(_Streams):
    """Waveform to tokens, a frame as soon as its samples are in.

    Args:
        codec: the model, or a step of it in any runtime; shared with other streams, all state is kept here.
        batch_size: number of independent streams.
        fingerprint: of the codec, for the tokens.

    Raises:
        MissingEncoderError: the codec has no encoder.
    """

    def __init__(self, codec: Codec | Step, batch_size: int = 1, fingerprint: str = "") -> None:
        step = EncodeStep(codec) if isinstance(codec, Codec) else codec
        super().__init__(step, batch_size, step.config.hop_length, torch.zeros(0, dtype=torch.float32))
        self.fingerprint = fingerprint

    @torch.no_grad()
    def push(self, samples: Tensor | NDArray | Sequence[Tensor | NDArray]) -> Tokens:
        """Add samples at `config.sample_rate` and get the frames they complete.

        Args:
            samples: one chunk `[n_i]` for each stream, each of any length, also none; float, int16 or
                int32. With one stream the chunk alone will do.

        Returns:
            The new frames, none or more for each stream.

        Raises:
            ValueError: not one chunk per stream; AudioError: a chunk of a wrong type, or not finite.
        """
        chunks = [samples] if self.batch_size == 1 and not isinstance(samples, list | tuple) else samples
        if len(chunks) != self.batch_size:
            raise ValueError(f"samples: {len(chunks)} chunks; expected {self.batch_size}, one per stream")
        rows = [to_mono(chunk, f"samples[{i}]").to(self.step.device) for i, chunk in enumerate(chunks)]
        self.pending = [torch.cat(pair) for pair in zip(self.pending, rows, strict=True)]
        frames = self._drain()
        return self._tokens(frames, [len(f) * self.unit for f in frames])

    @torch.no_grad()
    def flush(self, stream: int | None = None) -> Tokens:
        """End stream number `stream` (all by default): get its incomplete last frame, if any, and reset it."""
        chosen = self._chosen(stream)
        n_samples = [len(rows) if i in chosen else 0 for i, rows in enumerate(self.pending)]
        return self._tokens(self._finish(stream), n_samples)

    def _tokens(self, frames: list[Tensor], n_samples: list[int]) -> Tokens:
        c = self.config
        codes = pad_codes([f.T for f in frames])
        lengths = torch.tensor(n_samples, device=codes.device)
        return Tokens(codes, lengths, c.sample_rate, c.hop_length, self.fingerprint)

    def _rows(self, y: Tensor) -> Tensor:
        return y.transpose(1, 2)  # [B, n, K]

    def _nothing(self) -> Tensor:
        return torch.zeros(0, self.config.num_codebooks, dtype=torch.int64, device=self.step.device)


class DecoderStream(_Streams):
    """Tokens to waveform, `hop_length` samples for each frame at once.

    Args:
        codec: the model, or a step of it in any runtime; shared with other streams, all state is kept here.
        batch_size: number of independent streams.
    """

    def __init__(self, codec: Codec | Step, batch_size: int = 1) -> None:
        step = DecodeStep(codec) if isinstance(codec, Codec) else codec
        super().__init__(step, batch_size, 1, torch.zeros(0, step.config.num_codebooks, dtype=torch.int64))
        self.owed = [0] * batch_size  # samples that pushed tokens stand for and that have not come out

    @torch.no_grad()
    def push(self, tokens: Tokens | Tensor | NDArray) -> list[Tensor]:
        """Add frames and get their samples.

        Args:
            tokens: of all streams, none or more frames for each; or codes `[B, n_q, t]`. Any number of
                codebooks will do, and may change from push to push.

        Returns:
            One waveform `[n_i]` float32 for each stream.

        Raises:
            ValueError: wrong batch size, or codes out of range.
        """
        c = self.config
        if not isinstance(tokens, Tokens):
            tokens = Tokens.from_codes(tokens, c.sample_rate, c.hop_length)
        if len(tokens) != self.batch_size:
            raise ValueError(f"tokens: {len(tokens)} items; expected {self.batch_size}, one per stream")
        check_codes(tokens.codes, c.codebook_sizes)
        missing = c.num_codebooks - tokens.codes.shape[1]
        codes = F.pad(tokens.codes.to(self.step.device), (0, 0, 0, missing), value=NO_CODE).transpose(1, 2)
        for i, (n_frames, n_samples) in enumerate(zip(tokens.lengths.tolist(), tokens.n_samples.tolist(), strict=True)):
            self.pending[i] = torch.cat([self.pending[i], codes[i, :n_frames]])
            self.owed[i] += n_samples
        waveforms = [f.flatten()[:n].float() for f, n in zip(self._drain(), self.owed, strict=True)]
        self.owed = [n - len(w) for n, w in zip(self.owed, waveforms, strict=True)]
        return waveforms

    @torch.no_grad()
    def flush(self, stream: int | None = None) -> list[Tensor]:
        """End stream number `stream` (all by default): get what a short start still held back, and reset it."""
        owed = self.owed.copy()
        frames = self._finish(stream)
        return [f.flatten()[:n].float() for f, n in zip(frames, owed, strict=True)]

    def reset(self, stream: int | None = None) -> None:
        super().reset(stream)
        for i in self._chosen(stream):
            self.owed[i] = 0

    def pause(self, stream: int) -> PausedStream:
        """Take a stream out of its place, where another one may start."""
        state = [tensor[stream].clone() for tensor in self.state]
        paused = PausedStream(state, self.started[stream], self.pending[stream], self.owed[stream])
        self.reset(stream)
        return paused

    def resume(self, stream: int, paused: PausedStream) -> None:
        """Go on with a paused stream in the place of another, which is forgotten."""
        place = torch.tensor([stream], device=self.step.device)
        rows = zip(self.state, paused.state, strict=True)
        self.state = [tensor.index_copy(0, place, row[None]) for tensor, row in rows]
        self.started[stream] = paused.started
        self.pending[stream], self.owed[stream] = paused.pending, paused.owed

    def _input(self, rows: Tensor) -> Tensor:
        return rows.transpose(1, 2)  # [B, K, n]

    def _rows(self, y: Tensor) -> Tensor:
        return y.unflatten(1, (-1, self.config.hop_length))  # [B, n, hop]

    def _nothing(self) -> Tensor:
        return torch.zeros(0, self.config.hop_length, device=self.step.device, dtype=torch.float32)
