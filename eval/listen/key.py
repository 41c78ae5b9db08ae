"""The key to the opaque names on a listening page."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from codec.files import write_text

Kind = Literal["mushra", "abx"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Trial:
    """One screen of a test."""

    id: str
    recording: str
    stimuli: dict[str, str]  # systems by opaque name
    answer: str = ""  # ABX: the opaque name whose sound X has


@dataclass(frozen=True)
class Key:
    """All trials of a test; `test` identifies its page and answers."""

    kind: Kind
    test: str
    trials: tuple[Trial, ...]

    def save(self, path: Path) -> None:
        write_text(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Key:
        """Read a key.

        Raises:
            ValueError: there is none, or it is no such file.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            key = cls(fields["kind"], fields["test"], tuple(Trial(**trial) for trial in fields["trials"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: {error!r}; expected a listen.key.json of python -m eval.listen") from error
        if key.kind not in KINDS:
            raise ValueError(f"{path}: kind {key.kind!r}; expected {' or '.join(KINDS)}")
        return key
