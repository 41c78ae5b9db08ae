"""What is optional and may not be there: packages, programs, weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class MissingDependencyError(ImportError):
    """A package, a program or weights are not there; the message says what needs them and how to get them."""


@contextmanager
def needs(package: str, what: str, extra: str = "") -> Iterator[None]:
    """Around the imports of an optional package.

    Args:
        package: as pip knows it; several with spaces between them.
        what: needs it, as "playing".
        extra: of this library that has it.

    Raises:
        MissingDependencyError: it is not installed, or does not work.
    """
    try:
        yield
    except ImportError as error:
        source = f"'codec37[{extra}]'" if extra else package
        raise MissingDependencyError(f"{what} needs {package}: pip install {source} ({error})") from error
