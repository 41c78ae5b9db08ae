"""Waveforms at the sample rate that a measure is defined at."""

from __future__ import annotations

import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from eval.metrics.base import Waveform


def at_rate(waveform: Waveform, sample_rate: int, rate: int, name: str) -> NDArray[np.float32]:
    """Waveform `[L]` at `rate` in Hz (soxr VHQ).

    Args:
        waveform: float samples `[L]`.
        sample_rate: of the samples, in Hz.
        rate: wanted, in Hz.
        name: what to call it in errors.

    Raises:
        ValueError: it is silent, or shorter than a sample at `rate`.
    """
    x = torch.as_tensor(waveform).float().numpy(force=True)
    if sample_rate != rate:
        x = soxr.resample(x, sample_rate, rate, quality="VHQ")
    if not x.any():
        raise ValueError(f"{name}: silent, or shorter than a sample at {rate} Hz")
    return x
