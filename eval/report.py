"""Outcomes as a table for readers and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from codec.files import atomic_file
from eval.baselines.base import SAMPLE_RATE
from eval.run import Measurement, Outcome
from eval.score import Interval, Row, summarize
from eval.testsets import Item

COLUMNS = {"pesq": "PESQ-WB", "stoi": "STOI", "estoi": "ESTOI", "mel": "mel", "stft": "MRSTFT"}
DECIMALS = {"pesq": 2, "stoi": 3, "estoi": 3, "mel": 3, "stft": 2}
UNSEEN = "unseen speakers"
Groups = dict[str, set[str]]  # name: ids of its recordings; groups may overlap
Summary = dict[str, Interval]  # by score


def make_groups(items: Sequence[Item], trained: Sequence[Item] = ()) -> Groups:
    """Recordings by the manifest's `source`, and those of speakers that `trained` does not have."""
    groups: Groups = {}
    for item in items:
        if item.group:
            groups.setdefault(item.group, set()).add(item.id)
    if trained:
        seen = {item.speaker for item in trained}
        groups[UNSEEN] = {item.id for item in items if item.speaker and item.speaker not in seen}
    return {name: ids for name, ids in groups.items() if ids}


@dataclass(frozen=True)
class Result:
    """One system: what the tables and results.json say."""

    system: str
    n_files: int
    kbit_per_s: float  # payload, over all recordings together
    lag_ms: float
    overall: Summary
    groups: dict[str, Summary]
    failures: dict[str, str]
    not_measured: str


def summarize_outcome(outcome: Outcome, groups: Groups) -> Result:
    """Means over all recordings and over each group."""
    done = outcome.measurements
    seconds = sum(m.seconds for m in done)
    return Result(
        system=outcome.system,
        n_files=len(done),
        kbit_per_s=sum(m.bits for m in done) / seconds / 1000 if done else 0.0,
        lag_ms=1000 * outcome.lag / SAMPLE_RATE,
        overall=_summary(done),
        groups={name: _summary([m for m in done if m.id in ids]) for name, ids in groups.items()},
        failures=outcome.failures,
        not_measured=outcome.not_measured or ("" if done else "every recording failed"),
    )


def markdown(results: Sequence[Result], groups: Groups) -> str:
    """The overall table, PESQ-WB and ESTOI by group, and what could not be measured."""
    measured = [r for r in results if not r.not_measured]
    header = ["system", "files", "kbit/s", *COLUMNS.values()]
    rows = [
        [r.system, str(r.n_files), f"{r.kbit_per_s:.2f}", *(_cell(r.overall[name], name) for name in COLUMNS)]
        for r in measured
    ]
    parts = ["Means with 95% bootstrap intervals over recordings; kbit/s of payload.", _table(header, rows)]
    if groups:
        header = ["system", *(f"{name} ({len(ids)})" for name, ids in groups.items())]
        rows = [[r.system, *(_pesq_and_estoi(r.groups[name]) for name in groups)] for r in measured]
        parts += ["PESQ-WB / ESTOI by group (recordings):", _table(header, rows)]
    lines = [f"- {r.system}: not measured: {r.not_measured}" for r in results if r.not_measured]
    for r in results:
        lines += [f"- {r.system}: {len(r.failures)} recordings failed:"] if r.failures else []
        lines += [f"  - {name}: {reason}" for name, reason in r.failures.items()]
    return "\n\n".join([*parts, *(["\n".join(lines)] if lines else [])]) + "\n"


def write(folder: Path, results: Sequence[Result], groups: Groups) -> None:
    """Write results.json and table.md, each whole or not at all."""
    texts = {
        "results.json": json.dumps([asdict(r) for r in results], indent=2) + "\n",
        "table.md": markdown(results, groups),
    }
    for name, text in texts.items():
        with atomic_file(folder / name) as new:
            new.write_text(text, encoding="utf-8")


def _summary(measurements: Sequence[Measurement]) -> Summary:
    return summarize(Row(m.id, m.scores) for m in measurements)


def _cell(x: Interval, name: str) -> str:
    mean, low, high = (f"{value:.{DECIMALS[name]}f}" for value in (x.mean, x.low, x.high))
    return f"{mean} [{low}, {high}]"


def _pesq_and_estoi(summary: Summary) -> str:
    return f"{summary['pesq'].mean:.2f} / {summary['estoi'].mean:.3f}" if summary else "-"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
