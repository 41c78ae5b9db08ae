"""Metrics by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from eval.metrics import perceptual, signal
from eval.metrics.base import Column, Metric, Waveform

DEFAULT = ("pesq_wb", "stoi", "estoi", "mel", "stft")


def _waveforms(column: Column, function: Callable[[Waveform, Waveform, int], float]) -> Callable[[str], Metric]:
    """A metric of one column that needs nothing but the two waveforms."""

    def make(_: str) -> Metric:
        return Metric(column.key, (column,), lambda pair: [function(pair.reference, pair.output, pair.sample_rate)])

    return make


# Each takes what stands behind the colon: `wer:pocketsphinx`.
METRICS: dict[str, Callable[[str], Metric]] = {
    "pesq_wb": _waveforms(Column("pesq_wb", "PESQ-WB", True, 2), perceptual.pesq_wb),
    "stoi": _waveforms(Column("stoi", "STOI", True, 3), perceptual.stoi),
    "estoi": _waveforms(Column("estoi", "ESTOI", True, 3), perceptual.estoi),
    "mel": _waveforms(Column("mel", "mel", False, 3), signal.mel_distance),
    "stft": _waveforms(Column("stft", "MRSTFT", False, 2), signal.stft_distance),
}


@cache
def make_metric(spec: str) -> Metric:
    """The metric called `NAME` or `NAME:OPTION`; kept, as it may hold a model.

    Raises:
        MissingBackendError: it needs something that is not there; the message says what to do.
        ValueError: no such metric or option.
    """
    name, _, option = spec.partition(":")
    if name not in METRICS:
        raise ValueError(f"metric {spec}: unknown; there are {' '.join(METRICS)}")
    return METRICS[name](option)
