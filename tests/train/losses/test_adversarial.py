"""Hinge and feature losses by hand."""

import torch

from train.losses.adversarial import discriminator_hinge, feature_distance, generator_hinge

REAL = [[torch.tensor([1.0, 2.0]), torch.tensor([0.5, 2.0])], [torch.tensor([0.0]), torch.tensor([-1.0])]]
FAKE = [[torch.tensor([1.0, 5.0]), torch.tensor([-2.0, 0.0])], [torch.tensor([2.0]), torch.tensor([1.0])]]


def test_discriminator_hinge():
    # First: mean(0.5, 0) + mean(0, 1); second: 2 + 2.
    assert discriminator_hinge(REAL, FAKE) == (0.25 + 0.5 + 4) / 2


def test_generator_hinge():
    assert generator_hinge(FAKE) == (1 + -1) / 2


def test_feature_distance_is_the_mean_over_layers_and_discriminators():
    # Layers: mean(0, 3), mean(2.5, 2), 2, 2.
    assert feature_distance(REAL, FAKE) == (1.5 + 2.25 + 2 + 2) / 4


def test_no_gradient_reaches_the_real_features():
    real = [[torch.ones(3, requires_grad=True)]]
    fake = [[torch.zeros(3, requires_grad=True)]]
    feature_distance(real, fake).backward()
    assert real[0][0].grad is None
    assert fake[0][0].grad is not None
