"""The forms in which recordings come. Each is a file here, of `FORM`, `accepts` and `read`, and named in this one."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from eval.testsets import Utterance
from train.data.readers import folder, jsonl, tar


class Reader(Protocol):
    """How recordings in one form are read; a module is one.

    Attributes:
        FORM: what it is, in words.
    """

    FORM: str

    def accepts(self, path: Path) -> bool:
        """Whether a path that exists is of this form, by its name and kind."""
        ...

    def read(self, path: Path) -> list[Utterance]:
        """All recordings, in order; durations that are not known yet are None.

        Raises:
            ValueError: something that cannot be read; the message names it.
        """
        ...


READERS: tuple[Reader, ...] = (jsonl, folder, tar)
