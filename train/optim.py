"""Optimizers, the learning-rate schedule and the averaged weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from train.settings.config import OptimConfig


def make_optimizer(network: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """Make AdamW for a network, with weight decay of parameters with two or more dimensions."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], config.lr, config.betas, fused=True)


def learning_rate(step: int, passed: float, config: OptimConfig) -> float:
    """Learning rate of a step from 0, after a share `passed` in [0, 1] of the run; see `OptimConfig`."""
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    fallen = max(0.0, passed - (1 - config.decay_share)) / config.decay_share if config.decay_share else 0.0
    fall = config.final_lr + (1 - config.final_lr) * (1 + math.cos(math.pi * fallen)) / 2
    return config.lr * warm * fall


class WeightAverage:
    """An exponential moving average of a network's parameters; buffers are copied.

    The decay grows as (1 + n) / (10 + n) up to its configured value, so that initial weights are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay, self.n_updates = network, decay, 0
        self.tensors = {name: t.detach().clone() for name, t in network.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        decay = min(self.decay, (1 + self.n_updates) / (10 + self.n_updates))
        self.n_updates += 1
        averaged = dict(self.network.named_parameters())
        for name, t in self.network.state_dict().items():
            if name in averaged:
                self.tensors[name].lerp_(t, 1 - decay)
            else:
                self.tensors[name].copy_(t)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Use the averaged weights in the network within the context."""
        kept = {name: t.detach().clone() for name, t in self.network.state_dict().items()}
        self._write(self.tensors)
        try:
            yield
        finally:
            self._write(kept)

    def _write(self, tensors: dict[str, Tensor]) -> None:
        self.network.load_state_dict(tensors)
