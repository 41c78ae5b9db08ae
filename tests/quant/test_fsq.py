"""Finite scalar quantization."""

import torch

from codec.quant.fsq import FSQ, RANGE, FSQConfig

LEVELS = (21, 5, 8)


def make(**changes):
    return FSQ(FSQConfig(n_channels=3, levels=LEVELS, **changes))


def test_round_trip_of_all_codes():
    fsq = make()
    for channel, n in enumerate(LEVELS):
        codes = torch.zeros(1, 3, n, dtype=torch.long)
        codes[0, channel] = torch.arange(n)
        values = fsq.decode(codes)
        assert values[0, 0, channel] == -1
        assert values[0, -1, channel] == 1
        assert torch.equal(fsq.encode(torch.atanh(values.clamp(-1 + 1e-6, 1 - 1e-6))), codes)


def test_absent_channels_are_zero():
    values = make().decode(torch.zeros(1, 1, 1, dtype=torch.long))
    assert values[0, 0].tolist() == [-1, 0, 0]
    assert not make().decode(torch.zeros(1, 0, 4, dtype=torch.long)).any()


def test_training_modes():
    """Rounded values carry a straight-through gradient, dithered ones stay within 1 / levels, the rest pass."""
    x = torch.randn(500, 3, 3, requires_grad=True)
    bounded = torch.tanh(x)
    for (quantize, noise), mode in (((1.0, 0.0), "rounded"), ((0.0, 1.0), "dithered"), ((0.0, 0.0), "bounded")):
        fsq = make(round_prob=quantize, noise_prob=noise)
        q = fsq(x, torch.Generator().manual_seed(0))
        x.grad = None
        q.z.sum().backward(retain_graph=True)
        torch.testing.assert_close(x.grad, 1 - bounded.detach().square())
        if mode == "rounded":
            torch.testing.assert_close(q.z, fsq.decode(q.codes))
        elif mode == "dithered":
            offset = (q.z - bounded).abs() * torch.tensor(LEVELS)
            assert 0.9 < offset.max() <= 1 + 1e-5
        else:
            assert torch.equal(q.z, bounded)


def test_range_penalty_by_hand():
    x = torch.tensor([[[0.0, RANGE + 1, -RANGE - 2]]], requires_grad=True)
    penalty = make()(x).penalties["range"]
    torch.testing.assert_close(penalty, torch.tensor(5 / 3))
    penalty.backward()
    assert x.grad.flatten().sign().tolist() == [0, 1, -1]


def test_there_is_nothing_to_start_or_learn():
    fsq = make()
    assert fsq.started
    assert fsq.learn(torch.randn(2, 3, 3)) == 0
    assert not fsq.state_dict()
