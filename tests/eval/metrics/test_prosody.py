"""Prosody of harmonic tones, whose pitch and level are known."""

import sys

import numpy as np
import pytest

from codec.extras import MissingDependencyError
from eval.metrics.base import Pair
from eval.metrics.prosody import DYNAMIC_RANGE, make_prosody, prosody


@pytest.fixture(autouse=True)
def praat():
    pytest.importorskip("parselmouth")


def tone(f0, seconds=1.0):
    time = np.arange(round(24_000 * seconds)) / 24_000
    return sum(0.1 / k * np.sin(2 * np.pi * k * f0 * time) for k in range(1, 9)).astype(np.float32)


def test_the_same_has_no_error(speech):
    assert make_prosody().measure(Pair(speech, speech)) == (0, 0, 0)


@pytest.mark.parametrize("cents", [-300, 50, 1200])
def test_pitch_error_is_the_interval(cents):
    found = prosody(tone(150), tone(150 * 2 ** (cents / 1200)))
    assert found.f0_rmse == pytest.approx(abs(cents), abs=0.5)
    assert found.voicing_error == 0


def test_pitch_error_is_a_root_mean_square():
    """Half a second in tune, half a second a semitone off; a step within a sound costs a few frames."""
    output = np.concatenate([tone(150, 0.5), tone(150 * 2 ** (1 / 12), 0.5)])
    assert prosody(tone(150), output).f0_rmse == pytest.approx(100 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("gain", [0.25, 2.0])
def test_energy_error_is_the_gain(gain):
    found = prosody(tone(150), gain * tone(150))
    assert found.energy_rmse == pytest.approx(abs(20 * np.log10(gain)), abs=1e-3)
    assert found.f0_rmse == pytest.approx(0, abs=0.1)


def test_a_muted_half_is_unvoiced_and_as_quiet_as_counts():
    output = tone(150)
    output[12_000:] = 0
    found = prosody(tone(150), output)
    assert found.voicing_error == pytest.approx(0.5, abs=0.03)
    assert found.energy_rmse == pytest.approx(DYNAMIC_RANGE * np.sqrt(0.5), rel=0.05)
    assert found.f0_rmse < 1


def test_other_rates():
    at_48k = [np.repeat(x, 2) for x in (tone(150), tone(159))]
    assert prosody(*at_48k, 48_000).f0_rmse == pytest.approx(1200 * np.log2(159 / 150), abs=0.5)


def test_what_has_no_pitch_has_no_error(noise):
    hiss = noise[:24_000]
    with pytest.raises(ValueError, match="reference: nothing is voiced"):
        prosody(hiss, tone(150))
    with pytest.raises(ValueError, match="output: nothing is voiced where the reference is"):
        prosody(tone(150), hiss)
    with pytest.raises(ValueError, match=r"needs 0\.04 s"):
        prosody(tone(150, 0.03), tone(150, 0.03))
    with pytest.raises(ValueError, match="samples"):
        prosody(tone(150), tone(150, 0.9))


def test_without_praat(monkeypatch):
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    with pytest.raises(MissingDependencyError, match="pip install praat-parselmouth"):
        make_prosody()
