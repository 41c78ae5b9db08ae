"""Distances between equally long waveforms `[L]` and between their spectra.

All run on the device of the reference, so that training can call them too. Do not rank narrowband
against wideband codecs by spectra: the missing band outweighs everything else.

"Mel distance" and "STFT distance" have different definitions in different papers, whose numbers are not comparable:

- `mel_distance`: one resolution, natural logarithm, mean. `stft_distance`: three resolutions; spectral
  convergence is added to the mean difference of natural logarithms.
- `mel_distance_dac`, `stft_distance_dac`: what DAC's scripts/evaluate.py measures unless it is given a
  configuration: the defaults of its loss classes. Decimal logarithms of power and differences of
  magnitudes, sums over the resolutions.
- `mel_distance_dac_paper`: DAC's training loss as its configurations set it, which its paper (Kumar et al.,
  2023, section 4.4) names as its mel distance. Seven resolutions, decimal logarithms of magnitudes only.
  The STFT distance of the configurations is that of the defaults.

DAC's script resamples to 22.05 and 44.1 kHz; here waveforms keep their rate. The paper of Voxtral TTS does not define
the mel and STFT distances of its table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache

import torch
from torch import Tensor
from torchaudio.functional import melscale_fbanks

from eval.metrics.base import Waveform, check_pair

FLOOR = 1e-5  # magnitudes are raised to it
MAX_SI_SDR = 100.0  # dB; 16-bit samples hold 98
MEL_N_FFT, MEL_HOP, N_MELS = 1024, 256, 80
RESOLUTIONS = ((512, 128), (1024, 256), (2048, 512))  # FFT size and hop of each STFT
DAC_N_FFTS = (2048, 512)  # DAC's hops are a quarter of the FFT size
DAC_MELS = ((2048, 150), (512, 80))  # FFT size and mels
DAC_PAPER_MELS = ((32, 5), (64, 10), (128, 20), (256, 40), (512, 80), (1024, 160), (2048, 320))


def si_sdr(reference: Waveform, output: Waveform, sample_rate: int = 24_000) -> float:
    """Scale-invariant signal-to-distortion ratio in dB, of the waveforms less their means; more is better.

    The energy of the reference, scaled to be nearest to the output, over that of the difference. It depends on phase:
    a codec that sounds perfect may score below 0. It does not depend on `sample_rate`. Ratios are limited to
    +-`MAX_SI_SDR`, so that means are finite where an output equals its reference.

    Raises:
        ValueError: a waveform is constant; see also `check_pair`.
    """
    r, x = (x.double() - x.double().mean() for x in _pair(reference, output))
    for name, centred in (("reference", r), ("output", x)):
        if not bool(centred.any()):
            raise ValueError(f"{name}: constant; SI-SDR is relative to what varies")
    target = (x @ r) / (r @ r) * r
    ratio = 10 * torch.log10(target.square().sum() / (x - target).square().sum())
    return float(ratio.clamp(-MAX_SI_SDR, MAX_SI_SDR))


def mel_distance(reference: Waveform, output: Waveform, sample_rate: int = 24_000) -> float:
    """Mean absolute difference of natural-log mel magnitudes; 0 is best.

    STFT 1024/256 with a Hann window; 80 Slaney mels up to half of `sample_rate` (12 kHz at 24 kHz).

    Raises:
        ValueError: see `check_pair`.
    """
    filters = _mel_filters(sample_rate, MEL_N_FFT, N_MELS)
    mels = [_log(filters.to(x.device) @ _magnitudes(x, MEL_N_FFT, MEL_HOP)) for x in _pair(reference, output)]
    return float((mels[0] - mels[1]).abs().mean())


def stft_distance(reference: Waveform, output: Waveform, sample_rate: int = 24_000) -> float:
    """Multi-resolution STFT distance: spectral convergence + mean absolute log difference, mean over `RESOLUTIONS`.

    Spectral convergence is ||R - X|| / ||R||, Frobenius norms of the magnitudes; 0 is best. It does not
    depend on `sample_rate`.

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


