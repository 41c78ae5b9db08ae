"""Distributed training: devices, wrapping of networks, and reductions over processes.

Started by `torchrun`, every process trains on its share of each batch. `ddp` keeps all weights in every process, `fsdp`
shards those of the main network.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from codec.nn.precision import check_device, emulates_bfloat16
from codec.nn.transformer import Block


@dataclass
class World:
    """This process among all processes."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        return self.rank == 0


def init_world(device: str) -> World:
    """Join the process group of `torchrun`, if it started this process.

    Raises:
        ValueError: no such device.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    check_device(device, "trainer.device")
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World(0, 1, torch.device(device))
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return World(dist.get_rank(), size, torch.device(device))


@dataclass(frozen=True)
class Precision:
    """Numeric precision of a training."""

    name: str  # float32 or bfloat16
    note: str  # message about the choice


def choose_precision(setting: str, world: World) -> Precision:
    """Choose the precision; "auto" is bfloat16 if the devices of all processes support it, else float32."""
    reason = emulates_bfloat16(world.device)
    slow = max_over_ranks(int(bool(reason)), world.device)
    reason = reason or "another process's device may be slow in bfloat16"
    if setting == "auto" and slow:
        return Precision("float32", f"precision: float32: {reason}")
    if setting == "bfloat16" and slow:
        return Precision("bfloat16", f"warning: precision: bfloat16 may be slower than float32 here: {reason}")
    name = "bfloat16" if setting == "auto" else setting
    return Precision(name, f"precision: {name}")


def parallelize(networks: dict[str, nn.Module], main: str, mode: str, world: World) -> dict[str, Callable[..., Any]]:
    """Wrap networks so that gradients are those of the whole batch; returns what to call in place of each.

    With `fsdp`, the main network is sharded in place, block by block; the others are small.
    """
    if world.size == 1:
        return dict(networks)
    parallel: dict[str, Callable[..., Any]] = {}
    for name, network in networks.items():
        if not any(p.requires_grad for p in network.parameters()):
            parallel[name] = network
        elif mode == "fsdp" and name == main:
            from torch.distributed.fsdp import fully_shard  # slow to load

            for block in blocks(network):
                fully_shard(block)
            fully_shard(network)
            parallel[name] = network
        else:
            parallel[name] = DistributedDataParallel(network, broadcast_buffers=False)
    return parallel


def blocks(network: nn.Module) -> list[Block]:
    """The transformer blocks of a network, which are sharded and compiled one by one."""
    return [module for module in network.modules() if isinstance(module, Block)]


def rank_and_size() -> tuple[int, int]:
    """Rank of this process, and number of processes."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def gather_batch(x: Tensor) -> Tensor:
    """Concatenate `[B, ...]` of all processes, in order of rank."""
    if not dist.is_initialized():
        return x
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)


def max_over_ranks(value: int, device: torch.device) -> int:
    """Maximum over all processes."""
    if not dist.is_initialized():
        return value
    x = torch.tensor(value, device=device)
    dist.all_reduce(x, dist.ReduceOp.MAX)
    return int(x)


def mean_over_ranks(values: dict[str, float], device: torch.device) -> dict[str, float]:
    """Means over all processes of values with the same names."""
    if not dist.is_initialized() or not values:
        return values
    x = torch.tensor(list(values.values()), dtype=torch.float64, device=device)
    dist.all_reduce(x)
    return dict(zip(values, (x / dist.get_world_size()).tolist(), strict=True))


def barrier() -> None:
    if dist.is_initialized():
        dist.barrier()
