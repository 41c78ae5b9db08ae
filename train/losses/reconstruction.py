"""Reconstruction losses: samples, STFT magnitudes, log-mel bands."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

from train.losses.terms import Setup, Term

EPSILON = 1e-5  # smallest magnitude, for a finite slope
# Added before the logarithm. Bands of speech are about 0.01 to 1, those of room noise 0.0001: with a smaller floor,
# most of the gradient would go into the noise between words.
LOG_FLOOR = 1e-3
MELS_PER_BIN = 0.15  # 2048 samples give 307 bands, 64 give 9, as in DAC


def make(setup: Setup) -> Term:
    loss = ReconstructionLoss(setup.config.sample_rate, setup.loss.fft_sizes)
    names = ("waveform", "stft", "log_mel")
    return Term(names, lambda x: loss.to(x.target.device)(x.waveform, x.target), uses_waveform=True)


class ReconstructionLoss(nn.Module):
    """L1 distances of waveforms `[B, L]`: samples, and over several FFT sizes magnitudes and log-mel bands.

    Windows are Hann with a hop of a quarter and unit energy: white noise of power 1 has magnitudes of about 1 at every
    size, so all sizes have equal weight.

    Args:
        sample_rate: in Hz.
        fft_sizes: in samples.
    """

    def __init__(self, sample_rate: int, fft_sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.fft_sizes = fft_sizes
        for size in fft_sizes:
            window = torch.hann_window(size)
            bank = melscale_fbanks(
                size // 2 + 1, 0, sample_rate / 2, max(4, int(MELS_PER_BIN * size)), sample_rate, "slaney", "slaney"
            )
            bank = bank[:, bank.sum(0) > 0]  # narrow bands between two bins of a short FFT are empty
            self.register_buffer(f"window_{size}", window / window.norm(), persistent=False)
            self.register_buffer(f"mel_{size}", bank / bank.sum(0), persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Scalars `waveform`, `stft` and `log_mel`, unweighted, in float32."""
        losses = {"waveform": (output - target).abs().mean()}
        stft, log_mel = output.new_zeros(()), output.new_zeros(())
        for size in self.fft_sizes:
            a, a_bands = self._spectra(output, size)
            with torch.no_grad():  # halves the backward pass
                b, b_bands = self._spectra(target, size)
            stft = stft + (a - b).abs().mean()
            log_mel = log_mel + (a_bands - b_bands).abs().mean()
        n = len(self.fft_sizes)
        return {**losses, "stft": stft / n, "log_mel": log_mel / n}

    def _spectra(self, x: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Magnitudes `[B, F, T]` and logarithms of mel bands `[B, T, M]`."""
        magnitude = stft_magnitude(x, getattr(self, f"window_{size}"))
        return magnitude, (magnitude.mT @ getattr(self, f"mel_{size}")).add(LOG_FLOOR).log()


def complex_stft(x: Tensor, window: Tensor) -> Tensor:
    """STFT of `[B, L]` with a hop of a quarter of the window: `[B, F, T, 2]`, real and imaginary parts."""
    size = len(window)
    z = torch.stft(x, size, size // 4, window=window, pad_mode="constant", return_complex=True)
    return torch.view_as_real(z)


def stft_magnitude(x: Tensor, window: Tensor) -> Tensor:
    """Magnitudes `[B, F, T]` of `complex_stft`, with a finite slope at 0."""
    return complex_stft(x, window).square().sum(-1).clamp(min=EPSILON**2).sqrt()
