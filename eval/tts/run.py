"""A run of speech models: texts are synthesized, and scored beside recordings; it goes on where it stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from codec.audio.io import AudioError, read_audio, write_audio
from codec.checkpoint.store import fingerprint
from codec.files import write_json_lines
from codec.tokenizer import Tokenizer
from codec.tts.sampling import Sampling
from codec.tts.speech import TTS, load
from codec.tts.text.languages import primary_tag
from eval.digest import digest
from eval.metrics.base import SynthesisPair
from eval.progress import progress
from eval.results import Recording, Results, SystemResult
from eval.score import Scorable, Scorer
from eval.store import Outputs, make_folder
from eval.systems.base import SAMPLE_RATE
from eval.tts.items import Item
from eval.tts.synthesis import COLUMNS, SpeechOutput, Synthesizer
from eval.tts.voices import ReferenceVoice, Request, find_voices

OWN_VOICE = "own_voice"  # the metric that needs the voices of other speakers, too
METRICS = ("asr", "speaker", OWN_VOICE, "dnsmos", "distillmos", "squim")  # that need no recording of the same words
RECORDINGS = "recordings"  # stand in for a system
ROUND_TRIP = "codec round trip"
VOICE, SPEECH = "voice", "speech"  # stand in for a metric where there is no voice, or no speech to score


@dataclass(frozen=True)
class SynthesisConfig:
    """How models synthesize.

    Raises:
        ValueError: `batch_size` below 1, or no seed.
    """

    seeds: tuple[int, ...] = (0,)  # each item is synthesized with each, and its values are means over them
    batch_size: int = 8
    sampling: Sampling = field(default_factory=Sampling)  # its seed is replaced
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
    config: SynthesisConfig = SynthesisConfig(),
    workers: int = 0,
    made: dict[str, Any] | None = None,
) -> Results:
    """Synthesize every item with every model, score speech and recordings, and keep everything in `out`.

    Items that cannot be synthesized or scored are listed under `failures` and tried again in the next run; models and
    metrics that cannot be loaded are listed as not measured. In the results, recordings and each codec's round trip
    precede the models. `results.json`, as of `python -m eval`, and `results.jsonl`, with a line for every utterance,
    are written after each model.

    Args:
        models: names as for `codec.tts.load`.
        items: texts and voices.
        metrics: names as in `eval.metrics.registry`, of kinds in `METRICS`.
        out: folder of the run, made if need be.
        config: how to synthesize.
        workers: processes that score (see `eval.score.score_each`).
        made: how the run was made, for the results.

    Raises:
        ValueError: an unknown metric, or one that cannot score speech without a recording of the same words.
    """
    if wrong := [spec for spec in metrics if spec.partition(":")[0] not in METRICS]:
        raise ValueError(f"metric {wrong[0]}: it compares recordings of the same words; there are {' '.join(METRICS)}")
    run = _Run(Scorer(metrics, out, workers), out, config)
    recordings = [Recording(i.id, 0.0, (primary_tag(i.language),), i.speaker, i.language, i.text) for i in items]
    results = Results(recordings, [*run.scorer.columns, *COLUMNS], [], run.scorer.not_measured, made or {})
    out.mkdir(parents=True, exist_ok=True)
    for name in dict.fromkeys(models):
        run.add(name, items)
        results.systems = [*run.bounds, *run.models]
        results.save(out)
        write_json_lines(out / "results.jsonl", run.lines)
    return results


class _Run:
    """Results of a run so far."""

    def __init__(self, scorer: Scorer, out: Path, config: SynthesisConfig) -> None:
        self.scorer, self.config, self.outputs = scorer, config, Outputs(out, "spoken.jsonl")
        self.bounds: list[SystemResult] = []
        self.models: list[SystemResult] = []
        self.lines: list[dict[str, Any]] = []  # of results.jsonl

    def add(self, name: str, items: Sequence[Item]) -> None:
        """Add a model, and its bounds."""
        try:
            tts = load(name, self.config.device)
            requests, voiceless = find_voices(tts, self.config.consent, items)
        except (ValueError, RuntimeError) as error:
            self.models.append(SystemResult(name, not_measured=str(error)))
            return
        self._add_bounds(tts, requests)
        version = f"{fingerprint(tts.model.config, tts.model.state_dict())}-{tts.codec.fingerprint}"
        by_seed = []
        for seed in self.config.seeds:
            sampling = replace(self.config.sampling, seed=seed)
            synthesizer = Synthesizer(f"{name}@{seed}", tts, version, sampling, self.outputs)
            speech, failures = synthesizer.synthesize(requests, self.config.batch_size)
            result = SystemResult(synthesizer.name, version, failures=_reasons(SPEECH, failures))
            by_seed.append(self._score(result, speech, {"system": name, "seed": seed}))
        merged = _mean_over_seeds(name, by_seed)
        merged.failures |= _reasons(VOICE, voiceless)
        self.models.append(merged)

    def _add_bounds(self, tts: TTS, requests: list[Request]) -> None:
        """Add the recordings and their round trip through the model's codec, unless they are there."""
        name = f"{ROUND_TRIP} ({tts.codec.fingerprint})"
        known = [bound.system for bound in self.bounds]
        if name in known:
            return
        recordings, failures = _read_recordings(requests)
        if not recordings:
            return
        if RECORDINGS not in known:
            self.bounds.append(self._score(SystemResult(RECORDINGS, failures=_reasons(SPEECH, failures)), recordings))
        decoded = self._round_trip(name, tts.codec, recordings)
        result = SystemResult(name, tts.codec.fingerprint, failures=_reasons(SPEECH, failures))
        self.bounds.append(self._score(result, decoded))

    def _round_trip(self, name: str, codec: Tokenizer, recordings: Sequence[SpeechOutput]) -> list[SpeechOutput]:
        """Encode and decode recordings, unless the folder of the run has the result."""
        decoded = []
        for recording in progress(recordings, desc=f"{name}: code", unit="file"):
            id, path = recording.item.id, self.outputs.audio(name, recording.item.id)
            made_from = {"version": codec.fingerprint, "digest": recording.digest}
            if self.outputs.find(name, id, made_from) is None:
                waveform = codec.decode(codec.encode(recording.path))[0].cpu()
                write_audio(make_folder(path), waveform, codec.config.sample_rate)
                self.outputs.add(name, id, made_from)
            decoded.append(replace(recording, path=path))
        return decoded

    def _score(
        self, result: SystemResult, speech: Sequence[SpeechOutput], system: dict[str, Any] | None = None
    ) -> SystemResult:
        """Fill in values and failures, and add lines about the `system`: its name, and the seed."""
        needs_others = any(name.partition(":")[0] == OWN_VOICE for name in self.scorer.metrics)
        others = [_others(one, speech) if needs_others else [] for one in speech]
        self.scorer.score(result, [_scorable(*pair) for pair in zip(speech, others, strict=True)])
        for one in speech:
            item, id = one.item, one.item.id
            for key, value in one.values().items():
                result.values.setdefault(key, {})[id] = value
            self.lines.append({
                **(system or {"system": result.system, "seed": None}),
                "id": id, "text": item.text, "language": item.language, "speaker": item.speaker,
                "voice": str(one.reference.path), "seconds": one.seconds,
                **{column: values[id] for column, values in result.values.items() if id in values},
                "failures": result.failures.get(id, {}),
            })  # fmt: skip
        return result


