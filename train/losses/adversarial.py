"""Adversarial losses: hinge losses of codec and discriminators, and feature matching."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from train.discriminators import Discriminators, Maps, split_maps
from train.losses.terms import Pass, Setup, Term


def make(setup: Setup) -> Term:
    loss = AdversarialLoss(setup)
    names = ("feature", "adversarial")
    return Term(names, loss, uses_waveform=True, full_precision=False, networks={"discriminators": loss.discriminators})


class AdversarialLoss:
    """Losses of the codec by discriminators; also takes the gradients of the discriminators."""

    def __init__(self, setup: Setup) -> None:
        self.config, self.sample_rate = setup.loss.discriminator, setup.config.sample_rate
        self.discriminators = Discriminators(self.config)

    def __call__(self, x: Pass) -> dict[str, Tensor]:
        """Compute the codec's losses, without gradients to the discriminators; adds those of their own loss."""
        output, target = self.crop(x.waveform, x.target, x.generator)
        chosen = self.sample(x.step)
        real, fake = split_maps(x.networks["discriminators"](torch.cat([target, output.detach()]), chosen))
        x.log["loss/discriminator"] = discriminator_hinge(real, fake)
        (x.scale * x.log["loss/discriminator"]).backward()
        frozen = {name: p.detach() for name, p in self.discriminators.named_parameters()}
        maps = functional_call(self.discriminators, frozen, (output, chosen))
        return {"feature": feature_distance(real, maps), "adversarial": generator_hinge(maps)}

    def crop(self, output: Tensor, target: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Crop reconstructions and originals `[B, L]` at the same random place."""
        length = round(self.config.crop_s * self.sample_rate) or target.shape[1]
        spare = max(0, target.shape[1] - length)
        start = int(torch.randint(spare + 1, (), generator=generator, device=target.device))
        return output[:, start : start + length], target[:, start : start + length]

    def sample(self, step: int) -> list[int]:
        """Sample the discriminators of a step, the same on every rank."""
        order = torch.randperm(self.config.n, generator=torch.Generator().manual_seed(step))
        return sorted(order[: self.config.n_sampled or self.config.n].tolist())


def discriminator_hinge(real: Maps, fake: Maps) -> Tensor:
    """Mean over discriminators of max(0, 1 - D(x)) + max(0, 1 + D(G(x)))."""
    losses = [F.relu(1 - r[-1]).mean() + F.relu(1 + f[-1]).mean() for r, f in zip(real, fake, strict=True)]
    return sum(losses[1:], losses[0]) / len(losses)


def generator_hinge(fake: Maps) -> Tensor:
    """Mean over discriminators of -D(G(x)); not in the paper."""
    losses = [-f[-1].mean() for f in fake]
    return sum(losses[1:], losses[0]) / len(losses)


def feature_distance(real: Maps, fake: Maps) -> Tensor:
    """L1 distance of the activations, averaged over layers and discriminators; no gradient to `real`."""
    losses = [
        (r.detach() - f).abs().mean() for rs, fs in zip(real, fake, strict=True) for r, f in zip(rs, fs, strict=True)
    ]
    return sum(losses[1:], losses[0]) / len(losses)
