"""Training data of several sources, each with its share: item i is still a function of the seed and i alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from codec.settings import coerce, require

B = TypeVar("B", covariant=True)
_BITS = 32  # of a share


@dataclass
class SourceConfig:
    """One of several sources.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    path: str  # as where there is only one
    weight: float = 1.0  # its share of the items is this by the sum of all weights

    def __post_init__(self) -> None:
        coerce(self)
        require(bool(self.path), "path", self.path, "where the data are")
        require(self.weight > 0, "weight", self.weight, "a number above 0; to leave a source out, remove it")


Sources = str | dict[str, SourceConfig]  # one by its path, or several by name


class Endless(Protocol[B]):
    """A dataset without end: item i is a function of i alone, and some items make a batch."""

    def __getitem__(self, i: int) -> Any: ...

    def collate(self, items: Sequence[Any]) -> B: ...


class Source(Endless[B], Protocol[B]):
    """An endless dataset of so much audio."""

    @property
    def hours(self) -> float: ...


class Mixture(Generic[B]):
    """Endless items of several datasets, each of which is gone through item by item.

    Every item is of a source with exactly the probability that is its share, over all seeds; and of any n items in a
    row, each source has its share but for one or two, as they are spread evenly.

    Args:
        sources: by name, whose order does not matter.
        weights: of each, above 0.
        seed: of where the pattern begins.
    """

    def __init__(self, sources: Mapping[str, Source[B]], weights: Mapping[str, float], seed: int) -> None:
        self.sources = {name: sources[name] for name in sorted(sources)}
        self.shares = {name: weights[name] / sum(weights.values()) for name in self.sources}
        # Of the items that those before it leave, each source takes a part, and the last one all: those at which a line
        # of that slope passes an integer.
        self._lines, names = {}, list(self.sources)
        for k, name in enumerate(names):
            part = self.shares[name] / sum(self.shares[other] for other in names[k:])
            self._lines[name] = round(part * 2**_BITS), source_seed(seed, name) % 2**_BITS

    def place(self, i: int) -> tuple[str, int]:
        """The source of item i, and the number of the item there."""
        for name, (slope, phase) in self._lines.items():
            n_before = (slope * i + phase) >> _BITS
            if (slope * (i + 1) + phase) >> _BITS > n_before:
                return name, n_before
            i -= n_before
        raise AssertionError

    def __getitem__(self, i: int) -> Any:
        name, number = self.place(i)
        return self.sources[name][number]

    def collate(self, items: Sequence[Any]) -> B:
        return next(iter(self.sources.values())).collate(items)


def mix(train: Sources, seed: int, make: Callable[[str, int], Source[B]]) -> Source[B] | Mixture[B]:
    """The dataset of one source, or the mixture of several, each made of its path and a seed of its own.

    Raises:
        ValueError: of `make`; the message names the source.
    """
    if isinstance(train, str):
        return make(train, seed)
    made = {}
    for name, source in train.items():
        try:
            made[name] = make(source.path, source_seed(seed, name))
        except ValueError as error:
            raise ValueError(f"data.train.{name}: {error}") from error
    return Mixture(made, {name: source.weight for name, source in train.items()}, seed)


def paths(train: Sources) -> list[str]:
    """Where the data of one or several sources are."""
    return [train] if isinstance(train, str) else [source.path for source in train.values()]


def source_seed(seed: int, name: str) -> int:
    """A seed for one of several sources, whatever others there are."""
    return int(np.random.SeedSequence([seed, *name.encode()]).generate_state(1, np.uint64)[0])


def summary(dataset: Source[Any] | Mixture[Any]) -> str:
    """How much there is to learn from, and the share of each source."""
    if not isinstance(dataset, Mixture):
        return f"{dataset.hours:.2f} h"
    shares = dataset.shares.items()
    return ", ".join(f"{name} {dataset.sources[name].hours:.2f} h ({share:.1%} of the items)" for name, share in shares)
