"""Optional dependencies: packages, programs, weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class MissingDependencyError(ImportError):
    """A missing package, program or file of weights; the message says what needs it and how to get it."""


@contextmanager
def needs(package: str, what: str, extra: str = "") -> Iterator[None]:
    """Context for the import of an optional package.

    Args:
        package: name for pip; several are separated by spaces.
        what: what needs it, as "playing".
        extra: extra of this library that includes it.

    Raises:
        MissingDependencyError: it is not installed or broken.
    """
    try:
        yield
    except ImportError as error:
        source = f"'codec37[{extra}]'" if extra else package
        raise MissingDependencyError(f"{what} needs {package}: pip install {source} ({error})") from error
