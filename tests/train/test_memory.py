"""Memory that is freed stays with the process: the next tensor needs no fresh pages."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from train.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16 << 20)  # 64 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults(), faults()
print(faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")
def test_freed_memory_is_used_again():
    counts = [
        int(subprocess.run([sys.executable, "-c", FAULTS, mode], capture_output=True, check=True, text=True).stdout)
        for mode in ("keep", "give back")
    ]
    assert counts[0] < 100
    assert counts[0] < counts[1]
