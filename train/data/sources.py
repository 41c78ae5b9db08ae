"""Mixtures of several data sources by weight; item i still depends on the seed and i alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from codec.settings import Settings, require

B = TypeVar("B", covariant=True)
_BITS = 32  # of a share


@dataclass
class SourceConfig(Settings):
    """One of several data sources.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    path: str  # as for a single source
    weight: float = 1.0  # its share of the items, relative to the sum of all weights

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.path), "path", self.path, "the path of the data")
        require(self.weight > 0, "weight", self.weight, "a number above 0; to leave a source out, remove it")


Sources = str | dict[str, SourceConfig]  # the path of one, or several by name


class EndlessDataset(Protocol[B]):
    """A dataset without end: item i depends on i alone; `collate` makes a batch of items."""

    def __getitem__(self, i: int) -> Any: ...

    def collate(self, items: Sequence[Any]) -> B: ...


class Source(EndlessDataset[B], Protocol[B]):
    """An endless dataset with a known amount of audio."""

    @property
    def hours(self) -> float: ...


class Mixture(Generic[B]):
    """Interleave several endless datasets; each is read item by item.

    Sources are spread evenly: any n consecutive items contain each source by its share, to within one or two items.
    Over all seeds, the probability of a source at any item is exactly its share.

    Args:
        sources: by name; their order does not matter.
        weights: by name, above 0.
        seed: of the phase of the pattern.
    """

    def __init__(self, sources: Mapping[str, Source[B]], weights: Mapping[str, float], seed: int) -> None:
        self.sources = {name: sources[name] for name in sorted(sources)}
        self.shares = {name: weights[name] / sum(weights.values()) for name in self.sources}
        # Each source takes a part of the items that those before it leave, the last one all of them: the items at which
        # a line of that slope passes an integer.
        self._lines, names = {}, list(self.sources)
        for k, name in enumerate(names):
            part = self.shares[name] / sum(self.shares[other] for other in names[k:])
            self._lines[name] = round(part * 2**_BITS), source_seed(seed, name) % 2**_BITS

    def locate(self, i: int) -> tuple[str, int]:
        """The source of item i, and its number there."""
        for name, (slope, phase) in self._lines.items():
            n_before = (slope * i + phase) >> _BITS
            if (slope * (i + 1) + phase) >> _BITS > n_before:
                return name, n_before
            i -= n_before
        raise AssertionError

    def __getitem__(self, i: int) -> Any:
        name, number = self.locate(i)
        return self.sources[name][number]

    def collate(self, items: Sequence[Any]) -> B:
        return next(iter(self.sources.values())).collate(items)


def mix(train: Sources, seed: int, make: Callable[[str, int], Source[B]]) -> Source[B] | Mixture[B]:
    """Make the dataset of one source, or a mixture of several, by `make(path, seed)`.

    Raises:
        ValueError: from `make`; the message names the source.
    """
    if isinstance(train, str):
        return make(train, seed)
    datasets = {}
    for name, source in train.items():
        try:
            datasets[name] = make(source.path, source_seed(seed, name))
        except ValueError as error:
            raise ValueError(f"data.train.{name}: {error}") from error
    return Mixture(datasets, {name: source.weight for name, source in train.items()}, seed)


def paths(train: Sources) -> list[str]:
    """Paths of one or several sources."""
    return [train] if isinstance(train, str) else [source.path for source in train.values()]


def source_seed(seed: int, name: str) -> int:
    """Seed of one source, independent of the others."""
    return int(np.random.SeedSequence([seed, *name.encode()]).generate_state(1, np.uint64)[0])


def summary(dataset: Source[Any] | Mixture[Any]) -> str:
    """Describe the amount of data, and the share of each source."""
    if not isinstance(dataset, Mixture):
        return f"{dataset.hours:.2f} h"
    shares = dataset.shares.items()
    return ", ".join(f"{name} {dataset.sources[name].hours:.2f} h ({share:.1%} of the items)" for name, share in shares)
