"""Metrics against definitions, closed forms and independent code."""

import librosa
import numpy as np
import pytest
import soundfile
import soxr
import torch

from eval.metrics.perceptual import estoi, pesq_wb, stoi
from eval.metrics.signal import RESOLUTIONS, mel_distance, stft_distance

METRICS = [pesq_wb, stoi, estoi, mel_distance, stft_distance]


@pytest.fixture(scope="module")
def speech():
    return soundfile.read("tests/data/kathleen.flac", dtype="float32")[0]


@pytest.fixture(scope="module")
def noise(speech):
    return 0.1 * np.random.default_rng(0).standard_normal(len(speech), dtype=np.float32)


def log_mel(x):
    mel = librosa.feature.melspectrogram(
        y=x, sr=24_000, n_fft=1024, hop_length=256, n_mels=80, fmin=0, fmax=12_000, power=1, pad_mode="constant"
    )
    return np.log(np.maximum(mel, 1e-5))


def test_identical_signals_give_the_best_values(speech):
    values = [metric(speech, speech) for metric in METRICS]
    assert values == pytest.approx([4.644, 1, 1, 0, 0], abs=1e-3)


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


@pytest.mark.parametrize("gain", [0.5, 3.0])
def test_a_gain_shifts_logs_by_its_own(noise, gain):
    """White noise is far above the floor everywhere."""
    assert mel_distance(noise, gain * noise) == pytest.approx(abs(np.log(gain)), rel=1e-4)
    expected = abs(gain - 1) + abs(np.log(gain))
    assert stft_distance(noise, gain * noise) == pytest.approx(expected, rel=1e-4)


def test_perceptual_metrics_ignore_gain(speech, noise):
    output = speech + 0.05 * noise
    for metric in (pesq_wb, stoi, estoi):
        assert metric(speech, 0.5 * output) == pytest.approx(metric(speech, output), abs=1e-3)


def test_less_band_is_worse(speech):
    limited = [soxr.resample(soxr.resample(speech, 24_000, rate), rate, 24_000) for rate in (16_000, 8_000, 4_000)]
    outputs = [speech, *(x[: len(speech)] for x in limited)]
    for metric, sign in [(pesq_wb, -1), (estoi, -1), (mel_distance, 1), (stft_distance, 1)]:
        values = [sign * metric(speech, y) for y in outputs]
        assert values == sorted(values)
        assert values[3] > values[0] + 0.05


def test_noise_instead_of_speech_scores_low(speech, noise):
    assert pesq_wb(speech, noise) < 1.1
    assert estoi(speech, noise) < 0.1
    assert stoi(speech, noise) < 0.5


def test_tensors_and_other_rates(speech, noise):
    output = speech + 0.1 * noise
    assert mel_distance(torch.from_numpy(speech), torch.from_numpy(output)) == mel_distance(speech, output)
    at_16k = [soxr.resample(x, 24_000, 16_000, quality="VHQ") for x in (speech, output)]
    assert pesq_wb(*at_16k, 16_000) == pytest.approx(pesq_wb(speech, output), abs=1e-3)


@pytest.mark.parametrize("metric", [pesq_wb, stoi, estoi, stft_distance])
def test_a_silent_reference_has_no_score(metric, speech):
    with pytest.raises(ValueError, match="reference: silent"):
        metric(0 * speech, speech)


@pytest.mark.parametrize("metric", [pesq_wb, stoi, estoi])
def test_silence_and_snippets_have_no_score(metric, speech):
    with pytest.raises(ValueError, match="output: silent"):
        metric(speech, 0 * speech)
    with pytest.raises(ValueError, match=r"STOI: .* needs 0.4 s|PESQ: .*1/4 of a second"):
        metric(speech[20_000:21_000], speech[20_000:21_000])


def test_pesq_of_long_files(speech):
    long = np.tile(speech, 12)
    with pytest.raises(ValueError, match=r"PESQ: .* at most 30 s"):
        pesq_wb(long, long)


def test_stoi_needs_enough_speech(speech):
    mostly_silent = np.pad(speech[20_000:27_000], (0, 48_000))
    with pytest.raises(ValueError, match="STOI: Not enough"):
        stoi(mostly_silent, mostly_silent)


@pytest.mark.parametrize("metric", METRICS)
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
