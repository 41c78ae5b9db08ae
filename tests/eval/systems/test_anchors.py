"""Anchors: results that are known beforehand."""

import math

import pytest
import torch

from eval.systems.base import SAMPLE_RATE
from eval.systems.registry import ANCHORS, make_system


def tone(hertz: float) -> torch.Tensor:
    return 0.5 * torch.sin(2 * torch.pi * hertz / SAMPLE_RATE * torch.arange(SAMPLE_RATE + 7))


@pytest.mark.parametrize("name", ANCHORS)
def test_every_anchor_is_in_time_and_as_long(name):
    system, x = make_system(name), tone(440)
    y = system.decode(system.encode(x))
    assert (system.name, system.lag, system.codebook_sizes) == (name, 0, ())
    assert y.dtype == torch.float32
    assert abs(len(y) - len(x)) <= 1
    torch.testing.assert_close(y[500:-500], x[500 : len(y) - 500], atol=0.02, rtol=0)


def test_identity_changes_nothing():
    system, x = make_system("identity"), 3 * torch.randn(1000)  # beyond [-1, 1] too
    coded = system.encode(x)
    assert torch.equal(system.decode(coded), x)
    assert coded.bits == 16_000


@pytest.mark.parametrize("rate", [8_000, 12_000, 16_000])
def test_lowpass_keeps_what_its_rate_holds(rate):
    system = make_system(f"lowpass-{rate // 1000}k")
    for hertz, gain in ((0.45 * rate, 1), (0.55 * rate, 0)):
        x = tone(hertz)
        coded = system.encode(x)
        y = system.decode(coded)
        assert coded.bits == pytest.approx(16 * rate * len(x) / SAMPLE_RATE, abs=16)
        middle = slice(2000, 20_000)
        torch.testing.assert_close(y[middle], gain * x[middle], atol=1e-3, rtol=0)


def test_mu_law_follows_its_formula():
    x = torch.linspace(-1.2, 1.2, 5001)
    system = make_system("mulaw")
    coded = system.encode(x)
    y = system.decode(coded)
    assert coded.bits == 8 * len(x)
    for sample, output in zip(x.tolist(), y.tolist(), strict=True):
        sample = max(-1.0, min(1.0, sample))
        level = (math.copysign(math.log1p(255 * abs(sample)) / math.log(256), sample) + 1) / 2 * 255
        compressed = 2 * math.floor(level + 0.5) / 255 - 1
        expected = math.copysign((256 ** abs(compressed) - 1) / 255, compressed)
        between = abs(level % 1 - 0.5) < 1e-4  # float32 may take the level on the other side
        assert output == pytest.approx(expected, abs=2e-5) or between


@pytest.mark.parametrize(("gain", "least"), [(1, 36), (0.1, 34), (0.01, 18)])
def test_mu_law_noise_follows_the_loudness(gain, least):
    system, x = make_system("mulaw"), gain * tone(440)
    noise = system.decode(system.encode(x)) - x
    snr = 10 * torch.log10(x.square().mean() / noise.square().mean())
    assert least < snr < 40
