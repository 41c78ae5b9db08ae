"""Metrics by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from eval.metrics import perceptual, signal
from eval.metrics.asr import make_asr
from eval.metrics.base import Column, Metric, Pair, Waveform
from eval.metrics.distillmos import make_distillmos
from eval.metrics.dnsmos import make_dnsmos
from eval.metrics.prosody import make_prosody
from eval.metrics.speaker import make_own_voice, make_speaker
from eval.metrics.squim import make_squim
from eval.metrics.visqol import make_visqol

DEFAULT = ("pesq_wb", "stoi", "estoi", "mel", "stft")


def _without_option(name: str, make: Callable[[], Metric]) -> Callable[[str], Metric]:
    def check(option: str) -> Metric:
        if option:
            raise ValueError(f"metric {name}:{option}: {name} takes no option")
        return make()

    return check


def _function(column: Column, function: Callable[[Waveform, Waveform, int], float]) -> Callable[[str], Metric]:
    """A metric of one column, computed from the two waveforms."""

    def measure(pair: Pair) -> list[float]:
        return [function(pair.reference, pair.output, pair.sample_rate)]

    return _without_option(column.key, lambda: Metric((column,), measure))


# Each is called with the option, the part of the name after the colon: `squim:weights.pth`.
METRICS: dict[str, Callable[[str], Metric]] = {
    "pesq_wb": _function(Column("pesq_wb", "PESQ-WB", True, 2), perceptual.pesq_wb),
    "pesq_nb": _function(Column("pesq_nb", "PESQ-NB", True, 2), perceptual.pesq_nb),
    "stoi": _function(Column("stoi", "STOI", True, 3), perceptual.stoi),
    "estoi": _function(Column("estoi", "ESTOI", True, 3), perceptual.estoi),
    "visqol": make_visqol,
    "mel": _function(Column("mel", "mel", False, 3), signal.mel_distance),
    "stft": _function(Column("stft", "MRSTFT", False, 2), signal.stft_distance),
    "mel_dac": _function(Column("mel_dac", "mel (DAC)", False, 3), signal.mel_distance_dac),
    "mel_dac_paper": _function(Column("mel_dac_paper", "mel (DAC paper)", False, 3), signal.mel_distance_dac_paper),
    "stft_dac": _function(Column("stft_dac", "STFT (DAC)", False, 3), signal.stft_distance_dac),
    "si_sdr": _function(Column("si_sdr", "SI-SDR", True, 2, "dB"), signal.si_sdr),
    "asr": make_asr,
    "speaker": make_speaker,
    "own_voice": make_own_voice,
    "prosody": _without_option("prosody", make_prosody),
    "dnsmos": _without_option("dnsmos", make_dnsmos),
    "distillmos": _without_option("distillmos", make_distillmos),
    "squim": make_squim,
}


@cache
def make_metric(spec: str) -> Metric:
    """Make the metric called `NAME` or `NAME:OPTION`; it is cached, as it may hold a model.

    Raises:
        MissingDependencyError: it lacks a package, program or weights; the message says what to do.
        ValueError: no such metric or option.
    """
    name, _, option = spec.partition(":")
    if name not in METRICS:
        raise ValueError(f"metric {spec}: unknown; there are {' '.join(METRICS)}")
    return METRICS[name](option)
