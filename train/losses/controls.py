"""Losses of the controls of the head `source_filter`: envelope, periodicity and pitch, against those of recordings.

They need no waveform, so they cost a fraction of a spectral loss.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from codec.audio.bands import band_weights
from codec.config import CodecConfig
from codec.nn.source_filter import Controls
from train.dist import gather_batch
from train.losses.terms import Pass, Setup, Term

ENVELOPE_WINDOW_S = 0.03
PERIODICITY_WINDOW_S = 0.0425
POWER_FLOOR = 1e-9  # of samples in [-1, 1]
SHARE_LIMIT = 1e-3  # periodic shares of the power lie between this and 1 minus this
SHARE_EXPONENT = 0.5  # of the autocorrelation: closer than 1 to the optimum of spectral losses
# Errors are weighted by the level of a band, in natural logs of amplitude: from QUIET, about 0, to LOUD, 1. Levels
# below QUIET are equal.
QUIET, LOUD = -9.5, -3.0
UNVOICED_PITCH = 120.0  # Hz, of clips without a voiced patch
TERMS = ("envelope", "motion", "periodicity", "pitch")


def make(setup: Setup) -> Term:
    if setup.config.head != "source_filter":
        raise ValueError(
            f"loss.terms: {', '.join(TERMS)} need the head source_filter; set their weights to 0, or give "
            "model.head=source_filter"
        )
    loss = ControlLoss(setup.config)

    def compute(x: Pass) -> dict[str, Tensor]:
        assert x.output.controls is not None
        assert x.batch.f0 is not None
        return loss.to(x.target.device)(x.output.controls, x.target, x.batch.f0)

    return Term(TERMS, compute)


class ControlLoss(nn.Module):
    """Distances of controls from those measured on the target: scalars `envelope`, `motion`, `periodicity`, `pitch`.

    `envelope`: mean absolute error of log amplitudes, weighted by level; `motion`: that of their differences between
    patches; `periodicity`: that of the periodic share of the power; `pitch`: that of log2 f0 where voiced.
    """

    envelope_window: Tensor
    envelope_bands: Tensor  # [F, n_bands]
    periodicity_window: Tensor
    periodicity_bands: Tensor  # [F, n_periodic]
    window_correlation: Tensor  # [lags], autocorrelation of the window

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.patch_size, self.sample_rate = config.patch_size, config.sample_rate
        n_fft = 1 << (round(PERIODICITY_WINDOW_S * config.sample_rate) - 1).bit_length()
        for name, seconds, n_bands in (
            ("envelope", ENVELOPE_WINDOW_S, config.envelope_bands),
            ("periodicity", PERIODICITY_WINDOW_S, config.periodicity_bands),
        ):
            window = torch.hann_window(round(seconds * config.sample_rate), dtype=torch.float64)
            window = window / window.norm()
            bands = torch.from_numpy(band_weights(n_bands, n_fft, config.sample_rate))
            self.register_buffer(f"{name}_window", window.float(), persistent=False)
            self.register_buffer(f"{name}_bands", bands.float(), persistent=False)
        own = torch.fft.irfft(torch.fft.rfft(window, 2 * n_fft).abs().square())[: len(window)]
        self.register_buffer("window_correlation", own.float(), persistent=False)

    @torch.no_grad()
    def measure(self, waveform: Tensor, f0: Tensor) -> tuple[Controls, Tensor]:
        """Measure controls of speech `[B, L]` with pitches `[B, T]` in Hz in the middle of patches, 0 where unvoiced.

        Returns them, and the degree of voicing at the end of each patch, `[B, T]` in [0, 1].
        """
        # After the last patch, as in it.
        at_ends = [(x + np.append(x[:, 1:], x[:, -1:], 1)) / 2 for x in interpolate_unvoiced(f0.cpu().numpy())]
        log_f0, voiced = (torch.from_numpy(x).to(waveform.device) for x in at_ends)
        voiced = voiced.float()
        gain = (self._power(waveform, self.envelope_window) @ self.envelope_bands + POWER_FLOOR).log() / 2
        power = self._power(waveform, self.periodicity_window)
        frequencies = torch.arange(power.shape[2], device=power.device) * (self.sample_rate / (2 * power.shape[2] - 2))
        period = torch.exp2(-log_f0.float())[..., None]  # [B, T, 1] s
        lag = (period * self.sample_rate).long().clamp(max=len(self.window_correlation) - 1)
        cosines = torch.cos(2 * math.pi * frequencies * period) / self.window_correlation[lag].clamp(min=0.2)
        correlation = ((power * cosines) @ self.periodicity_bands) / (power @ self.periodicity_bands + POWER_FLOOR)
        share = correlation.clamp(SHARE_LIMIT, 1).pow(SHARE_EXPONENT) * voiced[..., None]
        return Controls(gain, torch.logit(share.clamp(SHARE_LIMIT, 1 - SHARE_LIMIT)), log_f0), voiced

    def forward(self, output: Controls, waveform: Tensor, f0: Tensor) -> dict[str, Tensor]:
        """Distances of `output` from the controls of `waveform` `[B, L]` with pitches `f0` `[B, T]` in Hz."""
        target, voiced = self.measure(waveform, f0)
        inaudible = (target.gain < QUIET) & (output.gain < QUIET)
        error = (output.gain - target.gain.clamp(min=QUIET)).masked_fill(inaudible, 0)
        loudness = ((target.gain - QUIET) / (LOUD - QUIET)).clamp(0.02, 1)
        envelope = (error.abs() * loudness).mean()
        motion = (error.diff(dim=1).abs() * loudness[:, 1:]).mean()
        n_bands, n_periodic = target.gain.shape[2], target.periodicity.shape[2]
        near = (torch.arange(n_periodic, device=voiced.device) * (n_bands - 1) / max(1, n_periodic - 1)).round().long()
        shares = (output.periodicity.sigmoid() - target.periodicity.sigmoid()).abs()
        periodicity = (shares * loudness[..., near]).mean()
        off = (output.log_f0 - target.log_f0).abs().float()
        pitch = (off * voiced).sum() / gather_batch(voiced.sum()[None]).mean().clamp(min=1)
        return {"envelope": envelope, "motion": motion, "periodicity": periodicity, "pitch": pitch}

    def _power(self, x: Tensor, window: Tensor) -> Tensor:
        """Power spectra `[B, T, F]` around the end of each patch."""
        n_fft = 2 * (len(self.envelope_bands) - 1)
        size = len(window)
        x = F.pad(x, (size // 2 - self.patch_size, size - size // 2))
        frames = x.unfold(1, size, self.patch_size)
        return torch.view_as_real(torch.fft.rfft(frames * window, n_fft)).square().sum(-1)


def interpolate_unvoiced(f0: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Interpolate log2 of pitches `[B, T]` in Hz across unvoiced gaps, where they are 0; also returns where voiced."""
    voiced = f0 > 0
    log_f0 = np.full(f0.shape, math.log2(UNVOICED_PITCH))
    at = np.arange(f0.shape[1])
    for row, pitch, known in zip(log_f0, f0, voiced, strict=True):
        if known.any():
            row[:] = np.interp(at, at[known], np.log2(pitch[known]))
    return log_f0, voiced.astype(np.float64)
