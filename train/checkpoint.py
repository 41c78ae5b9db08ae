"""Checkpoints for exact resume, in safetensors and JSON.

A checkpoint holds whole tensors, for any number of processes, and the SHA-256 of its files. No state of random
generators is needed: every batch seeds its own generator from the seed of the run and the batch number.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from codec.checkpoint.store import RUN_FOLDERS, CheckpointError
from codec.files import atomic_folder
from codec.tensors import write_tensors

TENSORS, PROGRESS, CHECKSUMS = "tensors.safetensors", "progress.json", "sha256.json"
CHECKPOINTS = "checkpoints"  # in the folder of a run
_WRITTEN = (f"{CHECKPOINTS}/step_*/*", *(f"{name}/*" for name in RUN_FOLDERS))


@dataclass
class Progress:
    """Position of a run."""

    step: int = 0  # steps taken, or skipped because of bad gradients
    batch: int = 0  # batches read: the position in the data
    n_bad_steps: int = 0
    n_rollbacks: int = 0
    best: float = float("-inf")  # best value so far of the validation metric
    best_metric: str = ""  # its name; "" if there is none yet, or in old checkpoints
    n_averaged: int = 0
    seconds: float = 0.0  # of training, with validation


def full_state(network: nn.Module) -> dict[str, Tensor]:
    """Copy a network's state dict to whole tensors on the CPU; with `fsdp`, call it on every rank."""
    state = get_model_state_dict(network, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    return {name: t.clone() for name, t in state.items() if isinstance(t, Tensor)}


def load_state(network: nn.Module, state: dict[str, Tensor]) -> None:
    if state:  # torch would take an empty one for a rank that waits for the others
        set_model_state_dict(network, dict(state), options=StateDictOptions(full_state_dict=True))


def optimizer_state(network: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """Copy the optimizer's tensors, by `parameter:kind`; its settings come from the run."""
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


@contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of `folder`, the run's own, on success.

    Raises:
        CheckpointError: the disk is full or the folder is not writable; what was there remains.
    """
    try:
        with atomic_folder(folder, is_own=True) as new:
            yield new
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: cannot be written ({error}); free some space and resume") from error


def save(folder: Path, progress: Progress, parts: dict[str, dict[str, Tensor]], keep: int) -> None:
    """Write checkpoint `folder/step_N` atomically, then delete all but the newest `keep`.

    Checkpoints of later steps are deleted, too: the run was rolled back, or they are damaged.

    Args:
        folder: of the run's checkpoints.
        progress: position of the run.
        parts: tensors by part and name.
        keep: number of checkpoints to keep.

    Raises:
        CheckpointError: the disk is full or the folder is not writable; older checkpoints remain.
    """
    tensors = {f"{part}/{name}": t for part, state in parts.items() for name, t in state.items()}
    target = folder / f"step_{progress.step:08d}"
    with writing(target) as new:
        write_tensors(new / TENSORS, tensors, {})
        (new / PROGRESS).write_text(json.dumps(asdict(progress), indent=1))
        sums = {name: _sha256(new / name) for name in (TENSORS, PROGRESS)}
        (new / CHECKSUMS).write_text(json.dumps(sums, indent=1))
    found = checkpoints(folder)
    n_done = found.index(target) + 1
    for old in found[: max(0, n_done - keep)] + found[n_done:]:
        shutil.rmtree(old)


def load(folder: Path) -> tuple[Progress, dict[str, dict[str, Tensor]]]:
    """Read one checkpoint: its progress, and tensors by part and name.

    Raises:
        CheckpointError: damaged files.
    """
    check_sums(folder)
    parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
    try:
        progress = read_progress(folder)
        with safe_open(folder / TENSORS, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118
                part, _, name = key.partition("/")
                parts[part][name] = file.get_tensor(key)
    except (OSError, SafetensorError, ValueError, TypeError) as error:
        raise CheckpointError(f"{folder}: cannot be read ({error})") from error
    return progress, parts


def read_progress(folder: Path) -> Progress:
    """Read the progress stored in a checkpoint.

    Raises:
        OSError, ValueError, TypeError: the file is damaged.
    """
    return Progress(**json.loads((folder / PROGRESS).read_text()))


def load_newest(folder: Path) -> tuple[Path, Progress, dict[str, dict[str, Tensor]]]:
    """Read the newest intact checkpoint in `folder`: its path, and the result of `load`; warns of damaged ones.

    Raises:
        CheckpointError: there is none.
    """
    for path in reversed(checkpoints(folder)):
        try:
            return path, *load(path)
        except CheckpointError as error:
            warnings.warn(f"{error}; it is DAMAGED, the run resumes from the checkpoint before it", stacklevel=2)
    raise CheckpointError(f"{folder}: no checkpoint can be read; choose another run_dir, or delete this one")


def check_sums(folder: Path) -> None:
    """Compare the files of a checkpoint with its checksums, if it has any.

    Raises:
        CheckpointError: a file has changed or is missing.
    """
    try:
        sums = json.loads((folder / CHECKSUMS).read_text()) if (folder / CHECKSUMS).exists() else {}
        changed = [name for name, expected in sums.items() if _sha256(folder / name) != expected]
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{folder}: cannot be read ({error})") from error
    if changed:
        raise CheckpointError(f"{folder}: {', '.join(changed)} changed after saving: wrong checksum")


def checkpoints(folder: Path) -> list[Path]:
    """List the checkpoints of a run, oldest first."""
    return sorted(p for p in folder.glob("step_*") if p.is_dir())


def make_folder(folder: Path) -> None:
    """Make a folder unless it exists, and check that it is writable.

    Raises:
        CheckpointError: it is not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"0")
        probe.unlink()
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be written ({error}); choose another run_dir") from error


def check_disk_space(run: Path, networks: Iterable[nn.Module], keep: int) -> None:
    """Check that the disk has space for what the run will still write.

    That is `keep` checkpoints (weights, their averages, two moments), `best/` and `last/` (weights), and one more of
    each, as the old one is deleted after the new one is written.

    Raises:
        CheckpointError: it has not.
    """
    n_bytes = sum(t.numel() * t.element_size() for network in networks for t in network.state_dict().values())
    one_more = (4 + 1) * n_bytes
    needed = max(one_more, (4 * keep + 2) * n_bytes + one_more - _checkpoint_bytes(run))
    free = shutil.disk_usage(run).free
    if free < needed:
        raise CheckpointError(
            f"{run}: {_format_size(free)} are free, checkpoints need {_format_size(needed)}; "
            "free some space, choose another run_dir or lower trainer.keep_last"
        )


def _checkpoint_bytes(run: Path) -> int:
    """Size of the existing checkpoints in bytes."""
    return sum(file.stat().st_size for pattern in _WRITTEN for file in run.glob(pattern))


def _format_size(n_bytes: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} GB"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
