"""Discriminators: shapes, and that they can tell two signals apart."""

from itertools import pairwise

import pytest
import torch

from codec.config import preset
from train.discriminators import BandDiscriminator, Discriminators, PeriodDiscriminator, split_maps
from train.losses.adversarial import AdversarialLoss, discriminator_hinge
from train.losses.config import CodecLossConfig, DiscriminatorConfig
from train.losses.terms import Setup

SMALL = DiscriminatorConfig(fft_sizes=(126, 76), channels=4)
MIXED = DiscriminatorConfig(fft_sizes=(76,), channels=4, periods=(3, 5), band_fft_sizes=(126,))


def test_maps_of_each_layer():
    maps = Discriminators(SMALL)(torch.randn(2, 2400))
    assert len(maps) == 2
    for scale, size in zip(maps, SMALL.fft_sizes, strict=True):
        n_frames = 2400 // (size // 4) + 1
        assert [m.shape[1] for m in scale] == [4, 4, 4, 4, 4, 1]
        assert {m.shape[2] for m in scale} == {n_frames}
        assert scale[0].shape[3] == size // 2 + 1
        assert scale[3].shape[3] == -(-(size // 2 + 1) // 8)


def test_the_paper_sizes():
    count = sum(p.numel() for p in Discriminators(DiscriminatorConfig(channels=16)).parameters())
    per_scale = 2 * 16 * 27 + 3 * 16 * 16 * 27 + 16 * 16 * 9 + 16 * 9  # weights; then gains and biases
    assert count == 8 * (per_scale + 2 * (5 * 16 + 1))


def test_maps_of_periods():
    """Samples that lie a period apart are in one column, and no column sees another."""
    discriminator = PeriodDiscriminator(3, 4)
    maps = discriminator(torch.randn(2, 700))
    assert [m.shape[1] for m in maps] == [4, 16, 64, 256, 256, 1]
    assert [m.shape[2] for m in maps] == [78, 26, 9, 3, 3, 3]
    assert {m.shape[3] for m in maps} == {3}
    x = torch.randn(1, 699, requires_grad=True)
    discriminator(x)[-1][..., 1].sum().backward()
    assert x.grad.view(-1, 3).abs().sum(0).gt(0).tolist() == [False, True, False]


def test_the_sizes_of_hifi_gan():
    count = sum(p.numel() for p in Discriminators(DiscriminatorConfig((), 32, periods=(2, 3, 5, 7, 11))).parameters())
    widths = (1, 32, 128, 512, 1024, 1024)
    weights = sum(5 * a * b for a, b in pairwise(widths)) + 3 * 1024
    assert count == 5 * (weights + 2 * (sum(widths[1:]) + 1))


def test_maps_of_bands():
    """Each layer of each band, and logits of all of them."""
    maps = BandDiscriminator(126, 4)(torch.randn(2, 2400))
    assert len(maps) == 5 * 5 + 1
    assert [m.shape[3] for m in maps[:-1:5]] == [6, 10, 16, 16, 16]  # 64 frequencies
    assert maps[-1].shape == (2, 1, 78, sum(m.shape[3] for m in maps[4:-1:5]))


@pytest.mark.parametrize("config", [SMALL, MIXED], ids=["stft", "mixed"])
def test_halves_of_a_batch(config):
    discriminators = Discriminators(config)
    a, b = torch.randn(2, 1, 2400)
    both = discriminators(torch.cat([a, b]))
    for joint, alone in zip(split_maps(both), (discriminators(a), discriminators(b)), strict=True):
        for x, y in zip(joint, alone, strict=True):
            for m, n in zip(x, y, strict=True):
                torch.testing.assert_close(m, n, atol=1e-5, rtol=1e-4)


def test_a_step_shows_some_of_all_kinds_a_crop():
    """Which ones is a matter of the step alone; the crop is the same of original and reconstruction."""
    config = DiscriminatorConfig((76,), 2, n_sampled=2, crop_s=0.1, periods=(2,), band_fft_sizes=(64,))
    loss = AdversarialLoss(Setup(preset("tiny"), CodecLossConfig(discriminator=config)))
    assert loss.sample(3) == loss.sample(3)
    assert {tuple(loss.sample(n)) for n in range(30)} == {(0, 1), (0, 2), (1, 2)}
    x = torch.arange(12_000.0).expand(3, -1)
    a, b = loss.crop(x, x, torch.Generator().manual_seed(0))
    assert a.shape == (3, 2400)
    assert torch.equal(a, b)
    assert torch.equal(a[0].diff(), torch.ones(2399))


def test_chosen_ones_are_those_of_all_and_the_others_have_no_gradient():
    discriminators = Discriminators(SMALL)
    x = torch.randn(2, 2400)
    (some,) = discriminators(x, [1])
    torch.testing.assert_close(some, discriminators(x)[1])
    some[-1].sum().backward()
    assert not any(p.grad.any() for p in discriminators.discriminators[0].parameters())
    assert any(p.grad.any() for p in discriminators.discriminators[1].parameters())


@pytest.mark.parametrize("config", [SMALL, MIXED], ids=["stft", "mixed"])
def test_it_learns_to_tell_noise_from_tones(config):
    torch.manual_seed(0)
    discriminators = Discriminators(config)
    optimizer = torch.optim.AdamW(discriminators.parameters(), 3e-3)
    t = torch.arange(2400) / 24_000
    losses = []
    for _ in range(30):
        tones = torch.sin(2 * torch.pi * (200 + 2000 * torch.rand(4, 1)) * t)
        loss = discriminator_hinge(*split_maps(discriminators(torch.cat([tones, 0.7 * torch.randn(4, 2400)]))))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 1.8
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"fft_sizes": ()}, "fft_sizes"),
        ({"channels": 0}, "channels"),
        ({"n_sampled": 9}, "n_sampled"),
        ({"periods": (1,)}, "periods"),
        ({"band_fft_sizes": (8,)}, "band_fft_sizes"),
        ({"crop_s": -1.0}, "crop_s"),
    ],
)
def test_bad_settings(changes, named):
    with pytest.raises(ValueError, match=named):
        DiscriminatorConfig(**changes)
