"""Settings of glibc's malloc for processes that train and processes that serve; without glibc they do nothing."""

from __future__ import annotations

import ctypes
import sys

# Names and numbers of glibc's mallopt(3).
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8


def keep_freed_memory() -> None:
    """Keep freed memory for the next allocations of this process.

    By default large tensors are returned to the system, which maps new pages for the next ones: on a CPU, that takes
    longer than the arithmetic.
    """
    _set({_M_MMAP_THRESHOLD: 2**30, _M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: 2**26})


def share_arenas(n: int) -> None:
    """Let the threads of this process allocate from at most `n` arenas; call it before they start.

    By default there are eight for each core, and what one keeps free is of no use to the threads of another: a process
    of many threads grows for hours although it holds no more than before.
    """
    _set({_M_ARENA_MAX: n})


def _set(options: dict[int, int]) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform.startswith("linux") else None
    if mallopt is not None:
        for option, value in options.items():
            mallopt(option, value)
