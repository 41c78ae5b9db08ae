"""Progress bars: frequent updates in a terminal, a few lines in a log file."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

LOG_S = 30.0  # between lines of a log


def progress(iterable: Any = None, **settings: Any) -> Any:
    """Make a tqdm bar, with its arguments; it appears after two seconds."""
    every = 0.1 if sys.stderr.isatty() else LOG_S
    return tqdm(iterable, **{"mininterval": every, "delay": 2, **settings})
