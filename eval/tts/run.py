"""Speech models over texts: spoken, kept, and scored beside recordings; an interrupted run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from codec.audio.io import AudioError, read_audio
from codec.checkpoint.store import fingerprint
from codec.files import ESCAPE, atomic_file
from codec.tts.sampling import Sampling
from codec.tts.speech import TTS, load
from codec.tts.text.languages import primary_tag
from eval.metrics.base import Column, Spoken
from eval.results import Recording, Results, SystemResult
from eval.run import SCORE_KEYS, Lines, Scorable, metric_columns, score_all, usable_metrics
from eval.systems.base import SAMPLE_RATE
from eval.tts.bounds import recorded, round_trip
from eval.tts.items import Item
from eval.tts.speak import COLUMNS, Speaker, Take
from eval.tts.voices import Reference, Voices

OWN_VOICE = "own_voice"  # the one that needs other speakers' voices, too
METRICS = ("asr", "speaker", OWN_VOICE, "dnsmos", "squim")  # that need no recording of the same words
RECORDINGS = "recordings"  # stand in for a system
ROUND_TRIP = "codec round trip"
VOICE, SPEECH = "voice", "speech"  # stand in for a metric where there is no voice, or no speech to judge


@dataclass(frozen=True)
class Speaking:
    """How models are to speak.

    Raises:
        ValueError: `batch_size` below 1, or no seed.
    """

    seeds: tuple[int, ...] = (0,)  # each item is spoken with each, and its values are means over them
    batch_size: int = 8
    sampling: Sampling = field(default_factory=Sampling)  # but for its seed
    consent: str = "evaluation of speech models with published recordings"  # for voices made from recordings
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.batch_size < 1 or not self.seeds:
            raise ValueError(f"batch_size = {self.batch_size}, seeds = {self.seeds}: expected at least 1, and one")


def evaluate(
    models: Sequence[str],
    items: Sequence[Item],
    metrics: Sequence[str],
    out: Path,
    speaking: Speaking = Speaking(),
    workers: int = 0,
    made: dict[str, Any] | None = None,
) -> Results:
    """Have every model speak every item, score that and the recordings, and keep everything in `out`.

    What cannot be spoken or judged is listed under `failures` and tried again next time; models and metrics
    that cannot be had are listed as not measured. Recordings and each codec's round trip stand in the results
    before the models. `results.json`, as of `python -m eval`, and `results.jsonl`, with a line for every
    utterance, are written after each model.

    Args:
        models: names as for `codec.tts.load`.
        items: texts and voices.
        metrics: names as in `eval.metrics.registry`, of kinds in `METRICS`.
        out: folder of the run, made if need be.
        speaking: how to speak.
        workers: processes for the scores (see `eval.score.score_each`).
        made: how the run was made, for the results.

    Raises:
        ValueError: an unknown metric, or one that cannot judge speech without a recording of the same words.
    """
    if wrong := [spec for spec in metrics if spec.partition(":")[0] not in METRICS]:
        raise ValueError(f"metric {wrong[0]}: it compares recordings of the same words; there are {' '.join(METRICS)}")
    usable, not_measured = usable_metrics(metrics)
    out.mkdir(parents=True, exist_ok=True)
    run = _Run(out, metric_columns(usable), speaking, workers)
    shown = [column for own in run.columns.values() for column in own.values()]
    about = [_about(item) for item in items]
    results = Results(about, [*shown, *COLUMNS], [], not_measured, made or {})
    for name in dict.fromkeys(models):
        run.add(name, items)
        results.systems = [*run.bounds, *run.models]
        results.save(out)
        run.save_lines()
    return results


class _Run:
    """A run so far."""

    def __init__(self, out: Path, columns: dict[str, dict[str, Column]], speaking: Speaking, workers: int) -> None:
        self.out, self.columns, self.speaking, self.workers = out, columns, speaking, workers
        self.spoken = Lines(out / "spoken.jsonl", ("system", "id"))
        self.scores = Lines(out / "scores.jsonl", SCORE_KEYS)
        self.bounds: list[SystemResult] = []
        self.models: list[SystemResult] = []
        self.lines: list[dict[str, Any]] = []  # of results.jsonl

    def add(self, name: str, items: Sequence[Item]) -> None:
        """Have one more model speak."""
        try:
            tts = load(name, self.speaking.device)
            wanted, voiceless = _with_voices(items, Voices(tts, self.speaking.consent))
        except (ValueError, RuntimeError) as error:
            self.models.append(SystemResult(name, not_measured=str(error)))
            return
        self._add_bounds(tts, wanted)
        version = f"{fingerprint(tts.model.config, tts.model.state_dict())}-{tts.codec.fingerprint}"
        each = []
        for seed in self.speaking.seeds:
            sampling = replace(self.speaking.sampling, seed=seed)
            speaker = Speaker(f"{name}@{seed}", tts, version, sampling, self.out, self.spoken)
            takes, failures = speaker.say(wanted, self.speaking.batch_size)
            result = SystemResult(speaker.name, version, failures={i: {SPEECH: why} for i, why in failures.items()})
            each.append(self._judge(result, takes, {"system": name, "seed": seed}))
        merged = _mean_over_seeds(name, each)
        merged.failures |= {i: {VOICE: why} for i, why in voiceless.items()}
        self.models.append(merged)

    def save_lines(self) -> None:
        with atomic_file(self.out / "results.jsonl") as new:
            new.write_text(
                "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in self.lines),
                encoding="utf-8",
                errors=ESCAPE,
            )

    def _add_bounds(self, tts: TTS, wanted: list[tuple[Item, Reference]]) -> None:
        """The recordings, and what the model's codec makes of them, unless they are there already."""
        name = f"{ROUND_TRIP} ({tts.codec.fingerprint})"
        known = [bound.system for bound in self.bounds]
        if name in known:
            return
        recordings, failures = recorded(wanted)
        if not recordings:
            return
        reasons = {i: {SPEECH: why} for i, why in failures.items()}
        if RECORDINGS not in known:
            self.bounds.append(self._judge(SystemResult(RECORDINGS, failures=dict(reasons)), recordings))
        coded = round_trip(name, tts.codec, recordings, self.out, self.spoken)
        self.bounds.append(self._judge(SystemResult(name, tts.codec.fingerprint, failures=reasons), coded))

    def _judge(self, result: SystemResult, takes: Sequence[Take], who: dict[str, Any] | None = None) -> SystemResult:
        """Fill in values and failures of the takes, and write them down under `who`."""
        needs_others = any(spec.partition(":")[0] == OWN_VOICE for spec in self.columns)
        outputs = [_scorable(take, _others(take, takes) if needs_others else []) for take in takes]
        score_all(result, outputs, self.columns, self.scores, self.workers)
        for take in takes:
            for key, value in take.values().items():
                result.values.setdefault(key, {})[take.item.id] = value
        for take in takes:
            item, name = take.item, take.item.id
            self.lines.append({
                **(who or {"system": result.system, "seed": None}),
                "id": name, "text": item.text, "language": item.language, "speaker": item.speaker,
                "voice": str(take.reference.path), "seconds": take.seconds,
                **{column: values[name] for column, values in result.values.items() if name in values},
                "failures": result.failures.get(name, {}),
            })  # fmt: skip
        return result


