"""The losses of a codec as a table: a row says which module computes a term, and how much it counts in which step.

A new term is a file here with a function `make`, which gives a `Term`, and a line of its weight in `conf/loss`.
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
    """A training pass of the codec, as terms see it."""

    batch: Batch
    output: CodecOutput
    networks: Mapping[str, Callable[..., Any]]  # what to call in training: the codec, and those of terms
    step: int
    scale: float  # of gradients, for terms that take some themselves
    generator: torch.Generator
    log: dict[str, Tensor] = field(default_factory=dict)  # scalars to log beside the losses

    @property
    def target(self) -> Tensor:
        """The waveforms `[B, L]` that went in."""
        return self.batch.waveform

    @property
    def waveform(self) -> Tensor:
        """The waveforms `[B, L]` float32 that came out; only for terms that ask for them."""
        assert self.output.waveform is not None
        return self.output.waveform.float()


@dataclass
class Term:
    """Losses that are computed together."""

    names: tuple[str, ...]  # their rows in the table
    compute: Callable[[Pass], dict[str, Tensor]]  # the pass to a scalar for each name, unweighted
    uses_waveform: bool = False  # which heads may make for this alone
    full_precision: bool = True  # whether it is computed in float32 in mixed precision too
    networks: dict[str, nn.Module] = field(default_factory=dict)  # that learn beside the codec, by name


@dataclass
class Setup:
    """What terms are made for."""

    config: CodecConfig
    loss: CodecLossConfig
    made: Callable[[Pass], Tensor] | None = None  # the loss of made pairs, see `train.tasks.synthetic`


def make_terms(setup: Setup) -> list[Term]:
    """The terms with a weight, in the order of the table.

    Raises:
        ValueError: a weight has no term or a term no weight, or a term cannot be had; the message says which.
    """
    rows = {name: row.module or name for name, row in setup.loss.terms.items()}
    wanted = {name: module for name, module in rows.items() if setup.loss.terms[name].weight}
    terms = {module: _make(module, setup) for module in dict.fromkeys(wanted.values())}
    for name, module in wanted.items():
        if name not in terms[module].names:
            there = ", ".join(terms[module].names) or "none"
            raise ValueError(
                f"loss.terms.{name}.weight = {setup.loss.terms[name].weight}: module {module!r} has no such term for "
                f"this codec, only {there}; set it to 0"
            )
    for module, term in terms.items():
        if missing := [name for name in term.names if rows.get(name) != module]:
            raise ValueError(
                f"loss.terms: module {module!r} also has the terms {', '.join(missing)}; give each a row with that "
                "module and a weight, 0 to leave it out"
            )
    return list(terms.values())


def _make(module: str, setup: Setup) -> Term:
    path = module if "." in module else f"train.losses.{module}"
    try:
        found = import_module(path)
    except ModuleNotFoundError as error:
        raise ValueError(f"loss.terms: no module {path} ({error}); give the module of a term that has one") from error
    if not hasattr(found, "make"):
        raise ValueError(f"loss.terms: module {path} has no function make, which gives its terms")
    return found.make(setup)
