"""Systems over a test set: coded, kept as audio, and scored; an interrupted run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor
from tqdm import tqdm

from codec.audio.io import read_audio
from codec.files import atomic_file
from eval.align import CUT, find_lag, shift
from eval.baselines.base import SAMPLE_RATE, MissingProgramError, System
from eval.metrics.base import MissingBackendError, Pair
from eval.metrics.registry import make_metric
from eval.results import CODING, REFERENCE, Recording, Results, SystemResult, file_of
from eval.score import Job, score_each
from eval.systems import make_system
from eval.testsets import Utterance

N_LAG_ITEMS = 4  # recordings that a lag is searched on
Groups = Callable[[Utterance], tuple[str, ...]]


@dataclass(frozen=True)
class Source:
    """A recording that can be read: kept as 24 kHz audio in the folder of the run."""

    recording: Recording
    digest: str  # of the samples: results are kept for as long as they stay the same
    path: Path

    def read(self) -> Tensor:
        return _read(self.path)


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
    systems: Sequence[str | System],
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
    Systems run in this process, one recording at a time, which is how their speed is measured.

    Args:
        systems: what to measure, in the order of tables, or their names (see `eval.systems.make_system`).
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
    usable, not_measured = _usable(metrics)
    out.mkdir(parents=True, exist_ok=True)
    sources, unreadable = _read_all(utterances, out, groups)
    columns = [column for spec in usable for column in make_metric(spec).columns]
    results = Results([s.recording for s in sources], columns, [], not_measured, made or {})
    codings = Lines(out / "codings.jsonl", ("system", "id"))
    scores = Lines(out / "scores.jsonl", ("system", "version", "id", "digest", "metric", "metric_version"))
    for given in systems:
        try:
            system = make_system(given, device) if isinstance(given, str) else given
            result = _code(system, sources, codings, out)
        except (MissingProgramError, MissingBackendError, ValueError) as error:
            name = given if isinstance(given, str) else given.name
            results.systems.append(SystemResult(name, not_measured=str(error)))
        else:
            result.failures |= {name: {CODING: reason} for name, reason in unreadable.items()}
            _score(result, sources, usable, scores, out, workers)
            results.systems.append(result)
        results.save(out)
    return results


def _usable(metrics: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The metrics that can be measured here, and why the others cannot."""
    usable, missing = [], {}
    for spec in dict.fromkeys(metrics):
        try:
            make_metric(spec)
            usable.append(spec)
        except MissingBackendError as error:
            missing[spec] = str(error)
    return usable, missing


def _read_all(utterances: Sequence[Utterance], out: Path, groups: Groups) -> tuple[list[Source], dict[str, str]]:
    """Recordings, copied into the folder of the run; and why some cannot be read."""
    sources, unreadable = [], {}
    for u in tqdm(utterances, desc="read", unit="file", disable=None, delay=2):
        path = file_of(out, "audio", REFERENCE, u.id)
        try:
            waveform = read_audio(u.path, None, SAMPLE_RATE)
        except (ValueError, OSError) as error:
            unreadable[u.id] = str(error)
            continue
        digest = hashlib.sha256(waveform.numpy().tobytes()).hexdigest()[:16]
        _keep_audio(path, waveform)
        seconds = len(waveform) / SAMPLE_RATE
        recording = Recording(u.id, seconds, groups(u), u.speaker or "", u.language or "", u.text or "")
        sources.append(Source(recording, digest, path))
    return sources, unreadable


def _code(system: System, sources: Sequence[Source], codings: Lines, out: Path) -> SystemResult:
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
    for source in tqdm(todo, desc=f"{system.name}: code", unit="file", disable=None, delay=2):
        name = source.recording.id
        try:
            waveform = source.read()
            start = time.perf_counter()
            coded = system.encode(waveform)
            encoded = time.perf_counter()
            output = system.decode(coded)
            decoded = time.perf_counter()
        except (ValueError, RuntimeError, OSError) as error:
            failures[name] = {CODING: str(error)}
            continue
        _keep_audio(_audio(out, system, name), shift(output, lag, len(waveform)))
        if coded.codes is not None:
            _keep_codes(file_of(out, "codes", system.name, name), coded.codes)
        done[name] = {
            "system": system.name, "version": system.version, "id": name, "digest": source.digest, "lag": lag,
            "bits": coded.bits, "encode_s": encoded - start, "decode_s": decoded - encoded,
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


def _score(
    result: SystemResult, sources: Sequence[Source], metrics: Sequence[str], scores: Lines, out: Path, workers: int
) -> None:
    """Fill in values and failures of everything that was coded, from what is kept where possible."""
    key = {s.recording.id: (result.system, result.version, s.recording.id, s.digest) for s in sources}

    def jobs() -> Iterator[Job]:
        for source, missing in todo:
            r, path = source.recording, file_of(out, "audio", result.system, source.recording.id)
            n = max(1, round(r.seconds * SAMPLE_RATE) - CUT)
            pair = Pair(source.read()[:n].numpy(), _read(path)[:n].numpy(), SAMPLE_RATE, r.text, r.language)
            yield Job(r.id, pair, missing)

    todo = []
    for source in sources:
        if source.recording.id in result.failures:
            continue
        missing = []
        for spec in metrics:
            kept = scores.get(*key[source.recording.id], spec, make_metric(spec).version)
            if kept is None:
                missing.append(spec)
            else:
                _enter(result, source.recording.id, kept["values"])
        if missing:
            todo.append((source, tuple(missing)))
    with tqdm(total=len(todo), desc=f"{result.system}: score", unit="file", disable=None, delay=2) as bar:
        for scored in score_each(jobs(), workers):
            for spec, values in scored.values.items():
                fields = dict(zip(scores.keys, (*key[scored.name], spec, make_metric(spec).version), strict=True))
                scores.add({**fields, "values": values})
                _enter(result, scored.name, values)
            if scored.errors:
                result.failures[scored.name] = scored.errors
            bar.update()
            bar.set_postfix(failed=len(result.failures))


def _enter(result: SystemResult, recording: str, values: dict[str, float]) -> None:
    for column, value in values.items():
        result.values.setdefault(column, {})[recording] = value


def _lag(system: System, sources: Sequence[Source]) -> int:
    """The system's own lag, or what a search on recordings spread over the test set finds.

    Raises:
        ValueError: it cannot be found.
    """
    if system.lag is not None:
        return system.lag
    pairs: list[tuple[Tensor, Tensor]] = []
    try:
        for source in sources[:: max(1, len(sources) // N_LAG_ITEMS)][:N_LAG_ITEMS]:
            waveform = source.read()
            pairs.append((waveform, system.decode(system.encode(waveform))))
        return find_lag(pairs)
    except (ValueError, RuntimeError, OSError) as error:
        raise ValueError(f"no lag found: {error}") from error


def _audio(out: Path, system: System, recording: str) -> Path:
    return file_of(out, "audio", system.name, recording)


def _keep_audio(path: Path, waveform: Tensor) -> None:
    """Write 24-bit FLAC, whose rounding lies below the floor of every metric."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as new:
        soundfile.write(new, waveform.clamp(-1, 1).numpy(force=True), SAMPLE_RATE, subtype="PCM_24")


def _keep_codes(path: Path, codes: Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as new:
        np.save(new, codes.cpu().numpy().astype(np.int32), allow_pickle=False)


def _read(path: Path) -> Tensor:
    return torch.from_numpy(soundfile.read(path, dtype="float32")[0])
