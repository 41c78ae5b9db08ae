"""What the commands of `eval` and `train` share: the same names for the same things, and how errors are reported.

What a command reads is named in order, and what it writes by `--out`; the rest are options.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

from codec.extras import MissingDependencyError
from codec.files import message
from codec.model import MissingEncoderError

P = ParamSpec("P")
SHARED: dict[str, dict[str, Any]] = {
    "out": {"type": Path, "required": True},
    "device": {"default": "cpu"},
    "seed": {"type": int, "default": 0},
    "workers": {"type": int, "default": 0},  # processes; 0: this one
}


def command(module: str, about: str | None, **shared: str) -> argparse.ArgumentParser:
    """The parser of `python -m MODULE`.

    Args:
        module: its dotted name.
        about: what it does.
        shared: help of those of `SHARED` that it takes.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, text in shared.items():
        parser.add_argument(f"--{name}", help=text, **SHARED[name])
    return parser


def reports_errors(main: Callable[P, int]) -> Callable[P, int]:
    """Make a command print an expected error as one line on stderr, and exit with status 2."""

    @wraps(main)
    def reporting(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return main(*args, **kwargs)
        except (ValueError, OSError, MissingDependencyError, MissingEncoderError) as error:
            print(f"error: {message(error)}", file=sys.stderr)
            return 2

    return reporting
