"""Progress bars of long work: alive in a terminal, a few lines in a log file."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

LOG_S = 30.0  # between lines of a log


def progress(iterable: Any = None, **settings: Any) -> Any:
    """A tqdm bar, shown once the work has taken two seconds; arguments as of tqdm."""
    every = 0.1 if sys.stderr.isatty() else LOG_S
    return tqdm(iterable, **{"mininterval": every, "delay": 2, **settings})
