"""ABX discrimination (Schatz et al. 2013): how well features separate sounds with different labels.

A and X have one label, B has another. The error rate is the share of triples in which X is not nearer to A: 0 at best,
0.5 by chance. The package fastabx needs Python 3.12.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

N_TRIPLES = 20_000  # for an error rate within about 0.004
_TIE = 1e-9  # paths of equal cost differ by rounding


@dataclass(frozen=True)
class Segment:
    """The frames of one sound of one speaker."""

    label: int
    speaker: str
    features: Tensor  # [T, D] float, T >= 1


def split_segments(features: Tensor, labels: Tensor, speaker: str) -> list[Segment]:
    """Split features `[T, D]` into runs of equal labels `[T]`."""
    values, lengths = labels.unique_consecutive(return_counts=True)
    parts = features.split(lengths.tolist())
    return [Segment(label, speaker, part) for label, part in zip(values.tolist(), parts, strict=True)]


def distance(a: Tensor, b: Tensor) -> float:
    """Mean angle between features `[T, D]` and `[S, D]` along their best alignment: 0 same to 1 opposite directions.

    The alignment (DTW) has the lowest sum of angles, and among those of equal sums is the shortest. A frame of zeros
    has a distance of 0.5 to all others.
    """
    return _distance(_directions(a), _directions(b))


def abx_error(segments: Sequence[Segment], across: bool, n_triples: int = N_TRIPLES, seed: int = 0) -> float | None:
    """Share of triples (A, B, X) in which X is nearer to B, whose label it does not have; ties count half.

    The mean over triples of each pair of labels and speaker is averaged over these, so that all weigh the same.

    Args:
        segments: sounds with labels and speakers.
        across: X is of another speaker than A and B; otherwise all three are of one.
        n_triples: the most that are tried, as many for each pair of labels and speaker, no triple twice; of more
            pairs than that, a random choice with a triple each.
        seed: of the draws.

    Returns:
        A number in [0, 1], or None where there is no triple.
    """
    of_label, of_speaker = defaultdict[int, list[int]](list), defaultdict[str, dict[int, list[int]]](dict)
    for i, s in enumerate(segments):
        of_label[s.label].append(i)
        of_speaker[s.speaker].setdefault(s.label, []).append(i)

    def n_x(speaker: str, label: int) -> int:
        own = len(of_speaker[speaker][label])
        return len(of_label[label]) - own if across else own - 1

    pairs = [(s, *pair) for s, labels in of_speaker.items() for pair in permutations(labels, 2) if n_x(s, pair[0])]
    if not pairs:
        return None
    rng, directions = random.Random(seed), [_directions(s.features) for s in segments]
    pairs = rng.sample(pairs, min(n_triples, len(pairs)))
    errors = []
    for speaker, label, other in pairs:
        a, b = of_speaker[speaker][label], of_speaker[speaker][other]
        x = [i for i in of_label[label] if segments[i].speaker != speaker] if across else a
        triples = _draw(a, b, x, n_triples // len(pairs), rng)
        errors.append(np.mean([_error(*(directions[i] for i in triple)) for triple in triples]))
    return float(np.mean(errors))


def _draw(a: list[int], b: list[int], x: list[int], n_most: int, rng: random.Random) -> Iterator[tuple[int, int, int]]:
    """Draw different triples, all or `n_most`; where A and X are one list, they are different segments."""
    n_x = len(x) - (x is a)
    n_all = len(a) * len(b) * n_x
    for number in rng.sample(range(n_all), min(n_all, n_most)):
        rest, k = divmod(number, n_x)
        i, j = divmod(rest, len(b))
        yield a[i], b[j], x[k + (x is a and k >= i)]


def _error(a: NDArray, b: NDArray, x: NDArray) -> float:
    lead = _distance(b, x) - _distance(a, x)
    return 0.5 if abs(lead) < _TIE else float(lead < 0)


def _directions(features: Tensor) -> NDArray:
    """Features `[T, D]` at unit length, float64."""
    x = features.double().numpy(force=True)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, length, out=np.zeros_like(x), where=length > 0)


def _distance(a: NDArray, b: NDArray) -> float:
    """`distance` of directions."""
    difference, total = (np.linalg.norm(a[:, None] + sign * b, axis=2) for sign in (-1, 1))
    angles = 2 / np.pi * np.arctan2(difference, total)  # unlike arccos, exactly 0 for equal directions
    row: list[tuple[float, int]] = []  # cost and length of the best path up to each frame of b
    for i, line in enumerate(angles.tolist()):
        above, row = row, []
        for j, angle in enumerate(line):
            before = (above[max(j - 1, 0) : j + 1] if i else []) + row[-1:]
            cost, length = min(before, default=(0.0, 0))
            row.append((cost + angle, length + 1))
    cost, length = row[-1]
    return cost / length
