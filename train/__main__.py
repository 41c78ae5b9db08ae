"""`python -m train experiment=codec_small data.train=manifest.jsonl`: compose the settings of a run and train it.

Exit status: 0 if the run is complete, 1 after an error, 143 after SIGTERM and 130 after Ctrl-C. A signal saves the last
step; the same command resumes.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import nullcontext

from train.settings import help

if __name__ == "__main__" and {"-h", "--help"} & set(sys.argv):  # before the slow import of torch
    print(help.text())
    sys.exit()

from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from codec.checkpoint.store import CheckpointError
from codec.extras import MissingDependencyError
from codec.malloc import keep_freed_memory
from train.data.sources import summary
from train.dist import World, init_world
from train.folder import check_same_settings, lock, record_start
from train.log import Logger, RunLogger
from train.loop import Trainer, TrainingError
from train.settings.compose import to_run
from train.settings.run import AnyRun
from train.settings.suggest import CONF, advice
from train.tasks.codec import CodecTask
from train.tasks.dpo import DPOTask
from train.tasks.tts import TTSTask

TASKS: dict[str, Any] = {"codec": CodecTask, "tts": TTSTask, "dpo": DPOTask}


def train(run: AnyRun) -> int:
    """Train a run; returns 0 if it is complete, else the number of the signal that stopped it.

    Raises:
        ValueError: unusable settings, data or folders.
        TrainingError: training cannot continue.
    """
    folder = Path(run.run_dir)
    torch.set_flush_denormal(True)
    keep_freed_memory()
    world = init_world(run.trainer.device)
    with lock(folder) if world.is_main else nullcontext():
        if world.is_main:
            check_same_settings(folder, run)
        return _train(run, folder, world)


def _train(run: AnyRun, folder: Path, world: World) -> int:
    task = TASKS[run.task].from_run(run)
    trainer = Trainer(task, run.trainer, run.optim, run.seed, folder, world)
    log = Logger()
    if world.is_main:
        data = summary(task.dataset)
        record_start(folder, run, precision=trainer.precision.name, data=data)
        log = RunLogger(folder, run.logger, run.plain(), trainer.progress.step, run.trainer.steps)
        log.info(f"data: {data}")
    try:
        return trainer.fit(log)
    finally:
        log.close()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="train")
def main(config: DictConfig) -> None:
    try:
        number = train(to_run(config, HydraConfig.get().overrides.task))
    except (MissingDependencyError, ValueError, CheckpointError, TrainingError) as error:
        sys.exit(f"error: {error}")
    if number:
        sys.exit(128 + number)


def start() -> None:
    """Run the command line; errors of Hydra become one line with a hint."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # else Hydra prints the error itself and advises to add a misspelt name
    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
        sys.exit(f"error: {advice(error, sys.argv[1:])}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    start()
