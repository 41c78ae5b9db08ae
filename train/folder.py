"""The folder of a run: its name, one training at a time in it, and the settings that all of its starts share."""

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
# How long and where a run trains, and what it tells: all that may differ between its starts.
FREE = (
    "run_dir", "resume", "logger", "data.num_workers", "trainer.steps", "trainer.minutes", "trainer.device",
    "trainer.compile", "trainer.parallel", "trainer.log_every", "trainer.validate_every", "trainer.save_every",
    "trainer.keep_last", "trainer.max_bad_steps",
)  # fmt: skip
MAX_NAME = 80  # characters


def default_name(experiment: str | None, overrides: Sequence[str]) -> str:
    """A name for a run: its experiment, then what else was chosen on the command line, then a hash of that.

    The same settings have the same name, in any order, whatever those in `FREE` are.

    Args:
        experiment: of `conf/experiment`, if any.
        overrides: such as `loss=adversarial` and `experiment=codec_small`.
    """
    name = experiment or "train"
    chosen = sorted(o for o in overrides if not _is_in(_key(o), (*FREE, "experiment")))
    if not chosen:
        return name
    digest = hashlib.sha256("\n".join(chosen).encode()).hexdigest()[:6]
    words = [f"{_key(o).split('.')[-1]}_{_word(o.partition('=')[2])}" for o in chosen]
    return f"{'-'.join([name, *words])[:MAX_NAME]}-{digest}"


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Have a run's folder alone, made if need be; the lock goes with the process, however that ends.

    Raises:
        ValueError: another training has it.
        CheckpointError: it cannot be written.
    """
    make_folder(folder)
    with (folder / LOCK).open("a+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock, not passed on to data workers
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            raise ValueError(
                f"{folder}: another training is at work here ({file.read() or 'not known which'}); wait for it, stop "
                "it, or choose another run_dir"
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}")
        file.flush()
        yield


def check_same(folder: Path, run: RunConfig) -> None:
    """See that the run in `folder`, if there is one to go on with, has these settings, but for those in `FREE`.

    Raises:
        ValueError: it has others; the message lists them.
    """
    if run.resume == "force" or not checkpoints(folder / CHECKPOINTS):
        return
    if differing := differences(folder, run, FREE):
        raise ValueError(
            f"{folder} holds a run with other settings: {'; '.join(differing)}. Choose another run_dir, or go on with "
            "it under the new settings by resume=force"
        )


def differences(folder: Path, run: RunConfig, free: Collection[str]) -> list[str]:
    """The settings but those in `free` that a run has otherwise than the one recorded in `folder`, if there is one.

    What the recorded run did not know yet is at its default there.

    Raises:
        ValueError: it has settings that there are no more.
    """
    path = folder / CONFIG
    if not path.exists():
        return []
    recorded: Any = OmegaConf.to_container(OmegaConf.load(path))
    try:
        before, now = _flat(read_run(recorded).plain()), _flat(run.plain())
    except ValueError as error:
        raise ValueError(
            f"{path}: {error}; it is of another version: choose another folder, or resume=force"
        ) from error
    return [
        f"{name} = {before.get(name, 'unset')}, now {now.get(name, 'unset')}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name) and not _is_in(name, free)
    ]


def record(folder: Path, run: RunConfig, **found: str) -> None:
    """Leave in a run's folder what this start was made with, and what it found, such as the precision `auto` chose."""
    with atomic_file(folder / CONFIG) as new:
        new.write_text(OmegaConf.to_yaml(run.plain()))
    with (folder / STARTS).open("a") as file:
        file.write(json.dumps(environment() | found) + "\n")


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """The leaves of nested dictionaries by their dotted names."""
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {k: v for key, value in tree.items() for k, v in _flat(value, f"{prefix}.{key}" if prefix else key).items()}


def _is_in(name: str, groups: Collection[str]) -> bool:
    return any(name == group or name.startswith(f"{group}.") for group in groups)


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~").partition("@")[0]


def _word(value: str) -> str:
    """A value, if it is a path its last name, in characters that are no trouble in names of folders."""
    return re.sub(r"[^\w.+-]+", "_", value.rstrip("/").rpartition("/")[2]).strip("_")
