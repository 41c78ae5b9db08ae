"""The low anchor is that of BS.1534."""

import numpy as np
import pytest

from eval.listen.trials import low_anchor

RATE = 24_000


@pytest.fixture(scope="module")
def response():
    """Gain in dB at a frequency in Hz."""
    impulse = np.zeros(RATE, np.float32)
    impulse[RATE // 2] = 1.0
    gains = 20 * np.log10(np.abs(np.fft.rfft(low_anchor(impulse, RATE))) + 1e-9)
    return lambda low, high: gains[low : high + 1]


def test_response(response):
    assert np.abs(response(0, 3500)).max() < 0.1
    assert response(4000, 4499).max() < -25
    assert response(4500, 12_000).max() < -50


def test_length_and_place():
    x = np.zeros(1001, np.float32)
    x[300] = 1.0
    y = low_anchor(x, RATE)
    assert (y.shape, y.dtype, y.argmax()) == (x.shape, x.dtype, 300)
    assert len(low_anchor(x[:10], RATE)) == 10
