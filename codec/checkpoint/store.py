"""Our checkpoints: a folder with `config.json` and `model.safetensors`, written whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from codec.config import CodecConfig
from codec.files import atomic_file, atomic_folder

CONFIG, WEIGHTS = "config.json", "model.safetensors"


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, or does not fit its config; the message names the file."""


def save_checkpoint(folder: str | Path, config: CodecConfig, state: dict[str, Tensor]) -> None:
    """Write a checkpoint; an existing one at `folder` is replaced only once the new one is on disk.

    Args:
        folder: where to; its parent is created.
        config: the architecture.
        state: a `Codec`'s state dict.
    """
    with atomic_folder(Path(folder)) as new:
        (new / CONFIG).write_text(config.to_json())
        write_tensors(new / WEIGHTS, state, {"fingerprint": fingerprint(config, state)})


def load_checkpoint(folder: str | Path) -> tuple[CodecConfig, dict[str, Tensor], str]:
    """Config, tensors and verified fingerprint of a checkpoint folder.

    Raises:
        CheckpointError: a file is missing, unreadable, invalid or does not match its checksum.
    """
    folder = Path(folder)
    config_path, path = folder / CONFIG, folder / WEIGHTS
    for needed in (config_path, path):
        if not needed.is_file():
            raise CheckpointError(f"{needed}: not found; a checkpoint folder holds {CONFIG} and {WEIGHTS}")
    try:
        config = CodecConfig.from_json(config_path.read_text())
    except ValueError as error:
        raise CheckpointError(f"{config_path}: {error}") from error
    try:
        with safe_open(path, framework="pt") as file:
            recorded = (file.metadata() or {}).get("fingerprint")
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); the file is cut or damaged, copy it again") from error
    actual = fingerprint(config, state)
    if recorded != actual:
        raise CheckpointError(
            f"{path}: checksum {actual} differs from the recorded {recorded}: the tensors or {CONFIG} were changed "
            "after saving; copy the folder again"
        )
    return config, state, actual


def check_tensors(where: str | Path, expected: dict[str, Tensor], state: dict[str, Tensor]) -> None:
    """Compare names and shapes.

    Raises:
        CheckpointError: listing what is missing, unexpected or misshapen.
    """
    problems = [f"missing {name}" for name in expected if name not in state]
    problems += [f"unexpected {name}" for name in state if name not in expected]
    for name in expected.keys() & state.keys():
        want, got = tuple(expected[name].shape), tuple(state[name].shape)
        if want != got:
            problems.append(f"{name} has shape {got}, expected {want}")
    if problems:
        shown = "; ".join(sorted(problems)[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        raise CheckpointError(f"{where}: the tensors do not fit the config: {shown}")


def fingerprint(config: CodecConfig, state: dict[str, Tensor]) -> str:
    """16 hex digits that identify a codec: SHA-256 over its config and every tensor's name, type, shape and bytes."""
    digest = hashlib.sha256(config.to_json().encode())
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Save a safetensors file, whole or not at all."""
    with atomic_file(path) as new:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, new, {"format": "pt", **metadata})
