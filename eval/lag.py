"""Alignment of outputs with their references by one constant lag per codec."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from eval.metrics.perceptual import estoi
from eval.systems.base import SAMPLE_RATE

EARLIEST, LATEST = -SAMPLE_RATE // 50, SAMPLE_RATE // 8  # samples: 20 ms early to 125 ms late
STEPS = (192, 48, 12)  # samples: 8 ms finds the peak of ESTOI, which is some 20 ms wide; 0.5 ms is exact enough
# Of ESTOI: aligned outputs gain up to 0.007 by a shift of 0.5 to 4 ms; outputs 5 ms late lose 0.013 to 0.08.
MIN_GAIN = 0.01
CUT = SAMPLE_RATE // 20  # samples: the last 50 ms, which a late output may lack


def find_lag(pairs: Sequence[tuple[Tensor, Tensor]]) -> int:
    """Find by how many samples outputs `[L']` are late against references `[L]`, both at 24 kHz.

    The lag has the highest mean ESTOI, because outputs of parametric codecs do not correlate with their references. It
    is 0 unless another one is better by `MIN_GAIN`: ESTOI tolerates a few samples, which ruin the SI-SDR.

    Raises:
        ValueError: a pair has no ESTOI.
    """
    scores: dict[int, float] = {}

    def best_of(lags: range) -> int:
        for lag in set(lags) - scores.keys():
            scores[lag] = sum(estoi(*remove_lag(reference, output, lag)) for reference, output in pairs)
        return max(scores, key=lambda lag: (scores[lag], -abs(lag)))

    coarse = STEPS[0]
    lag = best_of(range(EARLIEST // coarse * coarse, LATEST, coarse))  # a grid through zero
    for previous, step in pairwise(STEPS):
        lag = best_of(range(lag - previous + step, lag + previous, step))
    return lag if scores[lag] - scores[0] > MIN_GAIN * len(pairs) else 0


def remove_lag(reference: Tensor, output: Tensor, lag: int) -> tuple[Tensor, Tensor]:
    """Move the output `[L']` `lag` samples earlier, and cut it and the reference `[L]` to `[L - CUT]`.

    Raises:
        ValueError: the reference is not longer than what is cut.
    """
    n = len(reference) - CUT
    if n <= 0:
        raise ValueError(f"reference: {len(reference)} samples; expected more than the {CUT} that are cut")
    return reference[:n], shift(output, lag, n)


def shift(output: Tensor, lag: int, n_samples: int) -> Tensor:
    """Move the output `[L']` `lag` samples earlier, padded with zeros or cut to `[n_samples]`."""
    moved = output[lag:] if lag >= 0 else torch.nn.functional.pad(output, (-lag, 0))
    return torch.nn.functional.pad(moved[:n_samples], (0, max(0, n_samples - len(moved))))
