"""Systems over a test set: coded, kept as audio, and scored; an interrupted run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor

from codec.audio.io import read_audio
from codec.files import atomic_file
from eval.lag import CUT, find_lag, shift
from eval.metrics.base import Column, MissingBackendError, Pair
from eval.metrics.registry import make_metric
from eval.progress import progress
from eval.results import CODING, REFERENCE, Recording, Results, SystemResult, file_of
from eval.score import Job, score_each
from eval.systems.base import SAMPLE_RATE, MissingProgramError, System
from eval.systems.files import Files
from eval.systems.registry import make_system
from eval.testsets import Utterance

SCORE_KEYS = ("system", "version", "id", "digest", "metric", "metric_version")
N_LAG_ITEMS = 4  # recordings that a lag is searched on
Groups = Callable[[Utterance], tuple[str, ...]]


@dataclass(frozen=True)
class Source:
    """A recording that can be read: kept as 24 kHz audio in the folder of the run."""

    recording: Recording
    digest: str  # of the samples: results are kept for as long as they stay the same
    path: Path

    @property
    def n_samples(self) -> int:
        return round(self.recording.seconds * SAMPLE_RATE)

    def read(self) -> Tensor:
        return _read(self.path)


@dataclass(frozen=True)
class Output:
    """What a system made of a recording; 0 is unknown."""

    waveform: Tensor  # [L] at 24 kHz, late by the system's lag
    bits: float = 0.0
    encode_s: float = 0.0
    decode_s: float = 0.0
    codes: Tensor | None = None  # [K, T]


@dataclass(frozen=True)
class Scorable:
    """An output that metrics can judge."""

    id: str
    digest: str  # of what it was made from: scores are kept for as long as it stays the same
    pair: Callable[[], Pair]


class Lines:
    """JSON objects by key, one a line, appended as they come."""

    def __init__(self, path: Path, keys: Sequence[str]) -> None:
        self.path, self.keys, self.known = path, keys, dict[tuple[Any, ...], dict[str, Any]]()
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                self._know(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue  # a blank line, or one whose writing was interrupted

    def get(self, *key: Any) -> dict[str, Any] | None:
        return self.known.get(key)

    def add(self, fields: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(fields))  # the line break leads, to end an interrupted line
        self._know(fields)

    def _know(self, fields: dict[str, Any]) -> None:
        self.known[tuple(fields[k] for k in self.keys)] = fields


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
    """Code every recording with every system, score what comes out, and keep everything in `out`.

    A recording that cannot be read, coded or judged is listed under `failures` of each system, and tried
    again next time; a system or metric that lacks a program, package or weights is listed under
    `not_measured`. `results.json` is written after each system, so that an interrupted run has one too.
    Where several metrics have a column of one name, as two recognisers do, each is called by its metric too.
    Systems run in this process, one recording at a time, which is how their speed is measured.

    Args:
        systems: what to measure, in the order of tables, or their names (see `eval.systems.registry.make_system`).
        utterances: recordings of any sample rate.
        metrics: names as in `eval.metrics.registry`.
        out: folder of the run, made if need be. Coded and scored recordings are taken from it
            for as long as the recording and the versions of system and metric stay the same.
        workers: processes for the scores (see `score_each`).
        device: of systems given by name, where they are our codecs.
        groups: of a recording, by which means are also given.
        made: how the run was made, for the report.

    Raises:
        ValueError: an unknown metric, before anything is done.
    """
    usable, not_measured = usable_metrics(metrics)
    out.mkdir(parents=True, exist_ok=True)
    sources, unreadable = _read_all(utterances, out, groups)
    columns = metric_columns(usable)
    shown = [column for own in columns.values() for column in own.values()]
    results = Results([s.recording for s in sources], shown, [], not_measured, made or {})
    codings = Lines(out / "codings.jsonl", ("system", "id"))
    scores = Lines(out / "scores.jsonl", SCORE_KEYS)
    for given in systems:
        try:
            system = make_system(given, device) if isinstance(given, str) else given
            result = _code(system, sources, codings, out)
        except (MissingProgramError, MissingBackendError, ValueError) as error:
            name = given if isinstance(given, str) else given.name
            results.systems.append(SystemResult(name, not_measured=str(error)))
        else:
            result.failures |= {name: {CODING: reason} for name, reason in unreadable.items()}
            score_all(result, _scorable(result, sources, out), columns, scores, workers)
            results.systems.append(result)
        results.save(out)
    return results


def usable_metrics(metrics: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The metrics that can be measured here, and why the others cannot."""
    usable, missing = [], {}
    for spec in dict.fromkeys(metrics):
        try:
            make_metric(spec)
            usable.append(spec)
        except MissingBackendError as error:
            missing[spec] = str(error)
    return usable, missing


