"""A run: every system codes every recording and is scored; an interrupted run goes on where it stopped."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from codec.extras import MissingDependencyError
from codec.recordings.utterance import Utterance
from eval.coding import Groups, Source, code_sources, read_sources
from eval.digest import digest
from eval.lag import CUT
from eval.metrics.base import Pair
from eval.results import CODING, Results, SystemResult
from eval.score import Scorable, Scorer
from eval.store import Outputs, read_flac
from eval.systems.base import SAMPLE_RATE, System
from eval.systems.files import Files
from eval.systems.registry import make_system


def evaluate(
    systems: Sequence[str | System | Files],
    utterances: Sequence[Utterance],
    metrics: Sequence[str],
    out: Path,
    workers: int = 0,
    device: str = "cpu",
    groups: Groups = lambda utterance: (utterance.source,) if utterance.source else (),
    made: dict[str, Any] | None = None,
) -> Results:
    """Code every recording with every system, score the outputs, and keep everything in `out`.

    A recording that cannot be read, coded or scored is listed under `failures` of each system and tried again in
    the next run; a system or metric that lacks a program, package or weights is listed under `not_measured`.
    `results.json` is written after each system, so that an interrupted run has one too. Systems run in this process,
    one recording at a time: so is their speed measured.

    Args:
        systems: what to measure, in the order of tables, or their names (see `eval.systems.registry.make_system`).
        utterances: recordings of any sample rate.
        metrics: names as in `eval.metrics.registry`.
        out: folder of the run, made if need be. Outputs and scores in it are reused while the recording and the
            versions of system and metric stay the same.
        workers: processes that score (see `eval.score.score_each`).
        device: for our codecs among systems given by name.
        groups: names the groups of a recording, for which means are also given.
        made: how the run was made, for the report.

    Raises:
        ValueError: an unknown metric, before anything is done.
    """
    scorer = Scorer(metrics, out, workers)
    out.mkdir(parents=True, exist_ok=True)
    sources, unreadable = read_sources(utterances, out, groups)
    results = Results([s.recording for s in sources], scorer.columns, [], scorer.not_measured, made or {})
    outputs = Outputs(out, "codings.jsonl")
    for given in systems:
        try:
            system = make_system(given, device) if isinstance(given, str) else given
            result = code_sources(system, sources, outputs)
        except (MissingDependencyError, ValueError) as error:
            name = given if isinstance(given, str) else given.name
            results.systems.append(SystemResult(name, not_measured=str(error)))
        else:
            coded = [s for s in sources if s.recording.id not in result.failures]
            result.failures |= {name: {CODING: reason} for name, reason in unreadable.items()}
            scorer.score(
                result,
                [
                    Scorable(s.recording.id, _digest(s), partial(_pair, s, outputs.audio(system.name, s.recording.id)))
                    for s in coded
                ],
            )
            results.systems.append(result)
        results.save(out)
    return results


def _digest(source: Source) -> str:
    """Digest of all that a score depends on: recognisers are told the language, if it is known."""
    language = source.recording.language
    return digest(f"{source.digest} {language}") if language else source.digest


def _pair(source: Source, output: Path) -> Pair:
    r, n = source.recording, max(1, source.n_samples - CUT)
    return Pair(source.read()[:n].numpy(), read_flac(output)[:n].numpy(), SAMPLE_RATE, r.text, r.language)
