"""`python -m train experiment=codec_small data.train=manifest.jsonl`: from composed settings to a training run.

It exits with 0 once the run is complete, with 143 or 130 after SIGTERM or Ctrl-C, when the last step is saved and the
same command goes on, and with 1 after an error.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext

from train.settings import help

if __name__ == "__main__" and {"-h", "--help"} & set(sys.argv):  # before torch is imported, which takes seconds
    print(help.text())
    sys.exit()

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from codec.checkpoint.store import CheckpointError
from codec.config import PRESETS, preset
from codec.quant import AnyQuantizerConfig
from codec.tts.config import PRESETS as TTS_PRESETS
from train.data.audio.crops import DataConfig
from train.data.pairs.dataset import PreferenceDataConfig
from train.data.tokens.sequences import SpeechDataConfig
from train.dist import World, init_world
from train.folder import RESUME, check_same, default_name, lock, record
from train.log import Logger, RunLogger
from train.loop import Trainer, TrainingError
from train.losses.config import CodecLossConfig
from train.memory import keep_freed_memory
from train.settings.config import LoggerConfig, OptimConfig, TrainerConfig, from_mapping, of_one_kind, register
from train.settings.suggest import advice
from train.tasks.codec import CodecTask
from train.tasks.dpo import DPOLossConfig, DPOTask
from train.tasks.tts import TTSLossConfig, TTSTask

TASKS: dict[str, type[Any]] = {"codec": CodecTask, "tts": TTSTask, "dpo": DPOTask}

for _name in PRESETS:
    register("model", _name, preset(_name), init="transform")
for _name, _config in TTS_PRESETS.items():
    register("model", f"tts_{_name}", _config, init="random")
register("data", "base", DataConfig(train="???"))
register("data", "speech", SpeechDataConfig(train="???"))
register("data", "preferences", PreferenceDataConfig(train="???", pairs="???"))
register("loss", "base", CodecLossConfig())
register("loss", "tts", TTSLossConfig())
register("loss", "dpo", DPOLossConfig())
register("optim", "base", OptimConfig())
register("trainer", "base", TrainerConfig())
register("logger", "base", LoggerConfig())
OmegaConf.register_new_resolver("run_name", default_name, replace=True)


@dataclass(frozen=True)
class Common:
    """What every run has, whatever its task."""

    trainer: TrainerConfig
    optim: OptimConfig
    logger: LoggerConfig


def plain(config: DictConfig, overrides: Sequence[str]) -> dict[str, Any]:
    """Composed settings as plain values; `overrides` are those of the command line.

    Raises:
        ValueError: some have none, or there is no such kind of quantizer.
    """
    if missing := OmegaConf.missing_keys(config):
        raise ValueError(f"settings without a value: {', '.join(sorted(missing))}; give them as name=value")
    settings: Any = OmegaConf.to_container(config, resolve=True)
    if "quantizer" in settings["model"]:
        settings["model"]["quantizer"] = of_one_kind(
            AnyQuantizerConfig, settings["model"]["quantizer"], "model.quantizer", overrides
        )
    return settings


def common(settings: dict[str, Any]) -> Common:
    """The parts of a run's settings that no task sees.

    Raises:
        ValueError: there is no such task, or a setting is unknown or invalid; the message names it.
    """
    if settings["task"] not in TASKS:
        raise ValueError(f"task = {settings['task']!r}: expected one of {', '.join(TASKS)}")
    if settings["resume"] not in RESUME:
        raise ValueError(f"resume = {settings['resume']!r}: expected {' or '.join(RESUME)}")
    return Common(
        from_mapping(TrainerConfig, settings["trainer"], "trainer"),
        from_mapping(OptimConfig, settings["optim"], "optim"),
        from_mapping(LoggerConfig, settings["logger"], "logger"),
    )


def run(settings: dict[str, Any]) -> int:
    """Train as the settings say; returns 0 if the run is complete, else the number of the signal that stopped it.

    Raises:
        ValueError: settings, data or folders that cannot be used.
        TrainingError: training cannot go on.
    """
    shared = common(settings)
    folder = Path(settings["run_dir"])
    torch.set_flush_denormal(True)
    keep_freed_memory()
    world = init_world(shared.trainer.device)
    with lock(folder) if world.is_main else nullcontext():
        if world.is_main:
            check_same(folder, settings)
        return _train(settings, shared, folder, world)


def _train(settings: dict[str, Any], shared: Common, folder: Path, world: World) -> int:
    config = shared.trainer
    task = TASKS[settings["task"]].from_settings(settings, config.validate_clips if config.validate_every else 0)
    trainer = Trainer(task, config, shared.optim, settings["seed"], folder, world)
    log = Logger()
    if world.is_main:
        record(folder, settings, trainer.precision.name)
        log = RunLogger(folder, shared.logger, settings, trainer.progress.step, config.steps)
    try:
        return trainer.fit(log)
    finally:
        log.close()


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def main(config: DictConfig) -> None:
    try:
        number = run(plain(config, HydraConfig.get().overrides.task))
    except (ValueError, CheckpointError, TrainingError) as error:
        sys.exit(f"error: {error}")
    if number:
        sys.exit(128 + number)


def start() -> None:
    """The command line, with our words for what Hydra does not take."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra would say itself what is wrong, with advice that adds what is misspelt
    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
        sys.exit(f"error: {advice(error, sys.argv[1:])}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    start()
