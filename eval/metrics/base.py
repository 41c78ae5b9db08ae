"""A metric: one or more columns of numbers about an output and its reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

Waveform = Tensor | NDArray[np.floating]


@dataclass(frozen=True)
class Column:
    """One number of a metric, as tables show it."""

    key: str  # in results
    title: str  # in tables
    higher_is_better: bool
    decimals: int = 2
    unit: str = ""
    measured_by: str = ""  # metric and version, in the results of a run


@dataclass(frozen=True)
class Pair:
    """An output and its reference, aligned.

    Raises:
        ValueError: they are not equally long, finite, float and not empty; the message names which and why.
    """

    reference: Waveform  # [L]; kept as float32 arrays, which can be sent to other processes
    output: Waveform  # [L]
    sample_rate: int = 24_000
    text: str = ""  # the transcript, if known
    language: str = ""  # of the text, as in "nl-BE"; empty: unknown

    def __post_init__(self) -> None:
        for name, x in zip(("reference", "output"), check_pair(self.reference, self.output), strict=True):
            object.__setattr__(self, name, x.numpy(force=True))


@dataclass(frozen=True)
class SynthesisPair(Pair):
    """Synthetic speech: `output` should say `text` in the voice of `reference`, a recording of other words.

    The two may have any lengths: only metrics that do not compare them sample by sample can measure them.

    Raises:
        ValueError: one is not finite, float and not empty; the message names which and why.
    """

    others: tuple[Waveform, ...] = ()  # [L] each, voices of other speakers, for `own_voice`

    def __post_init__(self) -> None:
        for name in ("reference", "output"):
            object.__setattr__(self, name, _check(name, getattr(self, name)).numpy(force=True))
        others = (_check("another voice", other).numpy(force=True) for other in self.others)
        object.__setattr__(self, "others", tuple(others))


@dataclass(frozen=True)
class Metric:
    """A measure of pairs.

    `measure` returns a value for each column, in order, and raises ValueError where it cannot: a pair that cannot be
    measured never becomes a low score.
    """

    columns: tuple[Column, ...]
    measure: Callable[[Pair], Sequence[float]]
    version: str = "1"  # kept scores are reused while this stays the same


def check_pair(reference: Waveform, output: Waveform) -> tuple[Tensor, Tensor]:
    """Both waveforms `[L]` as float32 tensors, of equal length, finite and not empty.

    Raises:
        ValueError: they are not; the message names which and why.
    """
    pair = _check("reference", reference), _check("output", output)
    if len(pair[0]) != len(pair[1]):
        raise ValueError(f"reference has {len(pair[0])} samples, output {len(pair[1])}: align and cut them first")
    return pair


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


def _check(name: str, waveform: Waveform) -> Tensor:
    x = torch.as_tensor(waveform)
    if x.ndim != 1 or not len(x) or not x.is_floating_point():
        raise ValueError(f"{name}: {x.dtype} {tuple(x.shape)}; expected at least one float sample, [L]")
    if not bool(torch.isfinite(x).all()):
        raise ValueError(f"{name}: has NaN or infinite samples")
    return x.detach().float()
