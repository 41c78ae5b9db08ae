"""Distances against definitions, closed forms and independent code."""

import math

import librosa
import numpy as np
import pytest
import soxr
import torch

from eval.metrics.signal import (
    RESOLUTIONS,
    mel_distance,
    mel_distance_dac,
    mel_distance_dac_paper,
    si_sdr,
    stft_distance,
    stft_distance_dac,
)

DAC = [mel_distance_dac, mel_distance_dac_paper, stft_distance_dac]
SPECTRAL = [mel_distance, stft_distance, *DAC]


def log_mel(x):
    mel = librosa.feature.melspectrogram(
        y=x, sr=24_000, n_fft=1024, hop_length=256, n_mels=80, fmin=0, fmax=12_000, power=1, pad_mode="constant"
    )
    return np.log(np.maximum(mel, 1e-5))


def dac_loss(reference, output, n_fft, n_mels=None, power=2, magnitudes=True):
    """One resolution of DAC's losses, by librosa."""
    r, x = (np.abs(librosa.stft(y, n_fft=n_fft, pad_mode="reflect")) for y in (reference, output))
    if n_mels:
        r, x = (librosa.filters.mel(sr=24_000, n_fft=n_fft, n_mels=n_mels) @ y for y in (r, x))
    logs = [np.log10(np.maximum(y, 1e-5) ** power) for y in (r, x)]
    return np.abs(logs[0] - logs[1]).mean() + magnitudes * np.abs(r - x).mean()


def test_identical_spectra_have_no_distance(speech):
    assert [distance(speech, speech) for distance in SPECTRAL] == [0] * 5


def test_mel_distance_is_librosas(speech, noise):
    output = speech + 0.1 * noise
    expected = np.abs(log_mel(speech) - log_mel(output)).mean()
    assert mel_distance(speech, output) == pytest.approx(expected, rel=1e-4)


def test_stft_distance_is_its_formula(speech, noise):
    output = speech + 0.1 * noise
    expected = []
    for n_fft, hop in RESOLUTIONS:
        r, x = (np.abs(librosa.stft(y, n_fft=n_fft, hop_length=hop)) for y in (speech, output))
        logs = [np.log(np.maximum(m, 1e-5)) for m in (r, x)]
        expected.append(np.linalg.norm(r - x) / np.linalg.norm(r) + np.abs(logs[0] - logs[1]).mean())
    assert stft_distance(speech, output) == pytest.approx(np.mean(expected), rel=1e-4)


def test_dac_distances_are_librosas(speech, noise):
    output = speech + 0.1 * noise
    expected = sum(dac_loss(speech, output, n_fft) for n_fft in (2048, 512))
    assert stft_distance_dac(speech, output) == pytest.approx(expected, rel=1e-4)
    expected = dac_loss(speech, output, 2048, 150) + dac_loss(speech, output, 512, 80)
    assert mel_distance_dac(speech, output) == pytest.approx(expected, rel=1e-4)
    scales = [dac_loss(speech, output, 32 * 2**i, 5 * 2**i, power=1, magnitudes=False) for i in range(7)]
    assert mel_distance_dac_paper(speech, output) == pytest.approx(sum(scales), rel=1e-4)


@pytest.mark.parametrize("gain", [0.5, 3.0])
def test_a_gain_shifts_logs_by_its_own(noise, gain):
    """White noise is far above the floor everywhere."""
    assert mel_distance(noise, gain * noise) == pytest.approx(abs(np.log(gain)), rel=1e-4)
    expected = abs(gain - 1) + abs(np.log(gain))
    assert stft_distance(noise, gain * noise) == pytest.approx(expected, rel=1e-4)
    assert mel_distance_dac_paper(noise, gain * noise) == pytest.approx(7 * abs(np.log10(gain)), rel=1e-4)
    magnitudes = sum(np.abs(librosa.stft(noise, n_fft=n_fft, pad_mode="reflect")).mean() for n_fft in (2048, 512))
    expected = 4 * abs(np.log10(gain)) + abs(gain - 1) * magnitudes
    assert stft_distance_dac(noise, gain * noise) == pytest.approx(expected, rel=1e-4)


def test_less_band_is_worse(speech):
    limited = [soxr.resample(soxr.resample(speech, 24_000, rate), rate, 24_000) for rate in (16_000, 8_000, 4_000)]
    outputs = [speech, *(x[: len(speech)] for x in limited)]
    for metric in SPECTRAL:
        values = [metric(speech, y) for y in outputs]
        assert values == sorted(values)
        assert values[3] > values[0] + 0.05


def test_si_sdr_of_what_is_orthogonal():
    """A tone, an orthogonal tone at a tenth of its amplitude: 20 dB, at any level and offset of either waveform."""
    phase = 2 * np.pi * np.arange(24_000) / 24_000
    reference, distortion = np.sin(200 * phase), 0.1 * np.sin(300 * phase)
    for gain in (1, -0.2):
        assert si_sdr(reference + 0.3, gain * (reference + distortion) - 0.1) == pytest.approx(20, abs=1e-3)
    assert si_sdr(reference, distortion + 0.001 * reference) == pytest.approx(-40, abs=1e-3)


def test_si_sdr_is_torchmetrics(speech, noise):
    audio = pytest.importorskip("torchmetrics.functional.audio")
    output = 0.5 * speech + 0.3 * noise + 0.01
    x, y = (torch.from_numpy(z).double() for z in (speech, output))
    expected = audio.scale_invariant_signal_distortion_ratio(y, x, zero_mean=True)
    assert si_sdr(speech, output) == pytest.approx(float(expected), abs=1e-4)


def test_si_sdr_is_limited(speech):
    """What is the reference at some level would be infinite; what has nothing of it, infinitely bad."""
    assert si_sdr(speech, speech) == si_sdr(speech, 0.5 * speech) == 100
    tone = np.sin(2 * np.pi * 300 * np.arange(24_000) / 24_000)
    assert si_sdr(tone, np.roll(tone, 20)) == -100  # a quarter of its period later


def test_si_sdr_of_what_is_constant(speech):
    with pytest.raises(ValueError, match="reference: constant"):
        si_sdr(np.full_like(speech, 0.5), speech)
    with pytest.raises(ValueError, match="output: constant"):
        si_sdr(speech, 0 * speech)


def test_tensors(speech, noise):
    output = speech + 0.1 * noise
    for metric in [*SPECTRAL, si_sdr]:
        value = metric(torch.from_numpy(speech), torch.from_numpy(output))
        assert value == metric(speech, output)
        assert math.isfinite(value)


def test_a_silent_reference_has_no_spectral_convergence(speech):
    with pytest.raises(ValueError, match="reference: silent"):
        stft_distance(0 * speech, speech)


@pytest.mark.parametrize("metric", DAC)
def test_dacs_longest_stft_needs_samples(metric, speech):
    with pytest.raises(ValueError, match=r"1024 samples; .* need over 1024"):
        metric(speech[:1024], speech[:1024])
    assert metric(speech[:1025], speech[:1025]) == 0


@pytest.mark.parametrize("metric", [*SPECTRAL, si_sdr])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:-1], "samples"),
        (lambda x: x[None], "expected"),
        (lambda x: (x * 32767).astype(np.int16), "expected"),
        (lambda x: x * np.nan, "NaN"),
        (lambda x: x[:0], "at least one"),
    ],
)
def test_pairs_are_checked(metric, change, message, speech):
    with pytest.raises(ValueError, match=message):
        metric(speech, change(speech))
