"""How the next frame is drawn: the semantic token by temperature, top-k and top-p, the acoustic codes by their head."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from codec.tokens.layout import END
from codec.tts.heads.base import HeadSampling


@dataclass
class Sampling:
    """Settings of one request.

    The repetition guard is that of VALL-E 2: a token that fills more than `repetition_share` of the last
    `repetition_window` frames is drawn anew from the whole distribution, without top-k and top-p.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    temperature: float = 0.9  # of the semantic token; 0 takes the likeliest
    top_k: int = 100  # 0: all
    top_p: float = 0.95  # 1: all
    repetition_window: int = 10
    repetition_share: float = 0.4  # 1: no guard
    min_frames: int = 2
    max_frames: int = 1500  # a hard stop, with a warning ...
    frames_per_id: float = 8.0  # ... as is this many for each id of the text, and 25 more
    seed: int = 0
    head: HeadSampling = field(default_factory=HeadSampling)

    def __post_init__(self) -> None:
        for name, low in (("temperature", 0), ("top_k", 0), ("min_frames", 0), ("seed", 0), ("repetition_window", 1)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} = {getattr(self, name)}: expected at least {low}")
        if self.frames_per_id <= 0:
            raise ValueError(f"frames_per_id = {self.frames_per_id}: expected a positive number")
        for name in ("top_p", "repetition_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} = {getattr(self, name)}: expected a number in (0, 1]")
        if self.max_frames <= self.min_frames:
            raise ValueError(f"max_frames = {self.max_frames}: expected more than min_frames = {self.min_frames}")


def draw_semantic(
    logits: Tensor, sampling: Sampling, may_end: bool, past: list[int], generator: torch.Generator
) -> int:
    """The next semantic token of one stream.

    Args:
        logits: `[V]` float32 on the CPU, -inf where there is no token.
        sampling: the request's settings.
        may_end: whether END is allowed.
        past: semantic tokens of the stream so far.
        generator: the stream's, on the CPU.
    """
    logits = logits.clone()
    if not may_end:
        logits[END] = -torch.inf
    if sampling.temperature == 0:
        return int(logits.argmax())
    whole = (logits / sampling.temperature).softmax(0)
    token = int(torch.multinomial(_truncated(whole, sampling.top_k, sampling.top_p), 1, generator=generator))
    recent = past[-sampling.repetition_window :]
    if recent.count(token) > sampling.repetition_share * sampling.repetition_window:
        token = int(torch.multinomial(whole, 1, generator=generator))
    return token


def _truncated(probs: Tensor, top_k: int, top_p: float) -> Tensor:
    """The likeliest tokens of `[V]`: at most `top_k`, and no more than it takes to reach `top_p` in sum."""
    n = min(top_k or len(probs), len(probs))
    values, tokens = probs.topk(n)
    before = values.cumsum(0) - values
    return torch.zeros_like(probs).scatter(0, tokens, values * (before < top_p * probs.sum()))
