"""Loss terms of a codec: each has a module that computes it, and a weight over the steps.

To add a term, write a file here with a function `make` that returns a `Term`, and give it a weight in `conf/loss`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from codec.config import CodecConfig
from codec.model import CodecOutput
from train.data.audio.crops import Batch
from train.losses.config import CodecLossConfig


@dataclass
class Pass:
    """A training pass of the codec, the input of terms."""

    batch: Batch
    output: CodecOutput
    networks: Mapping[str, Callable[..., Any]]  # the codec and those of terms, wrapped for training
    step: int
    scale: float  # of gradients, for terms that compute some themselves
    generator: torch.Generator
    log: dict[str, Tensor] = field(default_factory=dict)  # scalars to log beside the losses

    @property
    def target(self) -> Tensor:
        """Input waveforms `[B, L]`."""
        return self.batch.waveform

    @property
    def waveform(self) -> Tensor:
        """Output waveforms `[B, L]` float32; only for terms with `uses_waveform`."""
        assert self.output.waveform is not None
        return self.output.waveform.float()


@dataclass
class Term:
    """Losses computed together."""

    names: tuple[str, ...]  # their names in `loss.terms`
    compute: Callable[[Pass], dict[str, Tensor]]  # returns an unweighted scalar for each name
    uses_waveform: bool = False  # whether it needs `Pass.waveform`, which costs time
    full_precision: bool = True  # whether it runs in float32 under autocast
    networks: dict[str, nn.Module] = field(default_factory=dict)  # trained beside the codec, by name


@dataclass
class Setup:
    """Arguments of `make`."""

    config: CodecConfig
    loss: CodecLossConfig
    synthetic: Callable[[Pass], Tensor] | None = None  # loss of synthetic pairs, see `train.tasks.synthetic`


def make_terms(setup: Setup) -> list[Term]:
    """Make the terms with a weight, in the order of `loss.terms`.

    Raises:
        ValueError: a weight without a term, a term without a weight, or a term that does not suit the codec.
    """
    rows = {name: row.module or name for name, row in setup.loss.terms.items()}
    weighted = {name: module for name, module in rows.items() if setup.loss.terms[name].weight}
    terms = {module: _make(module, setup) for module in dict.fromkeys(weighted.values())}
    for name, module in weighted.items():
        if name not in terms[module].names:
            names = ", ".join(terms[module].names) or "none"
            raise ValueError(
                f"loss.terms.{name}.weight = {setup.loss.terms[name].weight}: module {module!r} has no such term for "
                f"this codec, only {names}; set it to 0"
            )
    for module, term in terms.items():
        if missing := [name for name in term.names if rows.get(name) != module]:
            raise ValueError(
                f"loss.terms: module {module!r} also has the terms {', '.join(missing)}; give each that module "
                "and a weight, 0 to leave it out"
            )
    return list(terms.values())


def _make(module: str, setup: Setup) -> Term:
    path = module if "." in module else f"train.losses.{module}"
    try:
        found = import_module(path)
    except ModuleNotFoundError as error:
        raise ValueError(f"loss.terms: no module {path} ({error}); give the name of a module") from error
    if not hasattr(found, "make"):
        raise ValueError(f"loss.terms: module {path} has no function make that returns a Term")
    return found.make(setup)
