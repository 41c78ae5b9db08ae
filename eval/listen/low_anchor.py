"""The low anchor of ITU-R BS.1534: the recording, low-passed at 3.5 kHz."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, firwin

LOW_ANCHOR = "lowpass-3.5k"
PASS_HZ, STOP_HZ = 3500, 4000
N_TAPS = 255  # at 24 kHz: within 0.1 dB up to the one, at least 50 dB down from the other


def low_anchor(waveform: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """`[L]` low-passed without delay, at a sample rate in Hz up to 24 kHz."""
    taps = firwin(N_TAPS, (PASS_HZ + STOP_HZ) / 2, window=("kaiser", 6.0), fs=sample_rate)
    padded = np.pad(waveform, N_TAPS // 2)
    return fftconvolve(padded, taps, mode="valid").astype(np.float32)
