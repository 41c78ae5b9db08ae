"""Distill-MOS: the quality of an output without its reference, as Microsoft's small network predicts it (MIT licence).

Stahl and Gamper 2025, "Distillation and Pruning for Scalable Self-Supervised Representation-Based Speech Quality
Assessment": distilled from XLS-R. It answers the same question as UTMOS on a scale of its own: compare its scores only
with each other.
"""

from __future__ import annotations

import contextlib
import io
from importlib.metadata import version

import torch

from codec.extras import needs
from eval.metrics.base import Column, Metric, Pair, at_rate

RATE = 16_000  # Hz
COLUMN = Column("distillmos", "Distill-MOS", True, 2)


def make_distillmos() -> Metric:
    """Scores of 1 to 5, means over windows of 7.68 s at most a second apart; levels do not matter.

    The weights are in the package `distillmos`; shorter outputs are followed by silence.

    Raises:
        MissingDependencyError: the package is not installed. `measure` raises ValueError for a silent output.
    """
    with needs("distillmos", "distillmos"):
        from distillmos import ConvTransformerSQAModel
    with contextlib.redirect_stdout(io.StringIO()):  # it prints where its weights are
        network = ConvTransformerSQAModel().eval()

    def measure(pair: Pair) -> list[float]:
        output = at_rate(pair.output, pair.sample_rate, RATE, "output")
        with torch.inference_mode():
            return [float(network(torch.from_numpy(output)[None]))]

    return Metric((COLUMN,), measure, version("distillmos"))
