"""Worker processes with one thread each."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch


def pool(workers: int) -> ProcessPoolExecutor:
    """A pool of processes; scripts that use it need `if __name__ == "__main__":`, because workers import the script.

    Forks of this process could hang in torch's thread pools, so workers are forks of one that has only loaded torch.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(["torch"])
    return ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,))
