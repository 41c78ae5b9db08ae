"""Setting of glibc's malloc: keep freed memory for the next step."""

from __future__ import annotations

import ctypes
import sys

# Names and numbers of glibc's mallopt(3).
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> None:
    """Let glibc's malloc keep freed memory in this process; does nothing without glibc.

    By default it returns large tensors to the system, which maps new pages for the next ones: on a CPU, that takes
    longer than the arithmetic.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((_M_MMAP_THRESHOLD, 2**30), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 2**26)):
            mallopt(option, value)