def mel_distance_dac(reference: Waveform, output: Waveform, sample_rate: int = 24_000) -> float:
    """Mean absolute difference of log10 mel power + that of mel magnitudes, summed over `DAC_MELS`; 0 is best.

    Hann windows; Slaney mels up to half of `sample_rate`. It depends on the level.

    Raises:
        ValueError: there are no more than 1,024 samples; see also `check_pair`.
    """
    pairs = _dac_mels(reference, output, sample_rate, DAC_MELS)
    return float(sum(2 * _log10_difference(r, x) + (r - x).abs().mean() for r, x in pairs))


def mel_distance_dac_paper(reference: Waveform, output: Waveform, sample_rate: int = 24_000) -> float:
    """Mean absolute difference of log10 mel magnitudes, summed over `DAC_PAPER_MELS`; 0 is best.

    Hann windows; Slaney mels up to half of `sample_rate`.

    Raises:
        ValueError: as `mel_distance_dac`.
    """
    pairs = _dac_mels(reference, output, sample_rate, DAC_PAPER_MELS)
    return float(sum(_log10_difference(r, x) for r, x in pairs))


def stft_distance_dac(reference: Waveform, output: Waveform, sample_rate: int = 24_000) -> float:
    """Mean absolute difference of log10 power + that of magnitudes, summed over `DAC_N_FFTS`; 0 is best.

    Hann windows. It depends on the level, but not on `sample_rate`.

    Raises:
        ValueError: as `mel_distance_dac`.
    """
    pairs = (_dac_magnitudes(reference, output, n_fft) for n_fft in DAC_N_FFTS)
    return float(sum(2 * _log10_difference(r, x) + (r - x).abs().mean() for r, x in pairs))


def _pair(reference: Waveform, output: Waveform) -> tuple[Tensor, Tensor]:
    reference, output = check_pair(reference, output)
    return reference, output.to(reference.device)


def _dac_mels(
    reference: Waveform, output: Waveform, sample_rate: int, resolutions: Sequence[tuple[int, int]]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Mel magnitudes `[n_mels, T]` of both at each FFT size and number of mels."""
    for n_fft, n_mels in resolutions:
        r, x = _dac_magnitudes(reference, output, n_fft)
        filters = _mel_filters(sample_rate, n_fft, n_mels).to(r.device)
        yield filters @ r, filters @ x


def _dac_magnitudes(reference: Waveform, output: Waveform, n_fft: int) -> tuple[Tensor, Tensor]:
    reference, output = _pair(reference, output)
    if len(reference) <= max(DAC_N_FFTS) // 2:
        raise ValueError(f"reference: {len(reference)} samples; the STFTs of DAC need over {max(DAC_N_FFTS) // 2}")
    hop = n_fft // 4
    return _magnitudes(reference, n_fft, hop, "reflect"), _magnitudes(output, n_fft, hop, "reflect")


def _log10_difference(r: Tensor, x: Tensor) -> Tensor:
    return (_log(r) - _log(x)).abs().mean() / math.log(10)


def _magnitudes(waveform: Tensor, n_fft: int, hop: int, beyond: str = "constant") -> Tensor:
    """STFT magnitudes `[n_fft // 2 + 1, T]`; frames are centred and see zeros (or `reflect`) beyond both ends."""
    window = torch.hann_window(n_fft, device=waveform.device)
    return torch.stft(waveform, n_fft, hop, window=window, pad_mode=beyond, return_complex=True).abs()


def _log(magnitudes: Tensor) -> Tensor:
    return magnitudes.clamp(min=FLOOR).log()


@cache
def _mel_filters(sample_rate: int, n_fft: int, n_mels: int) -> Tensor:
    """`[n_mels, n_fft // 2 + 1]`, each of unit area over Hz."""
    bins = n_fft // 2 + 1
    return melscale_fbanks(bins, 0.0, sample_rate / 2, n_mels, sample_rate, norm="slaney", mel_scale="slaney").T
