"""What Spanish, Portuguese and Italian share."""

from __future__ import annotations

import re
from collections.abc import Callable


def feminine(ordinal: str) -> str:
    """ "primera" of "primero"."""
    return re.sub(r"o\b", "a", ordinal)


ORDINALS: dict[str, Callable[[str], str]] = {
    r"(?<!\d)(\d+)\.?º(?![\w°])": str,
    r"(?<!\d)(\d+)\.?ª(?!\w)": feminine,
}
