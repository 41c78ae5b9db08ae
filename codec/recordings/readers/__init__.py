"""Readers of data formats: each is a module with `FORM`, `accepts` and `read`, listed in `READERS`."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from codec.recordings.readers import audiofolder, folder, jsonl, kaldi, lhotse, nemo, table, tar
from codec.recordings.utterance import Utterance


class Reader(Protocol):
    """A reader of one format; modules implement it.

    Attributes:
        FORM: description of the format.
    """

    FORM: str

    def accepts(self, path: Path) -> bool:
        """Whether an existing path has this format, by its name, its kind, or the files or first line in it."""
        ...

    def read(self, path: Path) -> list[Utterance]:
        """Read all recordings, in order; unknown durations are None.

        Raises:
            ValueError: something is unreadable; the message names it.
        """
        ...


# The first that accepts a path reads it: those that look inside come before those that go by the name.
READERS: tuple[Reader, ...] = (nemo, lhotse, jsonl, table, tar, kaldi, audiofolder, folder)
