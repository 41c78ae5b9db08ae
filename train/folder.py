"""Folder of a run: its lock, and the settings that all its starts share."""

from __future__ import annotations

import fcntl
import json
import os
import platform
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from codec.files import write_text
from eval.provenance import environment
from train.checkpoint import CHECKPOINTS, checkpoints, make_folder
from train.settings.name import MAY_DIFFER, is_in
from train.settings.run import RunConfig, read_run

CONFIG, STARTS, LOCK = "config.yaml", "starts.jsonl", "lock"


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Make and lock the folder of a run; the lock ends with the process.

    Raises:
        ValueError: another training holds the lock.
        CheckpointError: the folder is not writable.
    """
    make_folder(folder)
    with (folder / LOCK).open("a+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock, not inherited by data workers
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            raise ValueError(
                f"{folder}: another training runs here ({file.read() or 'unknown'}); wait for it, stop it, or "
                "choose another run_dir"
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}")
        file.flush()
        yield


def check_same_settings(folder: Path, run: RunConfig) -> None:
    """Check that a run to resume in `folder` has the same settings, except those in `MAY_DIFFER`.

    Raises:
        ValueError: settings differ; the message lists them.
    """
    if run.resume == "force" or not checkpoints(folder / CHECKPOINTS):
        return
    if differing := differences(folder, run, MAY_DIFFER):
        raise ValueError(
            f"{folder} holds a run with other settings: {'; '.join(differing)}. Choose another run_dir, or resume it "
            "with the new settings by resume=force"
        )


def differences(folder: Path, run: RunConfig, free: Collection[str]) -> list[str]:
    """List the settings of a run that differ from those recorded in `folder`, except those in `free`.

    Settings that the recorded run did not have yet count as defaults.

    Raises:
        ValueError: the recorded run has settings that no longer exist.
    """
    path = folder / CONFIG
    if not path.exists():
        return []
    recorded: Any = OmegaConf.to_container(OmegaConf.load(path))
    try:
        before, now = _flatten(read_run(recorded).plain()), _flatten(run.plain())
    except ValueError as error:
        raise ValueError(
            f"{path}: {error}; written by another version: choose another folder, or resume=force"
        ) from error
    return [
        f"{name} = {before.get(name, 'unset')}, now {now.get(name, 'unset')}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name) and not is_in(name, free)
    ]


def record_start(folder: Path, run: RunConfig, **facts: str) -> None:
    """Record the settings and environment of a start, and facts such as the precision that `auto` chose."""
    write_text(folder / CONFIG, OmegaConf.to_yaml(run.plain()))
    with (folder / STARTS).open("a") as file:
        file.write(json.dumps(environment() | facts) + "\n")


def _flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten nested dictionaries to dotted names."""
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {
        k: v for key, value in tree.items() for k, v in _flatten(value, f"{prefix}.{key}" if prefix else key).items()
    }
