"""Full precision within mixed-precision training."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Context without autocast, for calculations with `x`."""
    device = x.device.type
    is_mixed = not x.is_meta and torch.is_autocast_enabled(device)  # autocast does not support meta tensors
    return torch.autocast(device, enabled=False) if is_mixed else nullcontext()
