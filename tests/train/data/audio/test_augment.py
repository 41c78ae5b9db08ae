"""Each change does what its numbers say, keeps the length and the type, and never clips."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.data.audio.augment import (
    MAX_PEAK,
    AugmentConfig,
    add_noise,
    add_reverb,
    apply_gain,
    augment,
    change_speed,
    lowpass,
    rms,
    set_loudness,
)

RATE = 24_000


def noise(length: int = RATE, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(0).standard_normal(length)).astype(np.float32)


@given(
    seed=st.integers(0, 1_000),
    length=st.integers(1, 3_000),
    level=st.sampled_from([0.0, 1e-6, 0.1, 5.0]),
    loudness=st.sampled_from([None, (-40.0, 0.0)]),
)
@settings(max_examples=60, deadline=None)
def test_all_at_once_is_finite_and_never_clips(seed, length, level, loudness):
    config = AugmentConfig((-20, 20), loudness, 0.5, 0.7, (300, 20_000), 0.7, (-5, 30), 0.7, (0.01, 0.2))
    x = noise(length, level)
    y, again = (augment(x, RATE, config, np.random.default_rng(seed)) for _ in range(2))
    assert y.shape == x.shape
    assert y.dtype == np.float32
    assert np.abs(y).max() < 1
    np.testing.assert_array_equal(y, again)


def test_default_is_a_gain_in_its_range():
    x = noise(level=0.01)
    louder = [augment(x, RATE, AugmentConfig(), np.random.default_rng(i)) for i in range(200)]
    gains = [20 * np.log10(rms(y) / rms(x)) for y in louder]
    assert -6.01 < min(gains) < -5
    assert 5 < max(gains) < 6.01


@pytest.mark.parametrize("speed", [0.8, 1.0, 1.25])
def test_speed_moves_a_tone_and_its_end(speed):
    x = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    y = change_speed(x, speed, RATE)
    assert len(y) == pytest.approx(RATE / speed, abs=1)
    assert np.abs(np.fft.rfft(y)).argmax() * RATE / len(y) == pytest.approx(1000 * speed, rel=1e-3)


def test_gain_stops_at_the_peak():
    assert np.abs(apply_gain(noise(), 40)).max() == pytest.approx(MAX_PEAK, abs=1e-4)


def test_loudness():
    assert 20 * np.log10(rms(set_loudness(noise(), -30))) == pytest.approx(-30, abs=0.01)
    assert not set_loudness(np.zeros(9, np.float32), -30).any()


@pytest.mark.parametrize("is_pink", [False, True])
@pytest.mark.parametrize("snr_db", [0, 20])
def test_noise_has_the_snr_asked_for(is_pink, snr_db):
    x = noise()
    added = add_noise(x, snr_db, is_pink, np.random.default_rng(1)) - x
    assert 20 * np.log10(rms(x) / rms(added)) == pytest.approx(snr_db, abs=0.05)
    spectrum = np.abs(np.fft.rfft(added)) ** 2
    ratio_db = 10 * np.log10(spectrum[100:200].mean() / spectrum[3_200:6_400].mean())  # five octaves apart
    assert ratio_db == pytest.approx(15 if is_pink else 0, abs=2)


def test_lowpass_removes_only_what_is_above():
    spectrum = np.abs(np.fft.rfft(noise())) ** 2
    filtered = np.abs(np.fft.rfft(lowpass(noise(), 4_000, RATE))) ** 2
    assert filtered[4_100:].sum() < 1e-3 * spectrum[4_100:].sum()
    assert filtered[:3_500].sum() == pytest.approx(spectrum[:3_500].sum(), rel=0.01)


def test_reverb_decays_after_a_click():
    click = np.zeros(RATE, np.float32)
    click[1_000] = 1
    wet = add_reverb(click, 0.2, RATE, np.random.default_rng(0))
    assert np.abs(wet[:999]).max() < 1e-6  # causal
    assert rms(wet) == pytest.approx(rms(click), rel=1e-3)
    early, late = rms(wet[1_100:1_700]), rms(wet[1_000 + 4_000 : 1_000 + 4_600])
    assert 20 * np.log10(early / late) == pytest.approx(60 * 3_800 / 4_800, abs=6)


@pytest.mark.parametrize(
    ("name", "value"),
    [("noise_prob", 1.5), ("gain_db", (3, -3)), ("gain_db", None), ("lowpass_hz", (0, 100)), ("reverb_s", (1,))],
)
def test_bad_values_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        AugmentConfig(**{name: value})


def test_lists_become_tuples():
    assert AugmentConfig(gain_db=[-3, 3]).gain_db == (-3.0, 3.0)
