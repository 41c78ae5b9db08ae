"""Results of a run, as `results.json` in its folder: for reports, notebooks and ablations."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from codec.files import write_text
from eval.metrics.base import Column
from eval.stats import Difference, Interval, bootstrap, compare
from eval.systems.base import split_n_q

CODING = "coding"  # stands in for a metric where a recording could not be coded


@dataclass(frozen=True)
class Recording:
    """One recording of the test set."""

    id: str
    seconds: float
    groups: tuple[str, ...] = ()
    speaker: str = ""
    language: str = ""
    text: str = ""


@dataclass
class SystemResult:
    """One system on the test set."""

    system: str
    version: str = ""
    kbit_per_s: float = 0.0  # payload, over all recordings together; 0 if unknown, as the factors below
    lag_ms: float = 0.0  # delay of the output, which is removed before scoring
    encode_rtf: float = 0.0  # compute time per audio time, one recording at a time
    decode_rtf: float = 0.0
    codebook_sizes: tuple[int, ...] = ()  # of those in use; empty for systems without codes
    values: dict[str, dict[str, float]] = field(default_factory=dict)  # by column, by recording
    failures: dict[str, dict[str, str]] = field(default_factory=dict)  # by recording, by metric or `CODING`
    not_measured: str = ""  # why there are no values

    @property
    def family(self) -> str:
        """The system without its number of codebooks or, for a codec without codebooks, its rate."""
        name, n_q = split_n_q(self.system)
        if n_q is not None or self.codebook_sizes or not self.kbit_per_s:
            return name
        return name.partition("-")[0]

    def restrict(self, ids: Iterable[str]) -> SystemResult:
        """The values of some recordings, in their order; rate, speed and failures stay those of all."""
        ids = list(ids)
        return replace(self, values={key: {i: own[i] for i in ids if i in own} for key, own in self.values.items()})

    def mean(self, column: str) -> Interval | None:
        """Mean of a column over its recordings; None if there are none."""
        values = list(self.values.get(column, {}).values())
        return bootstrap(values) if values else None

    def minus(self, other: SystemResult, column: str) -> Difference | None:
        """Mean difference to another system on the recordings of both; None if there are none."""
        ours, theirs = self.values.get(column, {}), other.values.get(column, {})
        both = [i for i in ours if i in theirs]
        return compare([ours[i] for i in both], [theirs[i] for i in both]) if both else None


@dataclass
class Results:
    """Everything about a run except audio and codes, whose files `eval.store.file_of` names."""

    recordings: list[Recording]
    columns: list[Column]
    systems: list[SystemResult]
    not_measured: dict[str, str] = field(default_factory=dict)  # metric: what to install, or where to put weights
    made: dict[str, Any] = field(default_factory=dict)  # command, time and code version

    @property
    def groups(self) -> dict[str, list[str]]:
        """Ids of recordings by group; groups may overlap."""
        groups: dict[str, list[str]] = {}
        for r in self.recordings:
            for name in r.groups:
                groups.setdefault(name, []).append(r.id)
        return groups

    def save(self, folder: Path) -> None:
        """Write `results.json`, with means for other programs."""
        content = asdict(self)
        for system, fields in zip(self.systems, content["systems"], strict=True):
            means = {c.key: system.mean(c.key) for c in self.columns}
            fields["means"] = {key: asdict(mean) for key, mean in means.items() if mean}
        write_text(folder / "results.json", json.dumps(content, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Results:
        """Read the `results.json` of a run.

        Raises:
            ValueError: the file is missing or damaged; the message says what to run.
        """
        path = folder / "results.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            systems = [{k: v for k, v in fields.items() if k != "means"} for fields in content["systems"]]
            return cls(
                [Recording(**{**fields, "groups": tuple(fields["groups"])}) for fields in content["recordings"]],
                [Column(**fields) for fields in content["columns"]],
                [SystemResult(**{**fields, "codebook_sizes": tuple(fields["codebook_sizes"])}) for fields in systems],
                content["not_measured"],
                content["made"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = "no such file" if isinstance(error, FileNotFoundError) else repr(error)
            raise ValueError(f"{path}: {reason}; expected the folder of a run of python -m eval") from error
