"""Pitch-synchronous time: recordings warped by a few percent, so that frames of the codec begin with a pitch cycle.

A codec's codes depend on the phase of the voice: the same vowel has other codes a millisecond later. Nothing in a text
tells that phase, so that a TTS model can only guess it, in every frame anew. Where frames begin with cycles, there is
nothing to guess.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from eval.metrics.prosody import require_praat

F0_HZ = (60.0, 500.0)  # of speech
F0_STEP_S = 0.005
SHORTEST_S = 0.1  # that Praat finds a pitch of 60 Hz in
WINDOW_S = 0.025  # in which the phase of the fundamental is measured
OVERSAMPLING = 4  # before values between samples are read off a straight line

Samples = NDArray[np.float32]


def lock_pitch(x: Samples, sample_rate: int, hop_length: int) -> Samples:
    """`[L]` to `[T * hop_length]` of nearly the same length, where frames with a voice begin at a pitch cycle.

    A frame then has a whole number of cycles, and at its start the fundamental peaks. To that end time runs faster or
    slower by at most half a cycle a frame, 3% at 200 Hz and frames of 80 ms; the pitch moves with it. Where nobody
    speaks time runs as before.

    Raises:
        MissingBackendError: praat-parselmouth is not installed.
    """
    cycles, is_voiced = fundamental_phase(x, sample_rate)
    starts = [0.0]
    while starts[-1] < len(x):
        start = starts[-1] + hop_length
        if (i := round(start)) < len(x) and is_voiced[i]:
            near = slice(max(0, i - int(sample_rate / F0_HZ[0])), i + int(sample_rate / F0_HZ[0]))
            start = float(near.start + np.abs(cycles[near] - round(cycles[i])).argmin())
        starts.append(start)
    frames = hop_length * np.arange(len(starts))
    from scipy.interpolate import PchipInterpolator  # slow to load

    return _read_at(x, PchipInterpolator(frames, starts)(np.arange(frames[-1])))


def fundamental_phase(x: Samples, sample_rate: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The phase `[L]` of the fundamental in cycles, whole where it peaks, and where there is a voice, `[L]`.

    It is what remains of the signal when it is turned back by its pitch and smoothed.

    Raises:
        MissingBackendError: praat-parselmouth is not installed.
    """
    praat = require_praat()
    silence = np.zeros(len(x)), np.zeros(len(x), dtype=bool)
    if len(x) < SHORTEST_S * sample_rate:
        return silence
    sound = praat.Sound(x.astype(np.float64), sample_rate)
    pitch = sound.to_pitch_ac(time_step=F0_STEP_S, pitch_floor=F0_HZ[0], pitch_ceiling=F0_HZ[1])
    times, f0 = pitch.xs(), pitch.selected_array["frequency"]
    if not f0.any():
        return silence
    at = np.arange(len(x)) / sample_rate
    cycles = np.cumsum(np.interp(at, times[f0 > 0], f0[f0 > 0])) / sample_rate
    from scipy.signal import fftconvolve  # slow to load

    rest = fftconvolve(x * np.exp(-2j * np.pi * cycles), np.hanning(int(WINDOW_S * sample_rate)), mode="same")
    return cycles + np.unwrap(np.angle(rest)) / (2 * np.pi), np.interp(at, times, f0 > 0) > 0.5


def _read_at(x: Samples, positions: NDArray[np.float64]) -> Samples:
    """The signal at fractional positions `[N]`; 0 outside."""
    dense = soxr.resample(x, 1, OVERSAMPLING)
    return np.interp(positions * OVERSAMPLING, np.arange(len(dense)), dense, right=0.0).astype(np.float32)
