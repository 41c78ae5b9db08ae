"""Ranking of candidates: measures, and the choice of a winner and a loser by the weighted sum of their ranks."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata

from codec.extras import MissingDependencyError
from eval.metrics.base import Column, Metric, Pair, SynthesisPair, Waveform
from eval.metrics.registry import make_metric
from train.data.pairs.dataset import Scores

WEIGHTS = {"cer": 2.0, "speaker_sim": 1.0, "loudness": 1.0, "dnsmos_ovrl": 1.0}  # of ranks
PIECE_S = 0.2  # window of a short-time level
SILENT_DB = -30.0  # relative to the loudest window; lower ones are pauses and do not count


@dataclass(frozen=True)
class Measure:
    """One column of a metric, and the weight of its ranks."""

    metric: Metric
    column: Column
    weight: float

    def score(self, speech: SynthesisPair) -> float | None:
        """Score an utterance; None where the metric has no value, as for an unknown language."""
        try:
            return self.metric.measure(speech)[self.metric.columns.index(self.column)]
        except ValueError:
            return None

    def ranks(self, scores: Sequence[float | None]) -> np.ndarray:
        """Rank scores from 1, the best; equal ones share a rank, None is last."""
        sign = -1 if self.column.higher_is_better else 1
        return rankdata([np.inf if score is None else sign * score for score in scores])


def make_measures(weights: Mapping[str, float], asr: str, speaker: str) -> dict[str, Measure]:
    """Make the measures with a weight; one with a missing dependency is skipped with a line on stderr.

    Args:
        weights: by name, in place of those in `WEIGHTS`.
        asr: recogniser, an option of the metric `asr`.
        speaker: speaker encoder, an option of the metric `speaker`.

    Raises:
        ValueError: an unknown name, a negative weight, an unknown option, or no measure left.
    """
    weights = WEIGHTS | dict(weights)
    if unknown := weights.keys() - WEIGHTS.keys():
        raise ValueError(f"weights: {', '.join(sorted(unknown))} unknown; there are {', '.join(WEIGHTS)}")
    if bad := {name: weight for name, weight in weights.items() if not 0 <= weight < float("inf")}:
        raise ValueError(f"weights = {bad}: expected 0 or more, 0 to leave a measure out")
    specs = {"cer": f"asr:{asr}", "speaker_sim": f"speaker:{speaker}", "dnsmos_ovrl": "dnsmos"}
    measures = {}
    for name, weight in weights.items():
        if weight:
            try:
                metric = make_metric(specs[name]) if name in specs else LOUDNESS
            except MissingDependencyError as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
                continue
            (column,) = (column for column in metric.columns if column.key == name)
            measures[name] = Measure(metric, column, weight)
    if not measures:
        raise ValueError("no measure is left; install one of the missing dependencies or give a weight above 0")
    return measures


def choose(measures: Mapping[str, Measure], scores: Sequence[Scores], ended: Sequence[bool]) -> tuple[int, int] | None:
    """Choose winner and loser: the two candidates that differ most in the weighted sum of their ranks.

    The winner must have ended by itself, and its character error rate, if measured, must exist and be no worse than
    the loser's. None if no two candidates qualify.

    Args:
        measures: by name.
        scores: of each candidate.
        ended: whether it ended by itself.
    """
    ranks = {name: measure.ranks([s[name] for s in scores]) for name, measure in measures.items()}
    total = np.sum([measure.weight * ranks[name] for name, measure in measures.items()], axis=0)
    cer = ranks.get("cer", np.zeros(len(scores)))
    fit = [e and s.get("cer", 0.0) is not None for e, s in zip(ended, scores, strict=True)]
    gaps = {
        (w, l): float(total[l] - total[w])
        for w in range(len(scores))
        for l in range(len(scores))
        if fit[w] and cer[w] <= cer[l] and total[w] < total[l]
    }
    return max(gaps, key=lambda pair: gaps[pair], default=None)


def level_spread(waveform: Waveform, sample_rate: int) -> float:
    """Standard deviation in dB of the short-time level of `[L]`, without pauses.

    Raises:
        ValueError: the waveform is silent, or shorter than two windows.
    """
    x, size = torch.as_tensor(waveform).double(), round(PIECE_S * sample_rate)
    if len(x) < 2 * size or not x.any():
        raise ValueError(f"{len(x)} samples, all silent or less than {2 * size}: there is no spread of levels")
    power = x.unfold(0, size, size // 2).square().mean(1)
    levels = 10 * torch.log10(power / power.max())
    return float(levels[levels > SILENT_DB].std(correction=0))


def _loudness(pair: Pair) -> list[float]:
    reference, output = (level_spread(x, pair.sample_rate) for x in (pair.reference, pair.output))
    return [abs(output - reference)]


# Absolute difference of the level spreads of output and reference.
LOUDNESS = Metric((Column("loudness", "loudness spread", False, 2, "dB"),), _loudness)
