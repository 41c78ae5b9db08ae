"""Folder of a run: its default name, its lock, and the settings that all its starts share."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from codec.files import atomic_file
from eval.provenance import environment
from train.checkpoint import CHECKPOINTS, checkpoints, make_folder
from train.settings.run import RunConfig, read_run

CONFIG, STARTS, LOCK = "config.yaml", "starts.jsonl", "lock"
# Settings that may differ between the starts of a run: length, place and logging of the training.
MAY_DIFFER = (
    "run_dir", "resume", "logger", "data.num_workers", "trainer.steps", "trainer.minutes", "trainer.device",
    "trainer.compile", "trainer.parallel", "trainer.log_every", "trainer.validate_every", "trainer.save_every",
    "trainer.keep_last", "trainer.max_bad_steps",
)  # fmt: skip
MAX_NAME = 80  # characters


def default_name(experiment: str | None, overrides: Sequence[str]) -> str:
    """Name a run by its experiment, the other settings of the command line, and a hash of them.

    The name does not depend on their order, nor on settings in `MAY_DIFFER`.

    Args:
        experiment: of `conf/experiment`, if any.
        overrides: such as `loss=adversarial` and `experiment=codec_small`.
    """
    name = experiment or "train"
    chosen = sorted(o for o in overrides if not _is_in(_key(o), (*MAY_DIFFER, "experiment")))
    if not chosen:
        return name
    digest = hashlib.sha256("\n".join(chosen).encode()).hexdigest()[:6]
    words = [f"{_key(o).split('.')[-1]}_{_word(o.partition('=')[2])}" for o in chosen]
    return f"{'-'.join([name, *words])[:MAX_NAME]}-{digest}"


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
        if before.get(name) != now.get(name) and not _is_in(name, free)
    ]


def record_start(folder: Path, run: RunConfig, **facts: str) -> None:
    """Record the settings and environment of a start, and facts such as the precision that `auto` chose."""
    with atomic_file(folder / CONFIG) as new:
        new.write_text(OmegaConf.to_yaml(run.plain()))
    with (folder / STARTS).open("a") as file:
        file.write(json.dumps(environment() | facts) + "\n")


def _flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten nested dictionaries to dotted names."""
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {
        k: v for key, value in tree.items() for k, v in _flatten(value, f"{prefix}.{key}" if prefix else key).items()
    }


def _is_in(name: str, groups: Collection[str]) -> bool:
    return any(name == group or name.startswith(f"{group}.") for group in groups)


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~").partition("@")[0]


def _word(value: str) -> str:
    """A value, or the last part of a path, in characters that are safe in folder names."""
    return re.sub(r"[^\w.+-]+", "_", value.rstrip("/").rpartition("/")[2]).strip("_")
