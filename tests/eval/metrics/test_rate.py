"""Resampling for measures."""

import numpy as np
import pytest
import torch

from eval.metrics.base import at_rate


def test_a_tone_keeps_its_frequency():
    time = np.arange(24_000) / 24_000
    x = at_rate(np.sin(2 * np.pi * 440 * time), 24_000, 16_000, "output")
    assert x.dtype == np.float32
    expected = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(x[200:-200], expected[200:-200], atol=1e-4)


def test_the_same_rate_changes_nothing(speech):
    np.testing.assert_array_equal(at_rate(torch.from_numpy(speech), 24_000, 24_000, "output"), speech)


def test_silence_is_named():
    with pytest.raises(ValueError, match="output: silent"):
        at_rate(np.zeros(100, np.float32), 24_000, 16_000, "output")
