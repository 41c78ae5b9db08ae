"""How the next frame is drawn: the semantic token by temperature, top-k and top-p, the acoustic codes by their head."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from codec.settings import require
from codec.tokens.layout import END
from codec.tts.heads.base import HeadSampling

REPETITION_WINDOW = 10  # frames


@dataclass
class Sampling:
    """Settings of one request.

    The repetition guard is that of VALL-E 2: a token that fills more than `repetition_share` of the last
    `REPETITION_WINDOW` frames is drawn anew from the whole distribution, without top-k and top-p.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    temperature: float = 0.2  # of the semantic token and of moves in the text; 0 takes the likeliest
    top_k: int = 100  # 0: all
    top_p: float = 0.95  # 1: all
    repetition_share: float = 0.4  # 1: no guard
    min_frames: int = 2
    max_frames: int = 1500  # a hard stop, with a warning ...
    frames_per_id: float = 8.0  # ... as is this many for each id of the text, and 25 more
    seed: int = 0
    head: HeadSampling = field(default_factory=HeadSampling)

    def __post_init__(self) -> None:
        for name, low in (("temperature", 0), ("top_k", 0), ("min_frames", 0), ("seed", 0)):
            require(getattr(self, name) >= low, name, getattr(self, name), f"at least {low}")
        require(self.frames_per_id > 0, "frames_per_id", self.frames_per_id, "a positive number")
        for name in ("top_p", "repetition_share"):
            require(0 < getattr(self, name) <= 1, name, getattr(self, name), "a number in (0, 1]")
        good = self.max_frames > self.min_frames
        require(good, "max_frames", self.max_frames, f"more than min_frames = {self.min_frames}")


def draw_semantic(
    logits: Tensor,
    samplings: Sequence[Sampling],
    may_end: Sequence[bool],
    past: Sequence[Sequence[int]],
    uniforms: Tensor,
) -> Tensor:
    """The next semantic tokens `[N]` of N streams; a row depends on nothing but its own arguments.

    Args:
        logits: `[N, V]` float32, -inf where there is no token.
        samplings: each stream's settings.
        may_end: whether each may end.
        past: each stream's semantic tokens so far.
        uniforms: `[N, 2]` random numbers in [0, 1).
    """
    device = logits.device
    uniforms = uniforms.to(device)

    def column(values: Iterable[float]) -> Tensor:
        return torch.tensor(list(values), device=device)[:, None]

    held = ~column(may_end)
    logits = logits.clone()
    logits[:, END : END + 1].masked_fill_(held, -torch.inf)
    temperature = column(float(s.temperature) for s in samplings)
    probs = (logits / temperature.clamp(min=1e-3)).softmax(1)
    top_k = [s.top_k or logits.shape[1] for s in samplings]
    top, tokens = probs.topk(min(max(top_k), logits.shape[1]), dim=1)
    before = top.cumsum(1) - top
    rank = torch.arange(top.shape[1], device=device)
    kept = (before < column(s.top_p for s in samplings)) & (rank < column(top_k))
    token = _pick(top * kept, tokens, uniforms[:, :1])
    recent = torch.full((len(past), REPETITION_WINDOW), -1)
    for row, tail in zip(recent, past, strict=True):
        if last := list(tail[-REPETITION_WINDOW:]):
            row[: len(last)] = torch.tensor(last)
    share = (recent.to(device) == token).sum(1, keepdim=True) / REPETITION_WINDOW
    stuck = share > column(s.repetition_share for s in samplings)
    if stuck.any():
        probs, tokens = probs.sort(dim=1, descending=True, stable=True)
        token = torch.where(stuck, _pick(probs, tokens, uniforms[:, 1:]), token)
    return torch.where(temperature == 0, logits.argmax(1, keepdim=True), token)[:, 0]


def draw_moves(logits: Tensor, samplings: Sequence[Sampling], uniforms: Tensor) -> Tensor:
    """How far the text goes on after the next frame of each of N streams, `[N]` int64.

    Args:
        logits: `[N, M]` float32 of moves 0 to M - 1.
        samplings: each stream's settings; the temperature is that of the semantic token.
        uniforms: `[N, 1]` random numbers in [0, 1).
    """
    temperature = torch.tensor([[float(s.temperature)] for s in samplings], device=logits.device)
    probs = (logits / temperature.clamp(min=1e-3)).softmax(1)
    moves = torch.arange(logits.shape[1], device=logits.device).expand_as(logits)
    drawn = _pick(probs, moves, uniforms.to(logits.device))
    return torch.where(temperature == 0, logits.argmax(1, keepdim=True), drawn)[:, 0]


def _pick(probs: Tensor, tokens: Tensor, uniform: Tensor) -> Tensor:
    """One of `tokens` `[N, V]` by weights `[N, V]` and a random number `[N, 1]` each: `[N, 1]`."""
    cumulative = probs.cumsum(1)
    place = (cumulative <= uniform * cumulative[:, -1:]).sum(1, keepdim=True)
    return tokens.gather(1, place.clamp(max=tokens.shape[1] - 1))
