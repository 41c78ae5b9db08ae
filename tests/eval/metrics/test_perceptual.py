"""Listening scores on what they are known to say."""

import math

import numpy as np
import pytest
import soxr

from eval.metrics.perceptual import estoi, pesq_nb, pesq_wb, stoi

PESQ = [pesq_wb, pesq_nb]
METRICS = [*PESQ, stoi, estoi]


def test_identical_signals_give_the_best_values(speech):
    """P.862.1 and P.862.2 map the highest raw score, 4.5 and 4.644 in listening scores."""
    best_nb = 0.999 + 4 / (1 + math.exp(-1.4945 * 4.5 + 4.6607))
    best_wb = 0.999 + 4 / (1 + math.exp(-1.3669 * 4.5 + 3.8224))
    assert [metric(speech, speech) for metric in METRICS] == pytest.approx([best_wb, best_nb, 1, 1], abs=1e-3)


def test_gain_plays_no_part(speech, noise):
    output = speech + 0.05 * noise
    for metric in METRICS:
        assert metric(speech, 0.5 * output) == pytest.approx(metric(speech, output), abs=1e-3)


def test_less_band_is_worse(speech):
    limited = [soxr.resample(soxr.resample(speech, 24_000, rate), rate, 24_000) for rate in (16_000, 8_000, 4_000)]
    outputs = [speech, *(x[: len(speech)] for x in limited)]
    for metric in (pesq_wb, estoi):
        values = [metric(speech, y) for y in outputs]
        assert values == sorted(values, reverse=True)
        assert values[3] < values[0] - 0.05


def test_narrowband_hears_no_more_than_its_band(speech):
    limited = soxr.resample(soxr.resample(speech, 24_000, 8_000), 8_000, 24_000)[: len(speech)]
    assert pesq_nb(speech, limited) > 4.4
    assert pesq_wb(speech, limited) < 4


def test_noise_instead_of_speech_scores_low(speech, noise):
    assert pesq_wb(speech, noise) < 1.1
    assert pesq_nb(speech, noise) < 1.3
    assert estoi(speech, noise) < 0.1
    assert stoi(speech, noise) < 0.5


def test_other_rates(speech, noise):
    output = speech + 0.1 * noise
    at_16k = [soxr.resample(x, 24_000, 16_000, quality="VHQ") for x in (speech, output)]
    assert pesq_wb(*at_16k, 16_000) == pytest.approx(pesq_wb(speech, output), abs=1e-3)


@pytest.mark.parametrize("metric", METRICS)
def test_silence_and_snippets_have_no_score(metric, speech):
    with pytest.raises(ValueError, match="reference: silent"):
        metric(0 * speech, speech)
    with pytest.raises(ValueError, match="output: silent"):
        metric(speech, 0 * speech)
    with pytest.raises(ValueError, match=r"STOI: .* needs 0.4 s|PESQ: .*1/4 of a second"):
        metric(speech[20_000:21_000], speech[20_000:21_000])


@pytest.mark.parametrize("metric", PESQ)
def test_pesq_of_long_files(metric, speech):
    long = np.tile(speech, 12)
    with pytest.raises(ValueError, match=r"PESQ: .* at most 30 s"):
        metric(long, long)


def test_stoi_needs_enough_speech(speech):
    mostly_silent = np.pad(speech[20_000:27_000], (0, 48_000))
    with pytest.raises(ValueError, match="STOI: Not enough"):
        stoi(mostly_silent, mostly_silent)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("change", "message"),
    [(lambda x: x[:-1], "samples"), (lambda x: x[None], "expected"), (lambda x: x * np.nan, "NaN")],
)
def test_pairs_are_checked(metric, change, message, speech):
    with pytest.raises(ValueError, match=message):
        metric(speech, change(speech))
