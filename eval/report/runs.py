"""The results of one or several runs, on the recordings that all of them have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eval.metrics.base import Column
from eval.results import Recording, Results, SystemResult
from eval.store import REFERENCE, Kind, file_of


@dataclass(frozen=True)
class Source:
    """The place of a system's files."""

    folder: Path
    system: str  # its name there

    def file(self, kind: Kind, recording: str) -> Path | None:
        """The `audio` or `codes` of a recording, if they are kept."""
        path = file_of(self.folder, kind, self.system, recording)
        return path if path.is_file() else None


@dataclass(frozen=True)
class Runs:
    """Results and the places of their files."""

    results: Results
    reference: Source
    sources: dict[str, Source]  # by system, as ordered in the results


def gather(folders: Sequence[Path]) -> Runs:
    """Join the systems of all folders, on the recordings that every folder has.

    A system whose name occurs in a previous folder is called FOLDER/NAME.

    Raises:
        ValueError: a folder is no run, no recording is shared, a shared one differs, a column was measured in
            several ways, or nothing is measured; the message names which.
    """
    runs = {folder: Results.load(folder) for folder in folders}
    recordings = _shared({folder: results.recordings for folder, results in runs.items()})
    ids = [r.id for r in recordings]
    sources: dict[str, Source] = {}
    columns: dict[str, Column] = {}
    systems: list[SystemResult] = []
    for folder, results in runs.items():
        columns = _joined(columns, results.columns, folder)
        for system in results.systems:
            name = f"{folder}/{system.system}" if system.system in sources else system.system
            sources[name] = Source(folder, system.system)
            systems.append(replace(system.restrict(ids), system=name))
    if not columns:
        raise ValueError(f"{folders[0]}: no metric is measured; give python -m eval one that is installed")
    joint = Results(recordings, list(columns.values()), systems)
    for folder, results in runs.items():
        prefix = f"{folder}: " if len(runs) > 1 else ""
        joint.not_measured |= {prefix + metric: why for metric, why in results.not_measured.items()}
        joint.made |= {prefix + key: value for key, value in results.made.items()}
    return Runs(joint, Source(folders[0], REFERENCE), sources)


def _joined(columns: dict[str, Column], more: Sequence[Column], folder: Path) -> dict[str, Column]:
    """Return columns by key, followed by those of another folder."""
    for column in more:
        ours = columns.get(column.key, column).measured_by
        if ours and column.measured_by and ours != column.measured_by:
            raise ValueError(
                f"{folder}: {column.title} is by {column.measured_by}, before it by {ours}: numbers of different "
                "measures are not to be compared; run python -m eval on all of the folders with the same one"
            )
    return columns | {column.key: column for column in more if column.key not in columns}


def _shared(recordings: dict[Path, list[Recording]]) -> list[Recording]:
    """Return the recordings of the first folder that all others have too."""
    (first, ours), *others = recordings.items()
    for folder, theirs in others:
        seconds = {r.id: r.seconds for r in theirs}
        ours = [r for r in ours if r.id in seconds]
        for r in ours:
            if not math.isclose(r.seconds, seconds[r.id], abs_tol=1e-3):
                raise ValueError(f"{folder}: recording {r.id} has {seconds[r.id]} s, {r.seconds} s in {first}")
    if not ours:
        raise ValueError(f"{', '.join(map(str, recordings))}: no recording is in all of them; report each by itself")
    return ours
