"""Schedule, decay groups and averaged weights."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from train.optim import WeightAverage, learning_rate, make_optimizer
from train.settings.config import OptimConfig


def test_cosine_over_the_whole_run():
    config = OptimConfig(lr=1.0, warmup_steps=0, decay_share=1.0, final_lr=0.1)
    assert learning_rate(0, 0.0, config) == pytest.approx(1.0)
    assert learning_rate(50, 0.5, config) == pytest.approx(0.55)
    assert learning_rate(100, 1.0, config) == pytest.approx(0.1)


def test_plateau_then_fall():
    config = OptimConfig(lr=1.0, warmup_steps=10, decay_share=0.2)
    rates = [learning_rate(step, step / 100, config) for step in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert set(rates[10:80]) == {1.0}
    assert rates[90] == pytest.approx(0.5)
    assert all(a > b for a, b in pairwise(rates[80:]))


def test_vectors_are_not_decayed():
    network = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    groups = make_optimizer(network, OptimConfig(weight_decay=0.1)).param_groups
    assert [(g["weight_decay"], len(g["params"])) for g in groups] == [(0.1, 1), (0.0, 3)]


def test_average_by_hand_and_put_back():
    network = nn.BatchNorm1d(1, affine=True)
    average = WeightAverage(network, decay=0.5)
    values = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
    expected = 1.0
    for n, value in enumerate(values):
        with torch.no_grad():
            network.weight.fill_(value)
            network.running_mean.fill_(value)
        average.update()
        decay = min(0.5, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * value
    with average.applied():
        assert float(network.weight) == pytest.approx(expected)
        assert float(network.running_mean) == 512.0  # buffers are copied, not averaged
    assert float(network.weight) == 512.0


@pytest.mark.parametrize("field", ["lr", "clip_norm", "ema_decay", "decay_share"])
def test_bad_settings_are_named(field):
    with pytest.raises(ValueError, match=field):
        OptimConfig(**{field: -1.0})