def metric_columns(metrics: Sequence[str]) -> dict[str, dict[str, Column]]:
    """By metric and by the metric's own key: the columns of the results, no two of which have one key."""
    askers = Counter(column.key for spec in metrics for column in make_metric(spec).columns)

    def distinct(column: Column, spec: str) -> Column:
        column = replace(column, measured_by=f"{spec.partition('=')[0]}, {make_metric(spec).version}")
        if askers[column.key] == 1:
            return column
        return replace(column, key=f"{column.key}:{spec}", title=f"{column.title} ({spec})")

    return {spec: {c.key: distinct(c, spec) for c in make_metric(spec).columns} for spec in metrics}


def _read_all(utterances: Sequence[Utterance], out: Path, groups: Groups) -> tuple[list[Source], dict[str, str]]:
    """Recordings, copied into the folder of the run unless they are there; and why some cannot be read."""
    sources, unreadable = [], {}
    copies = Lines(out / "recordings.jsonl", ("id",))
    for u in progress(utterances, desc="read", unit="file"):
        path = file_of(out, "audio", REFERENCE, u.id)
        try:
            waveform = read_audio(u.path, None, SAMPLE_RATE)
        except (ValueError, OSError) as error:
            unreadable[u.id] = str(error)
            continue
        digest = hashlib.sha256(waveform.numpy().tobytes()).hexdigest()[:16]
        copy = {"id": u.id, "digest": digest}
        if not path.exists() or copies.get(u.id) != copy:
            _keep_audio(path, waveform)
            copies.add(copy)
        seconds = len(waveform) / SAMPLE_RATE
        recording = Recording(u.id, seconds, groups(u), u.speaker or "", u.language or "", u.text or "")
        sources.append(Source(recording, digest, path))
    return sources, unreadable


def _code(system: System | Files, sources: Sequence[Source], codings: Lines, out: Path) -> SystemResult:
    """Run the system on every recording whose output is not kept yet.

    Raises:
        ValueError: the system's lag cannot be found.
    """
    done = {}
    for source in sources:
        kept = codings.get(system.name, source.recording.id)
        same = kept and (kept["version"], kept["digest"]) == (system.version, source.digest)
        if kept and same and _audio(out, system, source.recording.id).exists():
            done[source.recording.id] = kept
    failures: dict[str, dict[str, str]] = {}
    lag = next(iter(done.values()))["lag"] if done else _lag(system, sources)
    todo = [s for s in sources if s.recording.id not in done]
    for source in progress(todo, desc=f"{system.name}: code", unit="file"):
        name = source.recording.id
        try:
            output = _output(system, source)
        except (ValueError, RuntimeError, OSError) as error:
            failures[name] = {CODING: str(error)}
            continue
        _keep_audio(_audio(out, system, name), shift(output.waveform, lag, source.n_samples))
        if output.codes is not None:
            keep_codes(file_of(out, "codes", system.name, name), output.codes)
        done[name] = {
            "system": system.name, "version": system.version, "id": name, "digest": source.digest, "lag": lag,
            "bits": output.bits, "encode_s": output.encode_s, "decode_s": output.decode_s,
        }  # fmt: skip
        codings.add(done[name])
    seconds = sum(s.recording.seconds for s in sources if s.recording.id in done)
    bits, encode_s, decode_s = (sum(f[key] for f in done.values()) for key in ("bits", "encode_s", "decode_s"))
    return SystemResult(
        system=system.name,
        version=system.version,
        kbit_per_s=bits / seconds / 1000 if done else 0.0,
        lag_ms=1000 * lag / SAMPLE_RATE,
        encode_rtf=encode_s / seconds if done else 0.0,
        decode_rtf=decode_s / seconds if done else 0.0,
        codebook_sizes=tuple(system.codebook_sizes),
        failures=failures,
        not_measured="" if done else "every recording failed",
    )


