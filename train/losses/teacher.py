"""Distillation from the states of a Whisper: tokens of text, with decoder states and places in the audio.

The Whisper itself is not needed if the states come from files (`train.data.audio.companions`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POSITIONS_PER_SECOND = 50  # of every Whisper's encoder
_MEDIAN_WIDTH = 7  # positions of 20 ms, as in Whisper's own word timestamps
_MIN_INSIDE = 0.6  # share of a token's attention that must lie in a crop; its tails are long


@dataclass
class TeacherStates:
    """Output of the teacher for one item: L tokens of text, without special ones."""

    tokens: Tensor  # [L] int64
    states: Tensor  # [L, width] float32, of the last decoder layer where it predicts each token
    attention: Tensor  # [L, P] float32, over encoder positions, see `token_attention`

    def to(self, device: torch.device | str) -> TeacherStates:
        return TeacherStates(*(x.to(device, non_blocking=True) for x in (self.tokens, self.states, self.attention)))

    def pin_memory(self) -> TeacherStates:
        return TeacherStates(*(x.pin_memory() for x in (self.tokens, self.states, self.attention)))

    def crop(self, start_s: float, speed: float, n_positions: int) -> TeacherStates | None:
        """Crop to a clip of `n_positions` that starts at `start_s`, played at `speed` times the tempo.

        Keeps the tokens with most of their attention inside; None if there are none.
        """
        start = start_s * POSITIONS_PER_SECOND
        position = torch.arange(self.attention.shape[-1])
        inside = (start + n_positions * speed - position).clamp(0, 1) - (start - position).clamp(0, 1)  # shares
        is_inside = self.attention @ inside > _MIN_INSIDE * self.attention.sum(-1)
        if not is_inside.any():
            return None
        middle = start + (torch.arange(n_positions) + 0.5) * speed
        return TeacherStates(
            self.tokens[is_inside], self.states[is_inside], _read_at(self.attention[is_inside], middle - 0.5)
        )


def token_attention(weights: Tensor) -> Tensor:
    """Cross-attention `[H, L, P]` of the alignment heads -> the place of each token, `[L, P]`.

    Normalised over tokens by the sum, so that weights stay positive and a single token works; median-filtered over
    time; averaged over heads.
    """
    weights = weights / weights.sum(1, keepdim=True).clamp(min=1e-20)
    padded = F.pad(weights, (_MEDIAN_WIDTH // 2,) * 2, mode="replicate")
    return padded.unfold(-1, _MEDIAN_WIDTH, 1).median(-1).values.mean(0)


def to_frames(attention: Tensor, positions_per_frame: float, n_frames: int) -> Tensor:
    """Rows `[L, P]` over encoder positions -> A `[L, n_frames]`, interpolated at the middle of each frame.

    Rows sum to 1, unlike in the paper; the cosine does not depend on their scale.
    """
    middle = torch.arange(n_frames, device=attention.device) + 0.5
    frames = _read_at(attention, middle * positions_per_frame - 0.5)
    frames = frames + 1e-8  # a token without attention is everywhere
    return frames / frames.sum(-1, keepdim=True)


class Teacher(Protocol):
    """A model that computes teacher states of batches: `train.losses.whisper.WhisperTeacher`."""

    def transcribe(self, waveform: Tensor, lengths: Tensor) -> list[TeacherStates]: ...


class WhisperHead(nn.Module):
    """1 - mean_l cos(sum_f A_lf W z_f, h_l), with W the one trained layer.

    Args:
        width: of the teacher's states h.
        dim: of the embedding z.
        sample_rate: of waveforms, in Hz.
        hop_length: samples per frame of the embedding.
        teacher: computes the states of batches without.
    """

    def __init__(self, width: int, dim: int, sample_rate: int, hop_length: int, teacher: Teacher | None = None):
        super().__init__()
        # Not an nn.Module: it stays out of parameters(), state_dict(), train() and DDP.
        self.teacher = teacher
        self.sample_rate, self.hop_length = sample_rate, hop_length
        self.project = nn.Linear(dim, width, bias=False)

    def forward(
        self,
        embedding: Tensor,
        waveform: Tensor,
        lengths: Tensor,
        teacher_states: list[TeacherStates | None] | None = None,
    ) -> Tensor:
        """Losses `[n]`, each in [0, 2], of the n <= B items with text.

        Args:
            embedding: `[B, T, D]`, semantic channels after the VQ.
            waveform: `[B, L]`.
            lengths: `[B]` samples.
            teacher_states: of each item, None for an item without; if not given, the teacher computes them.

        Raises:
            ValueError: an item is longer than Whisper allows, or the states have another width.
        """
        items = self._transcribe(waveform, lengths) if teacher_states is None else teacher_states
        losses = []
        projected = self.project(embedding).float()
        positions_per_frame = self.hop_length / self.sample_rate * POSITIONS_PER_SECOND
        for z, item, length in zip(projected, items, lengths.tolist(), strict=True):
            if item is None or not len(item.states):
                continue
            if item.states.shape[-1] != self.project.out_features:
                raise ValueError(
                    f"width = {self.project.out_features}: the teacher states have {item.states.shape[-1]}; set "
                    "loss.distill.width to that, or make companions with another Whisper"
                )
            n_frames = min(-(-length // self.hop_length), len(z))
            token_z = to_frames(item.attention, positions_per_frame, n_frames) @ z[:n_frames]
            losses.append(1 - F.cosine_similarity(token_z, item.states, dim=-1).mean())
        return torch.stack(losses) if losses else projected.new_zeros(0)

    def _transcribe(self, waveform: Tensor, lengths: Tensor) -> list[TeacherStates]:
        if self.teacher is None:
            raise ValueError(
                "kind = 'whisper' with width and without whisper needs teacher states, and the batch has none: set "
                "data.companions to a folder made with --whisper, or whisper to a teacher"
            )
        return self.teacher.transcribe(waveform, lengths)


def _read_at(rows: Tensor, places: Tensor) -> Tensor:
    """Interpolate `[L, P]` linearly at fractional positions `[N]`, clamped to the ends."""
    last = rows.shape[-1] - 1
    places = places.clamp(0, last)
    left = places.long()
    return torch.lerp(rows[:, left], rows[:, (left + 1).clamp(max=last)], (places - left).to(rows.dtype))
