"""One training as a job of a launcher; imports nothing slow, as the job only waits for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LOG = "train.log"  # output of a training, in the folder of its run


def start(folder: Path, overrides: Sequence[str], env: Mapping[str, str], **options: Any) -> subprocess.Popen[bytes]:
    """Start `python -m train` with its log in `folder`; `options` are those of `subprocess.Popen`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "train", *overrides],
            env={**os.environ, **env, "PYTHONPATH": python_path()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **options,
        )


def run(trainings: Sequence[tuple[Path, Sequence[str]]], config: Mapping[str, int]) -> int:
    """Do the training of the number `job` in the job's config, a folder and overrides; returns its exit status."""
    folder, overrides = trainings[config["job"]]
    return start(folder, overrides, {}).wait()


def python_path() -> str:
    return os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
