"""Two waveforms that can be compared."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Waveform = Tensor | NDArray[np.floating]


def check_pair(reference: Waveform, output: Waveform) -> tuple[Tensor, Tensor]:
    """Both waveforms `[L]` as float32 tensors, of equal length, finite and not empty.

    Raises:
        ValueError: they are not; the message names which and why.
    """
    pair = torch.as_tensor(reference), torch.as_tensor(output)
    for name, x in zip(("reference", "output"), pair, strict=True):
        if x.ndim != 1 or not len(x) or not x.is_floating_point():
            raise ValueError(f"{name}: {x.dtype} {tuple(x.shape)}; expected at least one float sample, [L]")
        if not bool(torch.isfinite(x).all()):
            raise ValueError(f"{name}: has NaN or infinite samples")
    if len(pair[0]) != len(pair[1]):
        raise ValueError(f"reference has {len(pair[0])} samples, output {len(pair[1])}: align and cut them first")
    return pair[0].detach().float(), pair[1].detach().float()
