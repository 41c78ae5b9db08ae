"""Systems over recordings: every output is aligned with its recording and kept in the folder of the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from codec.recordings.media import read_recording
from codec.recordings.utterance import Utterance
from eval.digest import digest
from eval.lag import find_lag, remove_lag, shift
from eval.metrics.perceptual import estoi
from eval.progress import progress
from eval.results import CODING, Recording, SystemResult
from eval.speed import timed
from eval.store import REFERENCE, Lines, Outputs, file_of, read_flac, write_flac
from eval.systems.base import SAMPLE_RATE, System
from eval.systems.files import Files

N_LAG_ITEMS = 4  # recordings on which a lag is searched
Groups = Callable[[Utterance], tuple[str, ...]]


@dataclass(frozen=True)
class Source:
    """A readable recording: a copy at 24 kHz is kept in the folder of the run."""

    recording: Recording
    digest: str  # of the samples: results are kept while it stays the same
    path: Path

    @property
    def n_samples(self) -> int:
        return round(self.recording.seconds * SAMPLE_RATE)

    def read(self) -> Tensor:
        return read_flac(self.path)


@dataclass(frozen=True)
class Output:
    """What a system makes of a recording; 0 is unknown."""

    waveform: Tensor  # [L] at 24 kHz, delayed by the system's lag
    bits: float = 0.0
    encode_s: float = 0.0
    decode_s: float = 0.0
    codes: Tensor | None = None  # [K, T]


def read_sources(utterances: Sequence[Utterance], out: Path, groups: Groups) -> tuple[list[Source], dict[str, str]]:
    """Copy recordings into the folder of the run unless they are there.

    Returns:
        The recordings that can be read, and by id why the others cannot.
    """
    sources, unreadable = [], {}
    copies = Lines(out / "recordings.jsonl", ("id",))
    for u in progress(utterances, desc="read", unit="file"):
        path = file_of(out, "audio", REFERENCE, u.id)
        try:
            waveform = read_recording(u.path, SAMPLE_RATE)
        except (ValueError, OSError) as error:
            unreadable[u.id] = str(error)
            continue
        copy = {"id": u.id, "digest": digest(waveform)}
        if not path.exists() or copies.get(u.id) != copy:
            write_flac(path, waveform)
            copies.add(copy)
        seconds = len(waveform) / SAMPLE_RATE
        recording = Recording(u.id, seconds, groups(u), u.speaker or "", u.language or "", u.text or "")
        sources.append(Source(recording, copy["digest"], path))
    return sources, unreadable


def code_sources(system: System | Files, sources: Sequence[Source], outputs: Outputs) -> SystemResult:
    """Run the system on every recording whose output is not kept yet.

    Raises:
        ValueError: the system's lag cannot be found.
    """
    made_from = {s.recording.id: {"version": system.version, "digest": s.digest} for s in sources}
    found = {i: outputs.find(system.name, i, fields) for i, fields in made_from.items()}
    done = {i: kept for i, kept in found.items() if kept}
    failures: dict[str, dict[str, str]] = {}
    lag = next(iter(done.values()))["lag"] if done else _lag(system, sources)
    todo = [s for s in sources if s.recording.id not in done]
    for source in progress(todo, desc=f"{system.name}: code", unit="file"):
        name = source.recording.id
        try:
            output = _run(system, source)
        except (ValueError, RuntimeError, OSError) as error:
            failures[name] = {CODING: str(error)}
            continue
        write_flac(outputs.audio(system.name, name), shift(output.waveform, lag, source.n_samples))
        measured = {"lag": lag, "bits": output.bits, "encode_s": output.encode_s, "decode_s": output.decode_s}
        done[name] = made_from[name] | measured
        outputs.add(system.name, name, done[name], output.codes)
    seconds = sum(s.recording.seconds for s in sources if s.recording.id in done) or 1.0
    bits, encode_s, decode_s = (sum(f[key] for f in done.values()) for key in ("bits", "encode_s", "decode_s"))
    return SystemResult(
        system=system.name,
        version=system.version,
        kbit_per_s=bits / seconds / 1000,
        lag_ms=1000 * lag / SAMPLE_RATE,
        encode_rtf=encode_s / seconds,
        decode_rtf=decode_s / seconds,
        codebook_sizes=tuple(system.codebook_sizes),
        failures=failures,
        not_measured="" if done else "every recording failed",
    )


def _run(system: System | Files, source: Source) -> Output:
    """Run the system on one recording and time it; files are only read, so their time is unknown.

    Raises:
        ValueError, RuntimeError, OSError: the system cannot code it, or there is no file for it.
    """
    if isinstance(system, Files):
        return Output(system.read(source.recording.id))
    encode_s, coded = timed("cpu", system.encode, source.read())
    decode_s, waveform = timed("cpu", system.decode, coded)
    return Output(waveform, coded.bits, encode_s, decode_s, coded.codes)


def _lag(system: System | Files, sources: Sequence[Source]) -> int:
    """Return the system's own lag, or search for it on recordings spread over the test set.

    Recordings that the system cannot code are skipped here and listed later; 0 if it can code none. Those without an
    ESTOI, as they are too short, are skipped, too.

    Raises:
        ValueError: it cannot be found, as no output has an ESTOI.
    """
    if system.lag is not None:
        return system.lag
    step = max(1, len(sources) // N_LAG_ITEMS)
    pairs: list[tuple[Tensor, Tensor]] = []
    without: ValueError | None = None
    for source in (source for first in range(step) for source in sources[first::step]):
        try:
            pair = source.read(), _run(system, source).waveform
        except (ValueError, RuntimeError, OSError):
            continue
        try:
            estoi(*remove_lag(*pair, 0))
        except ValueError as error:
            without = error
            continue
        pairs.append(pair)
        if len(pairs) == N_LAG_ITEMS:
            break
    if without and not pairs:
        raise ValueError(f"no lag found: {without}") from without
    return find_lag(pairs)
