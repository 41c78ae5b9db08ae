"""Logging of metrics, audio and pictures: to the terminal, `metrics.jsonl`, files, and a tracker."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from codec.audio.io import write_audio
from codec.files import atomic_file, write_text
from train.settings.config import LoggerConfig
from train.tasks.base import Validation
from train.trackers import make_tracker

METRICS = "metrics.jsonl"


class Logger:
    """Interface of loggers; this one, for all processes but the first, does nothing."""

    def advance(self) -> None:
        """Advance the progress bar by a step."""

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Log metrics of a step, with names like `loss/stft`."""

    def log_validation(self, step: int, validation: Validation) -> None:
        """Log metrics, clips and pictures of a validation."""

    def info(self, message: str) -> None:
        """Print a message."""

    def close(self) -> None:
        """Close files; nothing may be logged afterwards."""


class RunLogger(Logger):
    """Log to a run folder and a tracker; clips and pictures of the last validation go to `samples/`.

    Args:
        folder: of the run.
        config: of the loggers.
        settings: of the run, for the tracker.
        step: first step; lines of later steps from an earlier start are dropped.
        n_steps: last step.
    """

    def __init__(self, folder: Path, config: LoggerConfig, settings: dict[str, Any], step: int, n_steps: int) -> None:
        self.folder = folder
        every = 0.1 if sys.stderr.isatty() else 30.0  # seconds; fewer lines in a log file
        self.bar = tqdm(total=n_steps, initial=step, unit="step", disable=not config.progress, mininterval=every)
        self.path = folder / METRICS
        _drop_lines_after(self.path, step)
        self.file = self.path.open("a")
        self.tracker = make_tracker(config, folder, settings, step)

    def advance(self) -> None:
        self.bar.update(1)

    def log(self, step: int, metrics: dict[str, float]) -> None:
        self.file.write(json.dumps({"step": step, **{k: float(f"{v:.6g}") for k, v in metrics.items()}}) + "\n")
        self.file.flush()
        self.tracker.log(step, metrics)
        if "loss/total" in metrics:
            self.bar.set_postfix_str(f"loss {metrics['loss/total']:.4f}", refresh=False)

    def log_validation(self, step: int, validation: Validation) -> None:
        metrics = {f"valid/{name}": value for name, value in validation.metrics.items()}
        self.log(step, metrics)
        self.info(f"step {step}: " + ", ".join(f"{name} {value:.3f}" for name, value in validation.metrics.items()))
        samples = self.folder / "samples"
        samples.mkdir(exist_ok=True)
        for name, waveform in validation.audio.items():
            write_audio(samples / f"{name}.wav", waveform, validation.sample_rate)
        for name, figure in validation.pictures.items():
            with atomic_file(samples / f"{name}.png") as new:
                figure.savefig(new)
        self.tracker.log_samples(step, validation, samples)

    def info(self, message: str) -> None:
        tqdm.write(message, file=sys.stderr)

    def close(self) -> None:
        self.bar.close()
        self.file.close()
        self.tracker.close()


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The lines that a run has logged, each a `step` and metrics by name; one that is being written is left out.

    Raises:
        ValueError: no run in the folder, or a damaged line.
    """
    path = folder / METRICS
    if not path.is_file():
        raise ValueError(f"{folder}: no {METRICS} in it; expected the folder of a run")
    lines = path.read_text().splitlines()
    try:
        return [json.loads(line) for line in lines if line.endswith("}")]
    except ValueError as error:
        raise ValueError(f"{path}: damaged ({error})") from error


def _drop_lines_after(path: Path, step: int) -> None:
    """Remove lines logged after the last checkpoint: these steps are logged again."""
    if not path.exists():
        return
    kept = [line for line in read_metrics(path.parent) if line["step"] <= step]
    write_text(path, "".join(json.dumps(line) + "\n" for line in kept))
