"""Bands evenly spaced on the mel scale, and spectral envelopes with one value per band."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LOWEST_HZ, HIGHEST = 60.0, 0.98  # middle of the lowest band; of the highest, as a share of half the sample rate

Matrix = NDArray[np.floating]


def band_middles(n_bands: int, sample_rate: int) -> Matrix:
    """Middles of the bands in Hz, `[n_bands]`."""
    mel = np.linspace(_mel(LOWEST_HZ), _mel(HIGHEST * sample_rate / 2), n_bands)
    return 700 * (10 ** (mel / 2595) - 1)


def band_weights(n_bands: int, n_fft: int, sample_rate: int) -> Matrix:
    """Weighted means of FFT bins in overlapping triangles, `[n_fft / 2 + 1, n_bands]`; columns sum to 1.

    The outermost bands extend to 0 and to half the sample rate. Bands narrower than a bin interpolate between bins.
    """
    fine = 16  # points per bin, for narrow bands
    n_bins = n_fft // 2 + 1
    position = np.arange((n_bins - 1) * fine + 1) / fine  # in bins
    bands = envelope_basis(band_middles(n_bands, sample_rate), position * sample_rate / n_fft)
    left = np.minimum(position.astype(int), n_bins - 2)
    weights = np.zeros((n_bins, n_bands))
    share = (position - left)[:, None]
    np.add.at(weights, left, (1 - share) * bands)
    np.add.at(weights, left + 1, share * bands)
    return weights / weights.sum(0)


def envelope_basis(middles: Matrix, frequencies: Matrix) -> Matrix:
    """Matrix of linear interpolation on the mel scale, from values at `middles` to `frequencies`, in Hz.

    Returns `[len(frequencies), len(middles)]`; values are constant beyond the outermost bands.
    """
    at, known = _mel(frequencies), _mel(middles)
    return np.stack([np.interp(at, known, row) for row in np.eye(len(middles))], axis=1)


def minimum_phase(log_magnitude: Matrix) -> Matrix:
    """Phases in radians of minimum-phase filters with log magnitudes `[n_fft / 2 + 1, ...]`, in which they are linear.

    By folding the cepstrum (Oppenheim and Schafer, Discrete-Time Signal Processing, section 12.4).
    """
    cepstrum = np.fft.irfft(log_magnitude, axis=0)
    n_fft = len(cepstrum)
    fold = np.zeros((n_fft, *[1] * (log_magnitude.ndim - 1)))
    fold[0] = fold[n_fft // 2] = 1
    fold[1 : n_fft // 2] = 2
    return np.fft.rfft(cepstrum * fold, axis=0).imag


def _mel(hz: Matrix | float) -> Matrix:
    return 2595 * np.log10(1 + np.asarray(hz, dtype=np.float64) / 700)
