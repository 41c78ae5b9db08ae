"""Controls measured on sound that was made from known ones."""

import math

import numpy as np
import pytest
import torch

from codec.config import preset
from codec.nn.source_filter import Controls, SourceFilter
from codec.nn.state import Span
from train.losses.controls import ControlLoss, interpolate_unvoiced

CONFIG = preset("tiny", head="source_filter", envelope_bands=24, periodicity_bands=4)
LOSS = ControlLoss(CONFIG)
T = 200


def sound(periodicity, hz=150.0, gain=-3.0):
    head = SourceFilter(CONFIG.patch_size, CONFIG.sample_rate, 24, 4)
    x = torch.full((1, T, head.in_dim), gain)
    x[..., 24:] = periodicity
    log_f0 = torch.full((1, T), math.log2(hz), dtype=torch.float64)
    y, _ = head(x, log_f0, torch.zeros(1, *head.tail_shape), Span(torch.tensor([0]), None))
    return y.flatten(1), head.controls(x, log_f0)


@pytest.mark.parametrize("hz", [90.0, 150.0, 300.0])
def test_what_was_made_is_measured(hz):
    f0 = torch.full((1, T), hz)
    for periodicity in (6.0, -6.0):
        y, made = sound(periodicity, hz)
        measured, voiced = LOSS.measure(y, f0)
        inner = slice(20, -20)
        assert voiced[:, inner].min() == 1
        torch.testing.assert_close(measured.log_f0, made.log_f0)
        # Harmonics that lie apart weigh more in some narrow bands than in others: only the mean must fit.
        assert measured.gain[:, inner].mean() == pytest.approx(-3.0, abs=0.35)
        share = measured.periodicity[:, inner].sigmoid().mean()
        assert (share > 0.9) if periodicity > 0 else (share < 0.5)


def test_loss_is_least_at_the_truth():
    f0 = torch.full((1, T), 150.0)
    y, _ = sound(6.0)
    truth, _ = LOSS.measure(y, f0)
    zero = LOSS(truth, y, f0)
    assert all(float(value) == pytest.approx(0, abs=1e-6) for value in zero.values())
    louder = LOSS(Controls(truth.gain + 0.1, truth.periodicity, truth.log_f0), y, f0)
    assert 0 < float(louder["envelope"]) < 0.1
    assert float(louder["motion"]) == pytest.approx(0, abs=1e-6)
    higher = LOSS(Controls(truth.gain, truth.periodicity, truth.log_f0 + 0.5), y, f0)
    assert float(higher["pitch"]) == pytest.approx(0.5)


def test_the_pitch_at_the_end_is_not_that_of_the_start():
    f0 = torch.tensor([[0.0, 100.0, 100.0, 200.0, 200.0]])
    measured, voiced = LOSS.measure(torch.zeros(1, 5 * CONFIG.patch_size), f0)
    assert measured.log_f0[0, -1] == pytest.approx(math.log2(200))
    assert voiced[0].tolist() == [0.5, 1, 1, 1, 1]


def test_silence_and_what_is_too_soft_to_hear_count_nothing():
    truth, voiced = LOSS.measure(torch.zeros(1, 4800), torch.zeros(1, 20))
    assert not voiced.any()
    quieter = Controls(truth.gain - 5, truth.periodicity, truth.log_f0 + 1)
    values = LOSS(quieter, torch.zeros(1, 4800), torch.zeros(1, 20))
    assert (float(values["envelope"]), float(values["pitch"])) == (0, 0)
    noisy = LOSS(
        Controls(torch.full_like(truth.gain, -3.0), truth.periodicity, truth.log_f0),
        torch.zeros(1, 4800),
        torch.zeros(1, 20),
    )
    assert float(noisy["envelope"]) > 0


def test_gaps_in_the_pitch_are_bridged():
    f0 = np.array([[0, 100, 0, 0, 0, 200, 0], [0, 0, 0, 0, 0, 0, 0]], dtype=np.float32)
    log_f0, voiced = interpolate_unvoiced(f0)
    low, high = math.log2(100), math.log2(200)
    np.testing.assert_allclose(log_f0[0], [low, low, low + 0.25, low + 0.5, low + 0.75, high, high])
    np.testing.assert_allclose(log_f0[1], math.log2(120))
    assert voiced.sum() == 2
