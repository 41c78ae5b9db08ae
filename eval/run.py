"""One system over a test set, with a cache from which an interrupted run goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from codec.audio.io import read_audio
from eval.align import align, find_lag
from eval.baselines.base import SAMPLE_RATE, System
from eval.score import Pair, Scores, score_each
from eval.testsets import Item

N_LAG_ITEMS = 4  # recordings that a lag is searched on


@dataclass(frozen=True)
class Measurement:
    """One system on one recording."""

    system: str
    version: str
    id: str
    lag: int  # samples at 24 kHz
    bits: float  # payload of the whole recording
    seconds: float  # of the whole recording
    scores: Scores


@dataclass
class Outcome:
    """One system on a test set."""

    system: str
    lag: int = 0
    measurements: list[Measurement] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)  # recording: reason
    not_measured: str = ""  # why nothing was


class Cache:
    """Measurements as JSON lines, appended as they come.

    A key is system, version and recording: remove the file when recordings or metrics have changed.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.known = path, dict[tuple[str, str, str], Measurement]()
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                fields = json.loads(line)
                self._know(Measurement(**{**fields, "scores": Scores(**fields["scores"])}))
            except (ValueError, KeyError, TypeError):
                continue  # a blank line, or one whose writing was interrupted

    def of(self, system: System) -> dict[str, Measurement]:
        """What is known of a system, by recording."""
        return {m.id: m for m in self.known.values() if (m.system, m.version) == (system.name, system.version)}

    def add(self, measurement: Measurement) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(asdict(measurement)))  # the line break leads, to end an interrupted line
        self._know(measurement)

    def _know(self, m: Measurement) -> None:
        self.known[m.system, m.version, m.id] = m


def measure(system: System, items: Sequence[Item], cache: Cache, workers: int = 0) -> Outcome:
    """Score `system` on every recording that the cache lacks.

    Recordings that fail are listed, and tried again next time.

    Args:
        system: what to measure.
        items: recordings of any sample rate.
        cache: what is known; grows.
        workers: processes for the scores (see `score_each`); the system itself runs in this one.
    """
    known = cache.of(system)
    outcome = Outcome(system.name, measurements=[known[item.id] for item in items if item.id in known])
    todo = [item for item in items if item.id not in known]
    if not todo:
        outcome.lag = outcome.measurements[0].lag
        return outcome
    try:
        outcome.lag = next(iter(known.values())).lag if known else _lag(system, items)
    except (ValueError, RuntimeError, OSError) as error:
        outcome.not_measured = f"no lag found: {error}"
        return outcome

    sizes: dict[str, tuple[float, float]] = {}  # bits and seconds

    def pairs() -> Iterator[Pair]:
        for item in todo:
            try:
                waveform = _read(item)
                output, bits = system.run(waveform)
                sizes[item.id] = bits, len(waveform) / SAMPLE_RATE
                reference, output = align(waveform, output, outcome.lag)
            except (ValueError, RuntimeError, OSError) as error:
                outcome.failures[item.id] = str(error)
                bar.update()
                continue
            yield item.id, reference, output

    with tqdm(total=len(todo), desc=system.name, unit="file", disable=None) as bar:
        for row in score_each(pairs(), workers):
            bar.update()
            if row.scores is None:
                outcome.failures[row.name] = row.error
                continue
            bits, seconds = sizes[row.name]
            cache.add(Measurement(system.name, system.version, row.name, outcome.lag, bits, seconds, row.scores))
    known = cache.of(system)
    outcome.measurements = [known[item.id] for item in items if item.id in known]
    return outcome


def _lag(system: System, items: Sequence[Item]) -> int:
    """The system's own lag, or what a search on recordings spread over the test set finds."""
    if system.lag is not None:
        return system.lag
    pairs: list[tuple[Tensor, Tensor]] = []
    for item in items[:: max(1, len(items) // N_LAG_ITEMS)][:N_LAG_ITEMS]:
        waveform = _read(item)
        pairs.append((waveform, system.run(waveform)[0]))
    return find_lag(pairs)


def _read(item: Item) -> Tensor:
    return read_audio(item.path, None, SAMPLE_RATE)