def _with_voices(items: Sequence[Item], voices: Voices) -> tuple[list[tuple[Item, Reference]], dict[str, str]]:
    """Items with their voices, and by id why others have none."""
    found, voiceless = [], {}
    for item in items:
        try:
            found.append((item, voices.of(item)))
        except AudioError as error:
            voiceless[item.id] = str(error)
    return found, voiceless


def _others(take: Take, takes: Sequence[Take]) -> list[Reference]:
    """One voice of each other speaker of the language."""
    voices: dict[str, Reference] = {}
    for other in takes:
        if primary_tag(other.item.language) == primary_tag(take.item.language):
            voices.setdefault(other.item.speaker or str(other.reference.path), other.reference)
    own = take.item.speaker or str(take.reference.path)
    return [reference for speaker, reference in voices.items() if speaker != own]


def _scorable(take: Take, others: list[Reference]) -> Scorable:
    digest = take.digest
    if others:
        digest = hashlib.sha256(" ".join([digest, *(other.digest for other in others)]).encode()).hexdigest()[:16]
    return Scorable(take.item.id, digest, partial(_pair, take, others))


def _pair(take: Take, others: list[Reference]) -> Spoken:
    output, item = read_audio(take.path, None, SAMPLE_RATE), take.item
    voices = tuple(other.waveform() for other in others)
    return Spoken(take.reference.waveform(), output, SAMPLE_RATE, item.text, item.language, voices)


def _mean_over_seeds(name: str, results: Sequence[SystemResult]) -> SystemResult:
    """One result for a model: of each item the mean over those seeds that have a value, and all failures."""
    merged = SystemResult(name, results[0].version)
    for key in dict.fromkeys(key for result in results for key in result.values):
        values = [result.values.get(key, {}) for result in results]
        ids = dict.fromkeys(i for own in values for i in own)
        merged.values[key] = {i: float(np.mean([own[i] for own in values if i in own])) for i in ids}
    for result in results:
        for i, reasons in result.failures.items():
            merged.failures.setdefault(i, {}).update(reasons)
    return merged


def _about(item: Item) -> Recording:
    return Recording(item.id, 0.0, (primary_tag(item.language),), item.speaker, item.language, item.text)
