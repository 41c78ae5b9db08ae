"""`python -m train experiment=codec_small data.train=manifest.jsonl`: from composed settings to a training run."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from codec.checkpoint.store import CheckpointError
from codec.config import PRESETS, preset
from codec.files import atomic_file
from codec.quant import AnyQuantizerConfig
from codec.tts.config import PRESETS as TTS_PRESETS
from eval.provenance import environment
from train.config import LoggerConfig, OptimConfig, TrainerConfig, from_mapping, of_one_kind, register
from train.data.audio import DataConfig
from train.data.pairs import PreferenceDataConfig
from train.data.speech import SpeechDataConfig
from train.dist import init_world
from train.log import Logger, RunLogger
from train.loop import Trainer, TrainingError
from train.memory import keep_freed_memory
from train.tasks.codec import CodecLossConfig, CodecTask
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
    return Common(
        from_mapping(TrainerConfig, settings["trainer"], "trainer"),
        from_mapping(OptimConfig, settings["optim"], "optim"),
        from_mapping(LoggerConfig, settings["logger"], "logger"),
    )


def run(settings: dict[str, Any]) -> bool:
    """Train as the settings say; returns whether the run is complete, not stopped by a signal.

    Raises:
        ValueError: settings, data or folders that cannot be used.
        TrainingError: training cannot go on.
    """
    shared = common(settings)
    config = shared.trainer
    folder = Path(settings["run_dir"])
    torch.set_flush_denormal(True)
    keep_freed_memory()
    world = init_world(config.device)
    task = TASKS[settings["task"]].from_settings(settings, config.validate_clips if config.validate_every else 0)
    trainer = Trainer(task, config, shared.optim, settings["seed"], folder, world)
    log = Logger()
    if world.is_main:
        _record(folder, settings)
        log = RunLogger(folder, shared.logger, settings, trainer.progress.step, config.steps)
    try:
        return trainer.fit(log)
    finally:
        log.close()


def _record(folder: Path, settings: dict[str, Any]) -> None:
    """Leave in the run folder what this start was made with; settings that differ from the last start are named."""
    path = folder / "config.yaml"
    if path.exists():
        before = _flat(OmegaConf.to_container(OmegaConf.load(path)))
        now = _flat(settings)
        for name in sorted(before.keys() | now.keys()):
            if before.get(name) != now.get(name):
                print(f"{name}: {before.get(name)} until now, {now.get(name)} from here on", file=sys.stderr)
    with atomic_file(path) as new:
        new.write_text(OmegaConf.to_yaml(settings))
    with (folder / "starts.jsonl").open("a") as file:
        file.write(json.dumps(environment()) + "\n")


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {k: v for key, value in tree.items() for k, v in _flat(value, f"{prefix}.{key}" if prefix else key).items()}


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def main(config: DictConfig) -> None:
    try:
        run(plain(config, HydraConfig.get().overrides.task))
    except (ValueError, CheckpointError, TrainingError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
