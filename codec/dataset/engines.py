"""Where workers run: in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from itertools import cycle, islice
from multiprocessing import get_context, parent_process
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from threading import Thread
from typing import Any

import torch

from codec.dataset.config import TokenizeConfig
from codec.dataset.worker import Report, Shard, Worker
from codec.extras import needs
from codec.nn.precision import check_device

Engine = Callable[[Sequence[Shard], Path, TokenizeConfig, str, int], Iterator[Report]]
_worker: Worker  # of a process of `in_processes`


def in_processes(
    shards: Sequence[Shard], out: Path, config: TokenizeConfig, fingerprint: str, n: int
) -> Iterator[Report]:
    """Encode shards in `n` processes; 0: one for each GPU with `cuda`, for each core with `cpu`, else one.

    Raises:
        ValueError: no such device.
        RuntimeError: a process died.
    """
    places = _devices(config.device)
    n = min(n or len(places), len(shards))
    context = get_context("forkserver")
    context.set_forkserver_preload(["codec.dataset.worker"])
    devices = context.SimpleQueue()
    for device in islice(cycle(places), n):
        devices.put(device)
    pool = ProcessPoolExecutor(n, context, _start, (devices, out, config, fingerprint))
    try:
        for done in as_completed([pool.submit(_work, shard) for shard in shards]):
            yield done.result()
    except BrokenProcessPool as error:
        raise RuntimeError(
            "a worker process died, perhaps for lack of memory; run again to go on, with fewer --workers or "
            "--batch-seconds"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _devices(name: str) -> list[str]:
    """The device of each process, by default."""
    if name == "cuda":
        if not torch.cuda.is_available():
            raise ValueError(f"--device {name}: torch {torch.__version__} sees no GPU; give another device")
        return [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    check_device(name, "--device")
    return [name] * ((os.cpu_count() or 1) if name == "cpu" else 1)


def _start(devices: SimpleQueue[str], out: Path, config: TokenizeConfig, fingerprint: str) -> None:
    global _worker
    Thread(target=_end_with_parent, daemon=True).start()
    _worker = Worker(out, replace(config, device=devices.get()), fingerprint)


def _end_with_parent() -> None:
    """A killed parent cannot tell the processes of its pool to end."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(shard: Shard) -> Report:
    return _worker(shard)


def on_ray(shards: Sequence[Shard], out: Path, config: TokenizeConfig, fingerprint: str, n: int) -> Iterator[Report]:
    """Encode shards by `n` actors of Ray Data; 0: one for each GPU, or for each core of the cluster.

    The cluster is that of `RAY_ADDRESS`, else this machine; its machines share the file system. An actor that dies is
    replaced, and its shards are done again.

    Raises:
        MissingDependencyError: Ray is not installed.
    """
    with needs("ray[data]", "--engine ray", "ray"):
        import ray
        import ray.data
    ray.init(ignore_reinit_error=True, logging_level="warning")
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.enable_fallback_to_arrow_object_ext_type = True  # rows are objects
    resource = "CPU" if config.device == "cpu" else "GPU"
    n = min(n or int(ray.cluster_resources().get(resource, 0)), len(shards))
    if not n:
        raise ValueError(f"--device {config.device}: the Ray cluster has no {resource}")
    reports = ray.data.from_items([{"shard": shard} for shard in shards], override_num_blocks=len(shards)).map(
        _RayWorker,
        fn_constructor_args=(out, config, fingerprint),
        compute=ray.data.ActorPoolStrategy(size=n),
        **{f"num_{resource.lower()}s": 1},
    )
    for row in reports.iter_rows():
        yield row["report"]


class _RayWorker(Worker):
    """A worker from rows to rows."""

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:  # type: ignore[override]
        return {"report": super().__call__(row["shard"])}


ENGINES: dict[str, Engine] = {"processes": in_processes, "ray": on_ray}
