"""Losses between discriminator and codec: hinge for both sides, and matching of features."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

Maps = list[list[Tensor]]  # per discriminator, the activations of every layer; the last are the logits


def discriminator_hinge(real: Maps, fake: Maps) -> Tensor:
    """Mean over discriminators of max(0, 1 - D(x)) + max(0, 1 + D(G(x)))."""
    losses = [F.relu(1 - r[-1]).mean() + F.relu(1 + f[-1]).mean() for r, f in zip(real, fake, strict=True)]
    return sum(losses[1:], losses[0]) / len(losses)


def generator_hinge(fake: Maps) -> Tensor:
    """Mean over discriminators of -D(G(x)); the paper does without."""
    losses = [-f[-1].mean() for f in fake]
    return sum(losses[1:], losses[0]) / len(losses)


def feature_distance(real: Maps, fake: Maps) -> Tensor:
    """L1 distance of the activations, averaged over layers and discriminators; no gradient to `real`."""
    losses = [
        (r.detach() - f).abs().mean() for rs, fs in zip(real, fake, strict=True) for r, f in zip(rs, fs, strict=True)
    ]
    return sum(losses[1:], losses[0]) / len(losses)
