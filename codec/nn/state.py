"""State of streaming layers, and the position of a chunk in its stream.

Every layer of the codec maps `(x, tail, span)` to `(y, tail)`; `tail` is all that it keeps of the past, with a fixed
shape. The state of a model is the flat list `[seen, tail, tail, ...]`. In a new stream `seen == 0`, so layers ignore
its tail: writing that zero resets a stream.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

State = list[Tensor]  # seen [B] int64 in frames, then one [B, n, D] tail per layer


class Span(NamedTuple):
    """Position of a chunk `[B, T, D]` in its streams."""

    seen: Tensor  # [B] int64, steps of the stream before this chunk
    length: Tensor | None  # [B] int64, steps of the chunk without padding; None: all
    steady: bool = False  # whether all tails are full and there is no padding: no masks needed

    def scaled(self, up: int, down: int) -> Span:
        """Position after a layer that maps `down` steps to `up`."""
        if self.steady or up == down:
            return self  # the position is not used in steady streams
        length = None if self.length is None else (self.length * up + down - 1) // down
        return Span(self.seen * up // down, length)

    def past(self, tail: Tensor, before: Tensor | float = 0.0) -> Tensor:
        """`tail` `[B, n, D]`, replaced by `before` in streams that start with this chunk."""
        return tail if self.steady else torch.where(self.fresh, before, tail)

    @property
    def fresh(self) -> Tensor:
        """[B, 1, 1] bool: streams that start with this chunk."""
        return (self.seen == 0)[:, None, None]

    def padding(self, x: Tensor) -> Tensor | None:
        """[B, T, 1] bool: steps of `x` after the end of their stream; None if there are none."""
        if self.length is None:
            return None
        steps = torch.arange(x.shape[1], device=x.device)
        return (steps >= self.length[:, None])[:, :, None]


def is_steady(seen: Tensor, length: Tensor | None, n_frames: int) -> bool:
    """Whether all streams are at least `n_frames` old and none ends; False if unknown.

    Traced graphs must hold for all streams, and on a GPU the check would synchronise.
    """
    if length is not None or seen.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return int(seen.min()) >= n_frames