def _read_recordings(requests: Sequence[Request]) -> tuple[list[SpeechOutput], dict[str, str]]:
    """Return the recordings of the items that have one, and by id why others cannot be read."""
    recordings, failures = [], {}
    for item, reference in requests:
        if item.recording is None:
            continue
        try:
            waveform = read_audio(item.recording, None, SAMPLE_RATE)
        except AudioError as error:
            failures[item.id] = str(error)
            continue
        made_from = digest(f"{item.text} {item.language} {reference.digest}", waveform)
        seconds = len(waveform) / SAMPLE_RATE
        recordings.append(SpeechOutput(item, reference, made_from, item.recording, seconds))
    return recordings, failures


def _reasons(kind: str, failures: dict[str, str]) -> dict[str, dict[str, str]]:
    """Failures as in `SystemResult`."""
    return {id: {kind: reason} for id, reason in failures.items()}


def _others(one: SpeechOutput, speech: Sequence[SpeechOutput]) -> list[ReferenceVoice]:
    """Return one voice of each other speaker of the language."""
    voices: dict[str, ReferenceVoice] = {}
    for other in speech:
        if primary_tag(other.item.language) == primary_tag(one.item.language):
            voices.setdefault(other.item.speaker or str(other.reference.path), other.reference)
    own = one.item.speaker or str(one.reference.path)
    return [reference for speaker, reference in voices.items() if speaker != own]


def _scorable(one: SpeechOutput, others: list[ReferenceVoice]) -> Scorable:
    made_from = digest(" ".join([one.digest, *(other.digest for other in others)])) if others else one.digest
    return Scorable(one.item.id, made_from, partial(_pair, one, others))


def _pair(one: SpeechOutput, others: list[ReferenceVoice]) -> SynthesisPair:
    output, voices = read_audio(one.path, None, SAMPLE_RATE), tuple(other.waveform() for other in others)
    return SynthesisPair(one.reference.waveform(), output, SAMPLE_RATE, one.item.text, one.item.language, voices)


def _mean_over_seeds(name: str, results: Sequence[SystemResult]) -> SystemResult:
    """Merge results of seeds: of each item the mean over the seeds that have a value, and all failures."""
    merged = SystemResult(name, results[0].version)
    for key in dict.fromkeys(key for result in results for key in result.values):
        values = [result.values.get(key, {}) for result in results]
        ids = dict.fromkeys(i for own in values for i in own)
        merged.values[key] = {i: fmean(own[i] for own in values if i in own) for i in ids}
    for result in results:
        for i, reasons in result.failures.items():
            merged.failures.setdefault(i, {}).update(reasons)
    return merged
