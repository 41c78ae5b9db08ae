"""Many trainings, some at a time, each a process of its own: one that fails takes no other with it."""

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

from train.ablate.study import ROOT, Run

LOG = "train.log"  # in a run's folder: what its training printed
POLL_S = 0.2


@contextmanager
def lock(folder: Path) -> Iterator[int]:
    """Have `folder` alone, made if need be; processes that inherit the file handle this yields keep the lock.

    So trainings that outlive a killed runner are waited for rather than joined by others in their folders.

    Raises:
        ValueError: another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"{file.name}: held by another study or by trainings it left behind; wait for them, or end them"
            ) from error
        yield file.fileno()


def train_all(runs: Sequence[Run], jobs: int, handle: int) -> dict[str, str]:
    """Train what is not complete, going on where a training was interrupted.

    Whatever ends this function early, such as Ctrl-C, lets the trainings at work save and stop.

    Args:
        runs: in the order in which they are begun.
        jobs: trainings at a time, among which the cores are shared out.
        handle: of a file that is open for as long as one of them lives.

    Returns:
        By the name of a run: why it has no result.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // jobs)
    todo = [run for run in runs if not run.is_complete]
    failures: dict[str, str] = {}
    at_work: dict[subprocess.Popen[bytes], Run] = {}
    with tqdm(total=len(runs), initial=len(runs) - len(todo), desc="train", unit="run", disable=None) as bar:
        try:
            while todo or at_work:
                while todo and len(at_work) < jobs:
                    run = todo.pop(0)
                    at_work[_start(run, threads, handle)] = run
                    tqdm.write(f"{run.name}: training; its log is {run.folder / LOG}", file=sys.stderr)
                time.sleep(POLL_S)
                for process in [p for p in at_work if p.poll() is not None]:
                    run = at_work.pop(process)
                    if not run.is_complete:
                        failures[run.name] = _reason(run, process.returncode)
                    bar.update()
                    n_left = len(todo) + len(at_work)
                    state = failures.get(run.name, "complete")
                    tqdm.write(f"{run.name}: {state}; {n_left} of {len(runs)} trainings left", file=sys.stderr)
        finally:
            for process in at_work:
                process.terminate()
            for process in at_work:
                process.wait()
    return failures


def _start(run: Run, threads: int, handle: int) -> subprocess.Popen[bytes]:
    run.folder.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with (run.folder / LOG).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "train", *run.overrides],
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(handle,),
            start_new_session=True,  # Ctrl-C is for the runner, which asks each training to stop once
        )


def _reason(run: Run, status: int) -> str:
    log = run.folder / LOG
    if status in (128 + signal.SIGINT, 128 + signal.SIGTERM):
        return "stopped before it was complete; the same command goes on from there"
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"training failed with status {status}: {lines[-1] if lines else 'no message'} ({log})"
