"""Trackers of experiments by name: wandb, Trackio, TensorBoard, or none."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from codec.extras import needs
from train.settings.config import LoggerConfig
from train.tasks.base import Validation


class Tracker:
    """Interface of trackers; this one is `none`."""

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Log metrics of a step."""

    def log_samples(self, step: int, validation: Validation, folder: Path) -> None:
        """Log clips and pictures of a validation, which are also in `folder`, as `NAME.wav` and `NAME.png`."""

    def close(self) -> None:
        """Finish the run; nothing may be logged afterwards."""


class WandbTracker(Tracker):
    """Log to wandb or, as its functions are the same, to Trackio."""

    def __init__(self, module: ModuleType, run: Any) -> None:
        self.module, self.run = module, run

    def log(self, step: int, metrics: dict[str, float]) -> None:
        self.run.log(metrics, step=step)

    def log_samples(self, step: int, validation: Validation, folder: Path) -> None:
        media: dict[str, Any] = {f"audio/{n}": self.module.Audio(str(folder / f"{n}.wav")) for n in validation.audio}
        media |= {f"spectrogram/{n}": self.module.Image(str(folder / f"{n}.png")) for n in validation.pictures}
        self.run.log(media, step=step)

    def close(self) -> None:
        self.run.finish()


class TensorBoardTracker(Tracker):
    """Log to event files; those of later steps from an earlier start are hidden."""

    def __init__(self, folder: Path, settings: dict[str, Any], step: int) -> None:
        with needs("tensorboard", "logger.tracker = tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder), purge_step=step + 1)
        self.writer.add_text("settings", f"```json\n{json.dumps(settings, indent=1, default=str)}\n```")

    def log(self, step: int, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, step)

    def log_samples(self, step: int, validation: Validation, folder: Path) -> None:
        for name, waveform in validation.audio.items():
            self.writer.add_audio(f"audio/{name}", waveform[None], step, validation.sample_rate)
        for name, figure in validation.pictures.items():
            self.writer.add_figure(f"spectrogram/{name}", figure, step, close=False)

    def close(self) -> None:
        self.writer.close()


def make_tracker(config: LoggerConfig, folder: Path, settings: dict[str, Any], step: int) -> Tracker:
    """Make the tracker that `config` names.

    Args:
        config: of the loggers.
        folder: of the run.
        settings: of the run.
        step: the last one that counts, of an earlier start.

    Raises:
        MissingDependencyError: its package is not installed.
    """
    return _TRACKERS[config.tracker](config, folder, settings, step)


def _wandb(config: LoggerConfig, folder: Path, settings: dict[str, Any], step: int) -> Tracker:
    with needs("wandb", "logger.tracker = wandb"):
        import wandb
    run = wandb.init(
        project=config.project, mode=config.wandb, dir=folder, name=folder.name, id=_run_id(folder), resume="allow",
        config=settings,
    )  # fmt: skip
    return WandbTracker(wandb, run)


def _trackio(config: LoggerConfig, folder: Path, settings: dict[str, Any], step: int) -> Tracker:
    with needs("trackio", "logger.tracker = trackio"):
        import trackio
    name = f"{folder.name}-{_run_id(folder)}"  # by which it is found again
    run = trackio.init(project=config.project, name=name, resume="allow", config=settings, embed=False)
    return WandbTracker(trackio, run)


_TRACKERS: dict[str, Callable[[LoggerConfig, Path, dict[str, Any], int], Tracker]] = {
    "none": lambda *_: Tracker(),
    "wandb": _wandb,
    "trackio": _trackio,
    "tensorboard": lambda _, folder, settings, step: TensorBoardTracker(folder / "tensorboard", settings, step),
}


def _run_id(folder: Path) -> str:
    """Id of a run, the same at every start; stored in its folder."""
    path = folder / "wandb_id"
    if not path.exists():
        path.write_text(secrets.token_hex(4))
    return path.read_text()
