"""One shard from beginning to end: the same on one process, on many and on a cluster."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from codec.dataset.config import TokenizeConfig
from codec.dataset.encoding import encode_windows
from codec.dataset.folder import shard_path
from codec.dataset.formats import FORMS, TokenRow
from codec.files import write_text
from codec.recordings.media import read_recording
from codec.recordings.utterance import Utterance
from codec.tokenizer import load

REPORTS = ".reports"  # folder, in that of the shards; readers of datasets ignore hidden ones


@dataclass(frozen=True)
class Shard:
    """Recordings of a shard that is to be written."""

    number: int
    utterances: list[Utterance]


@dataclass(frozen=True)
class Failure:
    """A recording that could not be encoded."""

    recording: str
    error: str


@dataclass(frozen=True)
class Report:
    """What became of a shard."""

    n_recordings: int
    hours: float
    failures: list[Failure]


class _Clip(NamedTuple):
    utterance: Utterance
    waveform: Tensor  # [L] float32


class Worker:
    """Encodes shards, in a process of its own: it sets the number of threads.

    Args:
        out: folder of the shards.
        config: settings; `device` is that of this worker.
        fingerprint: of the codec that it has to find.

    Raises:
        ValueError: another codec, as on another machine.
    """

    def __init__(self, out: Path, config: TokenizeConfig, fingerprint: str) -> None:
        torch.set_flush_denormal(True)
        torch.set_num_threads(1)  # more processes are faster than more threads, and sums keep their order
        self.out, self.config = out, config
        self.tokenizer = load(config.model, config.device, getattr(torch, config.dtype))
        if self.tokenizer.fingerprint != fingerprint:
            raise ValueError(f"model {config.model}: here it is {self.tokenizer.fingerprint}, expected {fingerprint}")

    def __call__(self, shard: Shard) -> Report:
        """Write a shard and, before it, its report."""
        c = self.tokenizer.config
        rows, failures = [], []
        for window in encode_windows(
            shard.utterances, seconds_of, self._read, self.tokenizer, self.config.batch_seconds
        ):
            failures += [Failure(u.path, str(error)) for u, error in window.errors]
            for (u, waveform), codes in window.clips:
                labels = (u.id, u.source, u.text, u.speaker, u.language, len(waveform) / c.sample_rate)
                rows.append(TokenRow(*labels, self.tokenizer.fingerprint, codes.T.numpy()))
        report = Report(len(rows), sum(row.duration_s for row in rows) / 3600, failures)
        write_text(report_path(self.out, shard.number), json.dumps(asdict(report)))
        form = FORMS[self.config.format]
        # Written last: it marks the shard as complete.
        form.write(shard_path(self.out, shard.number, form.suffix), rows, c.num_codebooks)
        return report

    def _read(self, utterance: Utterance) -> list[_Clip]:
        return [_Clip(utterance, read_recording(utterance.path, self.tokenizer.config.sample_rate))]


def seconds_of(utterance: Utterance) -> float:
    """Duration by the source."""
    return utterance.duration_s or 0.0


def report_path(out: Path, number: int) -> Path:
    return shard_path(out / REPORTS, number, ".json")


def read_report(path: Path) -> Report:
    """Read the report of a shard.

    Raises:
        ValueError: it is damaged.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        failures = [Failure(**failure) for failure in fields.pop("failures")]
        return Report(**fields, failures=failures)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path}: damaged ({error!r}); delete it and its shard, and run codec tokenize again"
        ) from error
