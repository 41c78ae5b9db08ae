"""Bootstrap intervals of means, paired permutation tests, Holm's correction.

scipy.stats has the first two, at 70 times the time: reports compare thousands of pairs.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Key = TypeVar("Key", bound=Hashable)
N_RESAMPLES = 1000
CONFIDENCE = 0.95
SIGNIFICANT = 0.05  # threshold of `p`
N_FLIPS = 10_000
_MAX_EXACT = 13  # recordings for which all 8,192 patterns of signs are tried


@dataclass(frozen=True)
class Interval:
    """A mean over `n` recordings and its 95% confidence interval."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Difference(Interval):
    """Mean of paired differences; `p` is the probability of one as large or larger by chance."""

    p: float


@dataclass(frozen=True)
class Comparison(Difference):
    """A difference among several that are tested."""

    p_holm: float  # `p` with Holm's correction for their number


def bootstrap(values: ArrayLike, seed: int = 0) -> Interval:
    """Mean of at least one value, with percentiles of the means of `N_RESAMPLES` resamples.

    Recordings are resampled, so the interval is for other recordings of the same speakers.
    """
    x = np.asarray(values, np.float64)
    picks = _picks(len(x), seed)
    low, high = np.quantile(x[picks].mean(axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(x.mean()), float(low), float(high), len(x))


def compare(ours: Sequence[float], theirs: Sequence[float], seed: int = 0) -> Difference:
    """Ours minus theirs on the same recordings, with a two-sided paired permutation test.

    `p` is the share of sign patterns of the differences (all of them for up to 13 recordings, else `N_FLIPS` random
    ones and the observed one) whose mean is at least as far from 0 as the observed one.

    Raises:
        ValueError: different numbers of values, or none.
    """
    if len(ours) != len(theirs) or not len(ours):
        raise ValueError(f"{len(ours)} and {len(theirs)} values: expected one of each system for every recording")
    d = np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)
    signs = _signs(len(d), seed)
    interval = bootstrap(d, seed)
    far = np.abs(signs @ d) >= abs(d.sum()) * (1 - 1e-12)
    return Difference(interval.mean, interval.low, interval.high, interval.n, float(far.mean()))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for their number, so that the probability of any error among them is that of one test.

    Holm (1979): the smallest of m is multiplied by m, the next by m - 1, and so on, none falling below the previous.
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def correct(differences: Mapping[Key, Difference]) -> dict[Key, Comparison]:
    """Correct the p values of all differences for their number."""
    p_values = holm([difference.p for difference in differences.values()])
    return {key: Comparison(**asdict(d), p_holm=p) for (key, d), p in zip(differences.items(), p_values, strict=True)}


@cache
def _picks(n: int, seed: int) -> NDArray[np.int64]:
    """`[N_RESAMPLES, n]` of positions, drawn with replacement."""
    return np.random.default_rng(seed).integers(n, size=(N_RESAMPLES, n))


@cache
def _signs(n: int, seed: int) -> NDArray[np.float64]:
    """`[patterns, n]` of -1 and 1, the observed pattern of ones among them."""
    if n <= _MAX_EXACT:
        return np.float64(1) - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    random = np.random.default_rng(seed).choice([-1.0, 1.0], size=(N_FLIPS, n))
    return np.concatenate([np.ones((1, n)), random])
