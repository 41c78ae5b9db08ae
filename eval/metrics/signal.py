"""Distances between spectra of equally long waveforms `[L]`; 0 is best, and missing bandwidth costs most.

Both run on the device of the reference, so that training can call them too. Do not rank narrowband
against wideband codecs by them: what lies above the band outweighs everything within it.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torchaudio.functional import melscale_fbanks

from eval.metrics.base import Waveform, check_pair

FLOOR = 1e-5  # magnitudes below it count as silence
MEL_N_FFT, MEL_HOP, N_MELS = 1024, 256, 80
RESOLUTIONS = ((512, 128), (1024, 256), (2048, 512))  # FFT size and hop of each STFT


def mel_distance(reference: Waveform, output: Waveform, sample_rate: int = 24_000) -> float:
    """Mean absolute difference of natural-log mel magnitudes.

    STFT 1024/256 with a Hann window; 80 Slaney mels up to half of `sample_rate` (12 kHz at 24 kHz).

    Raises:
        ValueError: see `check_pair`.
    """
    mels = [
        _log(_mel_filters(sample_rate).to(x.device) @ _magnitudes(x, MEL_N_FFT, MEL_HOP))
        for x in _pair(reference, output)
    ]
    return float((mels[0] - mels[1]).abs().mean())


def stft_distance(reference: Waveform, output: Waveform, sample_rate: int = 24_000) -> float:
    """Multi-resolution STFT distance: spectral convergence + mean absolute log difference, mean over `RESOLUTIONS`.

    Spectral convergence is ||R - X|| / ||R||, Frobenius norms of the magnitudes. It does not depend on `sample_rate`.

    Raises:
        ValueError: the reference is silent; see also `check_pair`.
    """
    reference, output = _pair(reference, output)
    if not bool(reference.any()):
        raise ValueError("reference: silent; spectral convergence is relative to it")
    distances = []
    for n_fft, hop in RESOLUTIONS:
        r, x = _magnitudes(reference, n_fft, hop), _magnitudes(output, n_fft, hop)
        distances.append((r - x).norm() / r.norm() + (_log(r) - _log(x)).abs().mean())
    return float(torch.stack(distances).mean())


def _pair(reference: Waveform, output: Waveform) -> tuple[Tensor, Tensor]:
    reference, output = check_pair(reference, output)
    return reference, output.to(reference.device)


def _magnitudes(waveform: Tensor, n_fft: int, hop: int) -> Tensor:
    """STFT magnitudes `[n_fft // 2 + 1, T]`; frames are centred and see zeros beyond both ends."""
    window = torch.hann_window(n_fft, device=waveform.device)
    return torch.stft(waveform, n_fft, hop, window=window, pad_mode="constant", return_complex=True).abs()


def _log(magnitudes: Tensor) -> Tensor:
    return magnitudes.clamp(min=FLOOR).log()


@cache
def _mel_filters(sample_rate: int) -> Tensor:
    """`[N_MELS, bins]`, each of unit area over Hz."""
    bins = MEL_N_FFT // 2 + 1
    return melscale_fbanks(bins, 0.0, sample_rate / 2, N_MELS, sample_rate, norm="slaney", mel_scale="slaney").T
