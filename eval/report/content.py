"""Everything that the page computes no more: means, differences, codebooks, orders, ready for JSON."""

from __future__ import annotations

from dataclasses import asdict
from itertools import combinations
from typing import Any

from eval.probes.codes import run_stats
from eval.progress import progress
from eval.report.anchors import ANCHORS, misorders
from eval.report.runs import Runs, restrict
from eval.results import Results, SystemResult
from eval.stats import Interval

ALL = "all recordings"
SIGNIFICANT_DIGITS = 6


def content(runs: Runs) -> dict[str, Any]:
    """What the page shows.

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
    family, is_curve = _family(system)
    return {
        "name": system.system,
        "family": family,
        "is_curve": is_curve,
        "is_anchor": runs.sources[system.system].system in ANCHORS,
        "values": {key: [column.get(i) for i in ids] for key, column in system.values.items()},
        "usage": _usage(runs, system),
        **{key: getattr(system, key) for key in kept},
    }


def _family(system: SystemResult) -> tuple[str, bool]:
    """What a system is a setting of, and whether its settings are points of one curve.

    MODEL and MODEL:25 are one model with more and fewer codebooks; opus-6 and opus-6-60ms differ in more than rate;
    what has no rate, such as files made elsewhere, has no settings.
    """
    stem, colon, n_q = system.system.rpartition(":")
    if colon and n_q.isdecimal():
        return stem, True
    if system.codebook_sizes or not system.kbit_per_s:
        return system.system, bool(system.codebook_sizes)
    return system.system.partition("-")[0], False


def _usage(runs: Runs, system: SystemResult) -> dict[str, Any] | None:
    """Statistics of the system's codes, if it has any and they are kept."""
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
    return {c.key: [_short(s.mean(c.key, ids)) for s in results.systems] for c in results.columns}


def _differences(results: Results, ids: list[str]) -> dict[str, dict[int, dict[int, dict[str, float] | None]]]:
    systems, chosen = [restrict(s, set(ids)) for s in results.systems], range(len(results.systems))
    differences: dict[str, dict[int, dict[int, dict[str, float] | None]]] = {}
    for column in results.columns:
        table = differences[column.key] = {i: {} for i in chosen}
        for i, j in combinations(chosen, 2):
            table[i][j] = _short(systems[i].minus(systems[j], column.key))
    return differences


def _short(interval: Interval | None) -> dict[str, float] | None:
    """Without digits that nobody reads: pairs of systems are many."""
    if interval is None:
        return None
    return {k: float(f"{v:.{SIGNIFICANT_DIGITS}g}") for k, v in asdict(interval).items()}
