"""Memory that is freed stays with the process, for its next tensors and for its other threads."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")

FAULTS = """
import resource, sys, torch
from codec.malloc import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def faults(n):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    x = torch.empty(n)
    x.zero_()
    del x
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
for n in (1 << 20, 1 << 21, 1 << 22, 1 << 23, 1 << 24):  # up to 64 MB, as a step has tensors of all sizes
    last = [faults(n) for _ in range(5)][-1]
print(last)
"""

ARENAS = """
import ctypes, sys, threading
from codec.malloc import share_arenas
if sys.argv[1] == "share":
    share_arenas(2)
libc, barrier, arenas = ctypes.CDLL(None), threading.Barrier(8), set()
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
def allocate():
    barrier.wait()  # all threads live at the same time
    arenas.add(libc.malloc(1000) >> 26)  # the heap of an arena lies at a multiple of 64 MiB
    barrier.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
print(len(arenas))
"""


def _number(script: str, mode: str) -> int:
    return int(subprocess.run([sys.executable, "-c", script, mode], capture_output=True, check=True, text=True).stdout)


def test_freed_memory_is_used_again():
    kept = _number(FAULTS, "keep")
    assert kept < 100
    assert kept < _number(FAULTS, "give back")


def test_threads_share_arenas():
    assert _number(ARENAS, "share") <= 2 < _number(ARENAS, "as many as there are")
