"""What Spanish, Portuguese and Italian share."""

from __future__ import annotations

import re
from collections.abc import Callable


def feminine(ordinal: str) -> str:
    """ "primera" of "primero"."""
    return re.sub(r"o\b", "a", ordinal)


def one(masculine: str, feminine: str) -> Callable[[str], str]:
    """The word for 1 before a unit."""
    return lambda unit: feminine if unit.partition(" ")[0].endswith("a") else masculine


ORDINALS: dict[str, Callable[[str], str]] = {
    r"(?<!\d)(\d+)\.?º(?![\w°])": str,
    r"(?<!\d)(\d+)\.?ª(?!\w)": feminine,
}