def _output(system: System | Files, source: Source) -> Output:
    """Run the system on one recording, by the clock; files are only read, which says nothing of their maker's speed.

    Raises:
        ValueError, RuntimeError, OSError: the system cannot code it, or there is no file for it.
    """
    if isinstance(system, Files):
        return Output(system.read(source.recording.id))
    waveform = source.read()
    start = time.perf_counter()
    coded = system.encode(waveform)
    encoded = time.perf_counter()
    output = system.decode(coded)
    return Output(output, coded.bits, encoded - start, time.perf_counter() - encoded, coded.codes)


def score_all(
    result: SystemResult,
    outputs: Sequence[Scorable],
    columns: dict[str, dict[str, Column]],
    scores: Lines,
    workers: int,
) -> None:
    """Fill in values and failures of outputs, from what is kept where possible.

    Kept values are under the metrics' own keys, whatever other metrics were asked for beside them.

    Args:
        result: of the system that made them.
        outputs: what to judge.
        columns: of every metric that is to judge, as `metric_columns` gives them.
        scores: kept ones, by system, version, id, digest, metric and metric_version; new ones are added.
        workers: processes for the scores (see `score_each`).
    """
    key = {output.id: (result.system, result.version, output.id, output.digest) for output in outputs}

    def enter(output: str, spec: str, values: dict[str, float]) -> None:
        for own, value in values.items():
            result.values.setdefault(columns[spec][own].key, {})[output] = value

    todo = []
    for output in outputs:
        missing = []
        for spec in columns:
            kept = scores.get(*key[output.id], spec, make_metric(spec).version)
            if kept is None:
                missing.append(spec)
            else:
                enter(output.id, spec, kept["values"])
        if missing:
            todo.append((output, tuple(missing)))
    jobs = (Job(output.id, output.pair(), missing) for output, missing in todo)
    with progress(total=len(todo), desc=f"{result.system}: score", unit="file") as bar:
        for scored in score_each(jobs, workers):
            for spec, values in scored.values.items():
                fields = dict(zip(scores.keys, (*key[scored.name], spec, make_metric(spec).version), strict=True))
                scores.add({**fields, "values": values})
                enter(scored.name, spec, values)
            if scored.errors:
                result.failures[scored.name] = scored.errors
            bar.set_postfix(failed=len(result.failures), refresh=False)
            bar.update()


def _scorable(result: SystemResult, sources: Sequence[Source], out: Path) -> list[Scorable]:
    """What the system made of each recording that it did not fail on."""
    coded = [s for s in sources if s.recording.id not in result.failures]
    return [Scorable(s.recording.id, s.digest, partial(_pair, s, result.system, out)) for s in coded]


def _pair(source: Source, system: str, out: Path) -> Pair:
    r, n, output = source.recording, max(1, source.n_samples - CUT), file_of(out, "audio", system, source.recording.id)
    return Pair(source.read()[:n].numpy(), _read(output)[:n].numpy(), SAMPLE_RATE, r.text, r.language)


def _lag(system: System | Files, sources: Sequence[Source]) -> int:
    """The system's own lag, or what a search on recordings spread over the test set finds.

    Recordings that it cannot code are passed over, as they are listed later; 0 if it can code none.

    Raises:
        ValueError: it cannot be found.
    """
    if system.lag is not None:
        return system.lag
    step = max(1, len(sources) // N_LAG_ITEMS)
    pairs: list[tuple[Tensor, Tensor]] = []
    for source in (source for first in range(step) for source in sources[first::step]):
        try:
            pairs.append((source.read(), _output(system, source).waveform))
        except (ValueError, RuntimeError, OSError):
            continue
        if len(pairs) == N_LAG_ITEMS:
            break
    try:
        return find_lag(pairs)
    except ValueError as error:
        raise ValueError(f"no lag found: {error}") from error


def _audio(out: Path, system: System | Files, recording: str) -> Path:
    return file_of(out, "audio", system.name, recording)


def _keep_audio(path: Path, waveform: Tensor) -> None:
    """Write 24-bit FLAC, whose rounding lies below the floor of every metric."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as new:
        soundfile.write(new, waveform.clamp(-1, 1).numpy(force=True), SAMPLE_RATE, subtype="PCM_24")


def keep_codes(path: Path, codes: Tensor) -> None:
    """Write codes `[K, T]` as an int32 .npy file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as new:
        np.save(new, codes.cpu().numpy().astype(np.int32), allow_pickle=False)


def _read(path: Path) -> Tensor:
    return torch.from_numpy(soundfile.read(path, dtype="float32")[0])
