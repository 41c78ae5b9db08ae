"""Prosody: differences in pitch, voicing and loudness between an output and its reference.

Pitch and voicing are found by Praat (autocorrelation). It sometimes errs by an octave, 1,200 cents, so that a few
frames can make up most of the pitch error; compare means over many recordings.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from codec.extras import needs
from eval.metrics.base import Column, Metric, Waveform, check_pair

HOP = 0.01  # s between frames
PITCH_RANGE = 75.0, 600.0  # Hz
ENERGY_WINDOW = 0.04  # s
DYNAMIC_RANGE = 60.0  # dB below the loudest frame of the reference; lower levels are raised to it
COLUMNS = (
    Column("f0_rmse", "F0 error", False, 1, "cents"),
    Column("voicing_error", "voicing error", False, 3),
    Column("energy_rmse", "energy error", False, 2, "dB"),
)


class Prosody(NamedTuple):
    """Errors of an output, in the order of `COLUMNS`."""

    f0_rmse: float  # cents, over frames that are voiced in both
    voicing_error: float  # share of frames that are voiced in one and not in the other
    energy_rmse: float  # dB, of the log energy of all frames


def make_prosody() -> Metric:
    """Make the metric of `prosody`.

    Raises:
        MissingDependencyError: Praat is not installed. `measure` raises ValueError as `prosody`.
    """
    require_praat()
    return Metric(COLUMNS, lambda pair: prosody(pair.reference, pair.output, pair.sample_rate))


def prosody(reference: Waveform, output: Waveform, sample_rate: int = 24_000) -> Prosody:
    """Compare frames of 10 ms.

    Raises:
        MissingDependencyError: Praat is not installed.
        ValueError: the waveforms are shorter than 40 ms, or no frame is voiced in the reference, or none in both;
            see also `check_pair`.
    """
    pair = [x.numpy(force=True) for x in check_pair(reference, output)]
    if (seconds := len(pair[0]) / sample_rate) < ENERGY_WINDOW:
        raise ValueError(f"prosody: {seconds:.3f} s; it needs {ENERGY_WINDOW} s")
    r, x = (_pitch(y, sample_rate) for y in pair)
    both = (r > 0) & (x > 0)
    if not r.any():
        raise ValueError("reference: nothing is voiced")
    if not both.any():
        raise ValueError("output: nothing is voiced where the reference is")
    cents = 1200 * np.log2(x[both] / r[both])
    energies = [_energy(y, sample_rate) for y in pair]
    floor = energies[0].max() * 10 ** (-DYNAMIC_RANGE / 10)
    decibels = [10 * np.log10(np.maximum(energy, floor)) for energy in energies]
    return Prosody(_rms(cents), float(((r > 0) != (x > 0)).mean()), _rms(decibels[1] - decibels[0]))


def require_praat() -> ModuleType:
    """Return the package `parselmouth`.

    Raises:
        MissingDependencyError: it is not installed.
    """
    with needs("praat-parselmouth", "pitch"):
        import parselmouth
    return parselmouth


def _pitch(waveform: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """F0 in Hz of each frame `[T]`, 0 where it is not voiced; equally long waveforms have the same frames."""
    sound = require_praat().Sound(waveform.astype(np.float64), sample_rate)
    low, high = PITCH_RANGE
    return sound.to_pitch_ac(HOP, low, pitch_ceiling=high).selected_array["frequency"]


def _energy(waveform: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Mean square of each frame `[T]`."""
    size, hop = round(ENERGY_WINDOW * sample_rate), round(HOP * sample_rate)
    frames = np.lib.stride_tricks.sliding_window_view(waveform.astype(np.float64), size)[::hop]
    return (frames**2).mean(axis=1)


def _rms(x: NDArray[np.float64]) -> float:
    return float(np.sqrt((x**2).mean()))
