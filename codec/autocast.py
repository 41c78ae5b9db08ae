"""What must stay in float32 in mixed-precision training."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """The context of calculations with `x` that autocast leaves alone."""
    device = x.device.type
    is_mixed = not x.is_meta and torch.is_autocast_enabled(device)  # which knows no meta tensors
    return torch.autocast(device, enabled=False) if is_mixed else nullcontext()
