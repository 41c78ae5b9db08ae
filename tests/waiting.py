"""Waiting for other processes."""

import time
from collections.abc import Callable


def wait_until(is_so: Callable[[], object], what: str = "", seconds: float = 60.0) -> None:
    """Until something is so.

    Raises:
        TimeoutError: it never is.
    """
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(f"still not after {seconds} s: {what}")
        time.sleep(0.01)
