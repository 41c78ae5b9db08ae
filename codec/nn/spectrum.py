"""A spectral front end for the encoder: log mel spectra and autocorrelations, for vocal tract and vocal folds.

Both omit the phase, which few bits cannot code. Windows end with their patch, so there is no latency.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from codec.audio.bands import band_weights
from codec.autocast import full_precision
from codec.nn.state import Span

# Windows in seconds and numbers of bands: a long one for frequency resolution, a short one for time resolution.
WINDOWS = ((0.030, 64), (0.0107, 24))
LAG_WINDOW_S = 0.0425
LAG_RANGE_HZ, N_LAGS, N_LAG_BANDS = (60.0, 500.0), 64, 3
LAG_EDGES_HZ = (1_000.0, 3_000.0, 8_000.0)  # upper edges of the bands of autocorrelations
POWER_FLOOR = 1e-9  # of samples in [-1, 1], below that of 16 bits
SHORTEST_ACF = 0.1  # floor of the window's autocorrelation as a divisor


class SpectrumFront(nn.Module):
    """Patches `[B, T, P]` to standardised features `[B, T, dim]`; means and deviations are part of the weights.

    Log powers of mel bands, and normalised autocorrelations at logarithmically spaced lags, in three bands. No learned
    weights; always float32.
    """

    mean: Tensor  # [dim], of speech; set by `train.init.transform`
    deviation: Tensor  # [dim]
    floor: Tensor  # [1]
    lag_window: Tensor
    lags: Tensor  # [F, bands * (1 + lags)]

    def __init__(self, patch_size: int, sample_rate: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        sizes = [round(seconds * sample_rate) for seconds, _ in WINDOWS]
        lag_size = round(LAG_WINDOW_S * sample_rate)
        for i, (size, (_, n_bands)) in enumerate(zip(sizes, WINDOWS, strict=True)):
            self._register(f"window_{i}", _unit_hann(size))
            self._register(f"bands_{i}", band_weights(n_bands, _fft_size(size), sample_rate))
        self._register("lag_window", _unit_hann(lag_size))
        self._register("lags", _lag_matrix(lag_size, sample_rate))
        self._register("floor", np.array([POWER_FLOOR]))  # a tensor, as ONNX simplifiers treat so small a scalar as 0
        self.dim = sum(n for _, n in WINDOWS) + N_LAG_BANDS * N_LAGS
        self.tail_shape = (max(*sizes, lag_size) - patch_size, 1)  # samples
        self.register_buffer("mean", torch.zeros(self.dim))
        self.register_buffer("deviation", torch.ones(self.dim))

    def _register(self, name: str, values: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(values).float(), persistent=False)

    def forward(self, x: Tensor, tail: Tensor, span: Span) -> tuple[Tensor, Tensor]:
        with full_precision(x):
            past = span.past(tail)[..., 0]
            x = torch.cat([past, x.float().flatten(1)], dim=1)
            features = (self._measure(x) - self.mean) / self.deviation
        return features, x[:, x.shape[1] - past.shape[1] :, None]

    def _measure(self, x: Tensor) -> Tensor:
        """Samples `[B, past + T * P]` to raw features `[B, T, dim]`."""
        parts = []
        for i in range(len(WINDOWS)):
            power = self._power(x, getattr(self, f"window_{i}")) @ getattr(self, f"bands_{i}")
            parts.append((power + self.floor).log() / 2)
        power = self._power(x, self.lag_window) @ self.lags  # [B, T, bands * (1 + lags)]
        correlation = power.unflatten(2, (N_LAG_BANDS, 1 + N_LAGS))
        correlation = correlation[..., 1:] / (correlation[..., :1] + self.floor)
        return torch.cat([*parts, correlation.flatten(2)], dim=2)

    def _power(self, x: Tensor, window: Tensor) -> Tensor:
        """Power spectra `[B, T, F]` of windows that end with each patch."""
        size, past = len(window), self.tail_shape[0]
        frames = x[:, past + self.patch_size - size :].unfold(1, size, self.patch_size)
        return torch.view_as_real(torch.fft.rfft(frames * window, _fft_size(size))).square().sum(-1)


def _lag_matrix(size: int, sample_rate: int) -> np.ndarray:
    """Matrix `[F, bands * (1 + lags)]` from power spectra to autocorrelations of each band, at lag 0 and others."""
    n_fft = _fft_size(size)
    frequencies = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    pitch = np.geomspace(*LAG_RANGE_HZ, N_LAGS)
    window = np.fft.irfft(np.abs(np.fft.rfft(_unit_hann(size), 2 * n_fft)) ** 2)
    own = np.interp(sample_rate / pitch, np.arange(size), window[:size])
    cosines = np.cos(2 * np.pi * frequencies[:, None] / pitch) / np.maximum(own, SHORTEST_ACF)
    lags = np.concatenate([np.ones((len(frequencies), 1)), cosines], axis=1)  # [F, 1 + lags]
    start, columns = 0.0, []
    for edge in LAG_EDGES_HZ:
        inside = (frequencies >= start) & (frequencies < edge)
        columns.append(inside[:, None] * lags)
        start = edge
    return np.concatenate(columns, axis=1)


def _unit_hann(size: int) -> np.ndarray:
    """A Hann window of unit energy: white noise of variance 1 has a power of 1 in every bin."""
    window = np.hanning(size + 2)[1:-1]
    return window / np.sqrt((window**2).sum())


def _fft_size(size: int) -> int:
    return 1 << (size - 1).bit_length()
