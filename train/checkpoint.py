"""All that a run needs to go on as if it had never stopped, in safetensors and JSON.

A checkpoint holds plain, whole tensors, however the run is spread over processes.
Random numbers need no state: every batch seeds its own generator from the run's seed and its number.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from codec.checkpoint.store import CheckpointError, write_tensors
from codec.files import atomic_folder

TENSORS, PROGRESS = "tensors.safetensors", "progress.json"


@dataclass
class Progress:
    """Where a run stands."""

    step: int = 0  # steps taken, or skipped for bad gradients
    batch: int = 0  # batches read: the position in the data
    n_bad_steps: int = 0
    n_rollbacks: int = 0
    best: float = float("-inf")  # best value of the validation metric so far
    n_averaged: int = 0
    seconds: float = 0.0  # of training, validation included


def full_state(network: nn.Module) -> dict[str, Tensor]:
    """A copy of a network's state dict, whole tensors on the CPU; with `fsdp`, to be called on every rank."""
    state = get_model_state_dict(network, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    return {name: t.clone() for name, t in state.items() if isinstance(t, Tensor)}


def load_state(network: nn.Module, state: dict[str, Tensor]) -> None:
    if state:  # torch takes an empty one for a rank that waits for the others
        set_model_state_dict(network, dict(state), options=StateDictOptions(full_state_dict=True))


def optimizer_state(network: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """A copy of what the optimizer keeps, by parameter and kind; its settings come from the run's."""
    return {
        f"{name}:{kind}": (value.full_tensor() if isinstance(value, DTensor) else value).cpu().clone()
        for name, p in network.named_parameters()
        for kind, value in optimizer.state.get(p, {}).items()
    }


def load_optimizer_state(network: nn.Module, optimizer: Optimizer, state: dict[str, Tensor]) -> None:
    optimizer.state.clear()
    parameters = dict(network.named_parameters())
    for key, value in state.items():
        name, _, kind = key.rpartition(":")
        p = parameters[name]
        value = value.to(p.device)
        if isinstance(p, DTensor) and value.ndim:
            value = distribute_tensor(value, p.device_mesh, p.placements)
        optimizer.state[p][kind] = value


def save(folder: Path, progress: Progress, parts: dict[str, dict[str, Tensor]], keep: int) -> None:
    """Write checkpoint `folder/step_N` whole or not at all, then delete all but the newest `keep`.

    Args:
        folder: the run's checkpoints.
        progress: where the run stands.
        parts: tensors by part and name.
        keep: how many to leave.

    Raises:
        CheckpointError: the disk is full or the folder cannot be written; older checkpoints remain.
    """
    tensors = {f"{part}/{name}": t for part, state in parts.items() for name, t in state.items()}
    target = folder / f"step_{progress.step:08d}"
    try:
        with atomic_folder(target) as new:
            write_tensors(new / TENSORS, tensors, {})
            (new / PROGRESS).write_text(json.dumps(asdict(progress), indent=1))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{target}: cannot be written ({error}); free some space and resume") from error
    for old in list(checkpoints(folder))[:-keep]:
        shutil.rmtree(old)


def load(folder: Path) -> tuple[Progress, dict[str, dict[str, Tensor]]]:
    """Progress, and tensors by part and name, of one checkpoint.

    Raises:
        CheckpointError: damaged files.
    """
    parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
    try:
        progress = Progress(**json.loads((folder / PROGRESS).read_text()))
        with safe_open(folder / TENSORS, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118
                part, _, name = key.partition("/")
                parts[part][name] = file.get_tensor(key)
    except (OSError, SafetensorError, ValueError, TypeError) as error:
        raise CheckpointError(f"{folder}: cannot be read ({error}); delete it to resume from the one before") from error
    return progress, parts


def checkpoints(folder: Path) -> Iterator[Path]:
    """Complete checkpoints, oldest first."""
    yield from sorted(p for p in folder.glob("step_*") if (p / PROGRESS).is_file())


def check_folder(folder: Path, needed_bytes: int) -> None:
    """See that `folder` can be made and written and has room.

    Raises:
        CheckpointError: saying which of these fails.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"0")
        probe.unlink()
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be written ({error}); choose another run_dir") from error
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise CheckpointError(
            f"{folder}: {free / 1e9:.1f} GB are free and checkpoints need {needed_bytes / 1e9:.1f} GB; "
            "free some space, choose another run_dir or lower trainer.keep_last"
        )


def size_of(networks: dict[str, nn.Module]) -> int:
    """Bytes of a checkpoint of these networks: weights, their averages and two moments."""
    return sum(4 * t.numel() * t.element_size() for n in networks.values() for t in n.state_dict().values())
