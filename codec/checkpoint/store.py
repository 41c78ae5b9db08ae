"""Checkpoints of this library: folders with `config.json` and `model.safetensors`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from codec.config import CodecConfig
from codec.files import atomic_folder
from codec.tensors import write_tensors

CONFIG, WEIGHTS = "config.json", "model.safetensors"
RUN_FOLDERS = ("best", "last")  # checkpoint folders in the folder of a training run


class Config(Protocol):
    """Configuration of a model as JSON: all of it, and the part that enters the fingerprint."""

    def to_json(self) -> str: ...

    def identity(self) -> str: ...

    @classmethod
    def from_json(cls, text: str) -> Config: ...


C = TypeVar("C", bound=Config)


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, or does not match its config; the message names the file."""


@contextmanager
def checked(where: str | Path) -> Iterator[None]:
    """Raise `CheckpointError`, which names `where`, for keys that are missing in it and values that are wrong."""
    try:
        yield
    except KeyError as error:
        raise CheckpointError(f"{where}: key {error.args[0]!r} is missing") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{where}: {error}") from error


def save_checkpoint(folder: str | Path, config: CodecConfig, state: dict[str, Tensor]) -> None:
    """Write a checkpoint; an existing one at `folder` is replaced only once the new one is on disk.

    Args:
        folder: of the checkpoint; its parent is created.
        config: the architecture.
        state: a `Codec`'s state dict.
    """
    with atomic_folder(Path(folder)) as new:
        write_checkpoint(new, config, state)


def write_checkpoint(folder: Path, config: Config, state: dict[str, Tensor]) -> None:
    """Write `config.json` and `model.safetensors` to an existing folder."""
    (folder / CONFIG).write_text(config.to_json())
    write_tensors(folder / WEIGHTS, state, {"fingerprint": fingerprint(config, state)})


def read_checkpoint(folder: str | Path, kind: type[C]) -> tuple[C, dict[str, Tensor], str]:
    """Read config, tensors and verified fingerprint of a checkpoint.

    Raises:
        CheckpointError: a file is missing, unreadable, invalid or does not match its checksum.
    """
    folder = Path(folder)
    config_path, path = folder / CONFIG, folder / WEIGHTS
    for needed in (config_path, path):
        if not needed.is_file():
            raise CheckpointError(f"{needed}: not found; {_advice(folder)}")
    with checked(config_path):
        config = kind.from_json(config_path.read_text())
    state, metadata = read_tensors(path)
    actual, recorded = fingerprint(config, state), metadata.get("fingerprint")
    if recorded != actual:
        raise CheckpointError(
            f"{path}: checksum {actual} differs from the recorded {recorded}: the tensors or {CONFIG} were changed "
            "after saving; copy the folder again"
        )
    return config, state, actual  # type: ignore[return-value]


def _advice(folder: Path) -> str:
    """Suggest what to load instead of a folder that is no checkpoint."""
    for place in (folder, *folder.absolute().parents[:2]):  # a training run, or one of its training checkpoints
        if found := [str(place / name) for name in RUN_FOLDERS if (place / name / CONFIG).is_file()]:
            return f"this is a folder of a training run: load {' or '.join(found)}"
    return f"a checkpoint folder holds {CONFIG} and {WEIGHTS}"


def check_tensors(where: str | Path, expected: dict[str, Tensor], state: dict[str, Tensor]) -> None:
    """Compare names and shapes.

    Raises:
        CheckpointError: lists missing and unexpected tensors, and wrong shapes.
    """
    problems = [f"missing {name}" for name in expected if name not in state]
    problems += [f"unexpected {name}" for name in state if name not in expected]
    for name in expected.keys() & state.keys():
        want, got = tuple(expected[name].shape), tuple(state[name].shape)
        if want != got:
            problems.append(f"{name} has shape {got}, expected {want}")
    if problems:
        shown = "; ".join(sorted(problems)[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        raise CheckpointError(f"{where}: the tensors do not match the config: {shown}")


def fingerprint(config: Config, state: dict[str, Tensor]) -> str:
    """16 hex digits that identify a model: SHA-256 of its config's identity and its tensors.

    Covers names, types, shapes and bytes of tensors.
    """
    digest = hashlib.sha256(config.identity().encode())
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and metadata of a safetensors file; tensors are memory-mapped.

    Raises:
        CheckpointError: unreadable file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); the file is cut or damaged, copy it again") from error
