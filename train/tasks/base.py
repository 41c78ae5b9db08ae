"""The interface between the training loop and a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn


@dataclass
class Validation:
    """Results of a validation."""

    metrics: dict[str, float]
    audio: dict[str, Tensor] = field(default_factory=dict)  # [L] at `sample_rate`, by name
    pictures: dict[str, Any] = field(default_factory=dict)  # matplotlib figures, by name
    sample_rate: int = 24_000


class Task(Protocol):
    """Networks, their losses and their validation.

    Attributes:
        networks: all networks with trained weights, by name; each gets an optimizer.
        main: name of the network that is averaged, validated and exported.
        best_metrics: validation metrics that may select the best model; higher is better.
        parallel: wrapped `networks`, to call in training; set by the loop.
    """

    networks: dict[str, nn.Module]
    main: str
    best_metrics: Sequence[str]
    parallel: dict[str, Callable[..., Any]]

    def batches(self, start: int, rank: int, world_size: int) -> Iterator[Any]:
        """This rank's batches from number `start` on, without end."""
        ...

    def backward(self, batch: Any, step: int, scale: float, generator: torch.Generator) -> dict[str, Tensor]:
        """Add the gradients of a batch, times `scale`, to the networks; returns scalars to log."""
        ...

    def after_step(self, step: int, generator: torch.Generator) -> dict[str, float]:
        """Update what learns without gradients after a step; returns scalars to log."""
        ...

    def skip_step(self) -> None:
        """Forget what a step has gathered for `after_step`: it was skipped because of bad gradients."""
        ...

    def validate(self) -> Validation:
        """Measure the main network; called on every rank."""
        ...

    def export(self, folder: Path, state: dict[str, Tensor]) -> None:
        """Write the main network's `state` to a folder that users can load."""
        ...

    def compile(self) -> None:
        """Compile parts of the networks in place."""
        ...
