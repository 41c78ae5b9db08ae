"""Finite scalar quantization."""

import torch

from codec.quant.fsq import FSQ

LEVELS = (21, 5, 8)
MODES = torch.tensor([0, 1, 2])


def test_round_trip_of_all_codes():
    fsq = FSQ(LEVELS)
    for channel, n in enumerate(LEVELS):
        codes = torch.zeros(1, n, 3, dtype=torch.long)
        codes[0, :, channel] = torch.arange(n)
        values = fsq.decode(codes)
        assert values[0, 0, channel] == -1
        assert values[0, -1, channel] == 1
        assert torch.equal(fsq.encode(torch.atanh(values.clamp(-1 + 1e-6, 1 - 1e-6))), codes)


def test_absent_channels_are_zero():
    values = FSQ(LEVELS).decode(torch.zeros(1, 2, 1, dtype=torch.long))
    assert values[0, 0].tolist() == [-1, 0, 0]


def test_training_modes():
    """Rounded values carry a straight-through gradient, dithered ones stay within 1 / levels, the rest pass."""
    fsq = FSQ(LEVELS)
    x = torch.randn(3, 500, 3, requires_grad=True)
    values, codes = fsq(x, MODES, torch.Generator().manual_seed(0))
    bounded = torch.tanh(x)
    torch.testing.assert_close(values[0], fsq.decode(codes)[0])
    offset = (values[1] - bounded[1]).abs() * torch.tensor(LEVELS)
    assert 0.9 < offset.max() <= 1 + 1e-5
    assert torch.equal(values[2], bounded[2])
    values.sum().backward()
    torch.testing.assert_close(x.grad, 1 - bounded.detach().square())
