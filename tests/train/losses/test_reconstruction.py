"""Reconstruction losses against closed forms."""

import math

import pytest
import torch

from train.losses.reconstruction import ReconstructionLoss, complex_stft

SIZES = (1024, 256, 64)


@pytest.fixture
def loss():
    return ReconstructionLoss(24_000, SIZES)


@pytest.fixture
def noise():
    return torch.randn(2, 24_000, generator=torch.Generator().manual_seed(0))


def test_equal_signals_have_no_distance(loss, noise):
    assert all(value == 0 for value in loss(noise, noise.clone()).values())


def test_a_gain_moves_log_mel_by_its_logarithm(loss, noise):
    parts = loss(2 * noise, noise)
    assert parts["log_mel"] == pytest.approx(math.log(2), rel=5e-3)
    assert parts["waveform"] == pytest.approx(float(noise.abs().mean()), rel=1e-5)


def test_white_noise_has_unit_magnitude_at_every_size(noise):
    for size in SIZES:
        window = torch.hann_window(size)
        power = complex_stft(noise, window / window.norm()).square().sum(-1)[:, 2:-2, 4:-4].mean()
        assert power == pytest.approx(1.0, rel=0.05)


def test_stft_loss_by_hand(noise):
    window = torch.hann_window(256)
    magnitudes = [
        torch.stft(x, 256, 64, window=window, pad_mode="constant", return_complex=True).abs() / window.norm()
        for x in (noise, 0.3 * noise.flip(1))
    ]
    expected = (magnitudes[0] - magnitudes[1]).abs().mean()
    parts = ReconstructionLoss(24_000, (256,))(noise, 0.3 * noise.flip(1))
    assert parts["stft"] == pytest.approx(float(expected), rel=1e-4)


def test_silence_has_finite_gradients(loss):
    output = torch.zeros(1, 4800, requires_grad=True)
    sum(loss(output, 0.1 * torch.randn(1, 4800)).values()).backward()
    assert torch.isfinite(output.grad).all()
    assert output.grad.abs().sum() > 0


def test_the_target_is_not_learned_from(loss, noise):
    target = noise.clone().requires_grad_()
    parts = loss(noise.flip(1).requires_grad_(), target)
    (parts["stft"] + parts["log_mel"]).backward()
    assert target.grad is None


@pytest.mark.parametrize("size", SIZES)
def test_every_mel_band_averages_some_bins(loss, size):
    bank = getattr(loss, f"mel_{size}")
    torch.testing.assert_close(bank.sum(0), torch.ones(bank.shape[1]))
