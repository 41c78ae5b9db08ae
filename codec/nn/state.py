"""What streaming layers remember, and where in its stream a chunk lies.

Every layer of the codec maps `(x, tail, span)` to `(y, tail)`, where `tail` is all it keeps of the
past and has a fixed shape. A model's state is the flat list `[seen, tail, tail, ...]`. A fresh stream
has `seen == 0`, which makes layers ignore its tail: resetting a stream is writing that zero.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

State = list[Tensor]  # seen [B] int64 in frames, then one [B, n, D] tail per layer


class Span(NamedTuple):
    """Where the steps of a chunk `[B, T, D]` stand in their streams."""

    seen: Tensor  # [B] int64, steps of the stream before this chunk
    length: Tensor | None  # [B] int64, steps of the chunk that are real; None: all of them

    def scaled(self, up: int, down: int) -> Span:
        """The same place after a layer that makes `up` steps out of every `down`."""
        length = None if self.length is None else (self.length * up + down - 1) // down
        return Span(self.seen * up // down, length)

    @property
    def fresh(self) -> Tensor:
        """[B, 1, 1] bool: streams that start with this chunk."""
        return (self.seen == 0)[:, None, None]

    def padding(self, x: Tensor) -> Tensor | None:
        """[B, T, 1] bool: steps of `x` after the end of their stream; None when there are none."""
        if self.length is None:
            return None
        steps = torch.arange(x.shape[1], device=x.device)
        return (steps >= self.length[:, None])[:, :, None]


def merge(old: State, new: State, active: Tensor) -> State:
    """`new` for the streams marked in `active` `[B]` bool, `old` for the others."""
    return [torch.where(active.view(-1, *[1] * (o.ndim - 1)), n, o) for o, n in zip(old, new, strict=True)]


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """In mixed-precision training, the context of what must stay in float32."""
    device = x.device.type
    is_mixed = not x.is_meta and torch.is_autocast_enabled(device)  # which knows no meta tensors
    return torch.autocast(device, enabled=False) if is_mixed else nullcontext()
