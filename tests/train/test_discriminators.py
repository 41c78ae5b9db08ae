"""Discriminators: shapes, and that they can tell two signals apart."""

import pytest
import torch

from train.discriminators import DiscriminatorConfig, Discriminators, split_maps
from train.losses.adversarial import discriminator_hinge

SMALL = DiscriminatorConfig(fft_sizes=(126, 76), channels=4)


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


def test_halves_of_a_batch():
    discriminators = Discriminators(SMALL)
    a, b = torch.randn(2, 1, 2400)
    both = discriminators(torch.cat([a, b]))
    for joint, alone in zip(split_maps(both), (discriminators(a), discriminators(b)), strict=True):
        for x, y in zip(joint, alone, strict=True):
            for m, n in zip(x, y, strict=True):
                torch.testing.assert_close(m, n, atol=1e-5, rtol=1e-4)


def test_chosen_ones_are_those_of_all_and_the_others_have_no_gradient():
    discriminators = Discriminators(SMALL)
    x = torch.randn(2, 2400)
    (some,) = discriminators(x, [1])
    torch.testing.assert_close(some, discriminators(x)[1])
    some[-1].sum().backward()
    assert not any(p.grad.any() for p in discriminators.discriminators[0].parameters())
    assert any(p.grad.any() for p in discriminators.discriminators[1].parameters())


def test_it_learns_to_tell_noise_from_tones():
    torch.manual_seed(0)
    discriminators = Discriminators(SMALL)
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
        ({"crop_s": -1.0}, "crop_s"),
    ],
)
def test_bad_settings(changes, named):
    with pytest.raises(ValueError, match=named):
        DiscriminatorConfig(**changes)
