"""The data of a report for JSON: means, differences, statistics of codebooks, orders of anchors."""

from __future__ import annotations

from dataclasses import asdict
from itertools import combinations
from typing import Any

from eval.probes.codes import run_stats
from eval.progress import progress
from eval.report.anchors import ANCHORS, misorders
from eval.report.runs import Runs
from eval.results import Results, SystemResult
from eval.stats import Interval
from eval.systems.base import split_n_q

ALL = "all recordings"
SIGNIFICANT_DIGITS = 6


def content(runs: Runs) -> dict[str, Any]:
    """Compute what the page shows.

    Recordings and systems are in the order of the results, values `None` where there are none. Means are
    by group, column and system; differences by group, column, system and a system after it (the first
    minus the second, on recordings that both have).

    Raises:
        ValueError: kept codes are missing or damaged; the message names the file.
    """
    results = runs.results
    ids = [r.id for r in results.recordings]
    groups = {ALL: ids, **results.groups}
    return {
        "made": results.made,
        "not_measured": results.not_measured,
        "recordings": [asdict(r) for r in results.recordings],
        "columns": [asdict(c) for c in results.columns],
        "groups": [{"name": name, "recordings": sorted(map(ids.index, of))} for name, of in groups.items()],
        "systems": [_system(runs, s, ids) for s in results.systems],
        "means": [_means(results, of) for of in groups.values()],
        "differences": [_differences(results, of) for of in progress(groups.values(), desc="compare")],
        "misorders": [
            {**asdict(m), "difference": _short(m.difference), "is_significant": m.is_significant}
            for m in misorders(results)
        ],
    }


def _system(runs: Runs, system: SystemResult, ids: list[str]) -> dict[str, Any]:
    kept = ("kbit_per_s", "encode_rtf", "decode_rtf", "codebook_sizes", "failures", "not_measured")
    return {
        "name": system.system,
        "family": system.family,
        "is_curve": bool(system.codebook_sizes) or split_n_q(system.system)[1] is not None,
        "is_anchor": runs.sources[system.system].system in ANCHORS,
        "values": {key: [column.get(i) for i in ids] for key, column in system.values.items()},
        "usage": _usage(runs, system),
        **{key: getattr(system, key) for key in kept},
    }


def _usage(runs: Runs, system: SystemResult) -> dict[str, Any] | None:
    """Statistics of the system's codes; None if none are kept."""
    source = runs.sources[system.system]
    if not any(source.file("codes", r.id) for r in runs.results.recordings):
        return None
    there = SystemResult(source.system, codebook_sizes=system.codebook_sizes, failures=system.failures)
    stats = run_stats(source.folder, runs.results, there)
    return {
        "frames": stats.n_frames,
        "nominal_kbit_per_s": stats.bitrate / 1000,
        "entropy_kbit_per_s": stats.entropy_bitrate / 1000,
        "redundancy": stats.redundancy,
        "codebooks": [asdict(book) | {"perplexity": book.perplexity} for book in stats.codebooks],
    }


def _means(results: Results, ids: list[str]) -> dict[str, list[dict[str, float] | None]]:
    systems = [s.restrict(ids) for s in results.systems]
    return {c.key: [_short(s.mean(c.key)) for s in systems] for c in results.columns}


def _differences(results: Results, ids: list[str]) -> dict[str, dict[int, dict[int, dict[str, float] | None]]]:
    systems, chosen = [s.restrict(ids) for s in results.systems], range(len(results.systems))
    differences: dict[str, dict[int, dict[int, dict[str, float] | None]]] = {}
    for column in results.columns:
        table = differences[column.key] = {i: {} for i in chosen}
        for i, j in combinations(chosen, 2):
            table[i][j] = _short(systems[i].minus(systems[j], column.key))
    return differences


def _short(interval: Interval | None) -> dict[str, float] | None:
    """Round to few digits, as there are many pairs of systems."""
    if interval is None:
        return None
    return {k: float(f"{v:.{SIGNIFICANT_DIGITS}g}") for k, v in asdict(interval).items()}
