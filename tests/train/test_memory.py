"""Memory that is freed stays with the process: the next tensor needs no fresh pages."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from train.memory import keep_freed_memory
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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")
def test_freed_memory_is_used_again():
    counts = [
        int(subprocess.run([sys.executable, "-c", FAULTS, mode], capture_output=True, check=True, text=True).stdout)
        for mode in ("keep", "give back")
    ]
    assert counts[0] < 100
    assert counts[0] < counts[1]
