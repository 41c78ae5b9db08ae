"""Run several trainings at once, each in its own process."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from train.ablate.job import LOG, start
from train.ablate.study import Run

POLL_S = 0.2


@contextmanager
def lock(folder: Path) -> Iterator[int]:
    """Make and lock `folder`; yields the file handle, and processes that inherit it keep the lock.

    So a new runner cannot start while trainings of a killed one still write to the folder.

    Raises:
        ValueError: another process holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"{file.name}: locked by another study or by trainings of a killed one; wait for them or stop them"
            ) from error
        yield file.fileno()


def train_all(runs: Sequence[Run], jobs: int, handle: int) -> dict[str, str]:
    """Start or resume all incomplete runs.

    An exception such as Ctrl-C stops the running trainings; each saves first.

    Args:
        runs: in the order in which they start.
        jobs: trainings at once; they share the cores equally.
        handle: file handle of `lock`, which the trainings inherit.

    Returns:
        Reasons of failed runs, by name.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // jobs)
    todo = [run for run in runs if not run.is_complete]
    failures: dict[str, str] = {}
    running: dict[subprocess.Popen[bytes], Run] = {}
    with tqdm(total=len(runs), initial=len(runs) - len(todo), desc="train", unit="run", disable=None) as bar:
        try:
            while todo or running:
                while todo and len(running) < jobs:
                    run = todo.pop(0)
                    running[_start(run, threads, handle)] = run
                    tqdm.write(f"{run.name}: training; its log is {run.folder / LOG}", file=sys.stderr)
                time.sleep(POLL_S)
                for process in [p for p in running if p.poll() is not None]:
                    run = running.pop(process)
                    if not run.is_complete:
                        failures[run.name] = reason(run, process.returncode)
                    bar.update()
                    n_left = len(todo) + len(running)
                    state = failures.get(run.name, "complete")
                    tqdm.write(f"{run.name}: {state}; {n_left} of {len(runs)} trainings left", file=sys.stderr)
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()
    return failures


def _start(run: Run, threads: int, handle: int) -> subprocess.Popen[bytes]:
    return start(
        run.folder,
        run.overrides,
        {"OMP_NUM_THREADS": str(threads)},
        pass_fds=(handle,),
        start_new_session=True,  # so that only the runner gets Ctrl-C; it stops the trainings
    )


def reason(run: Run, status: int) -> str:
    """Why a training that ended with `status` is not complete."""
    log = run.folder / LOG
    if status in (128 + signal.SIGINT, 128 + signal.SIGTERM):
        return "interrupted; the same command resumes it"
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"training failed with status {status}: {lines[-1] if lines else 'no message'} ({log})"
