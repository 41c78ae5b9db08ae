"""The folder of a run: audio and codes by system and recording, and what is known of each as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.files import atomic_file
from eval.systems.base import SAMPLE_RATE

REFERENCE = "reference"  # stands in for a system: the recordings themselves
SUFFIXES = {"audio": ".flac", "codes": ".npy"}
Kind = Literal["audio", "codes"]


class Lines:
    """JSON objects by key, one a line, appended to a file; an incomplete line of an interrupted run is skipped."""

    def __init__(self, path: Path, keys: Sequence[str]) -> None:
        self.path, self.keys, self.known = path, keys, dict[tuple[Any, ...], dict[str, Any]]()
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                self._index(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue

    def get(self, *key: Any) -> dict[str, Any] | None:
        return self.known.get(key)

    def add(self, fields: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(fields))  # the line break comes first, to end an incomplete line
        self._index(fields)

    def _index(self, fields: dict[str, Any]) -> None:
        self.known[tuple(fields[k] for k in self.keys)] = fields


class Outputs:
    """Outputs of systems in the folder of a run, with a line of JSON for each in the file `name`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.lines = folder, Lines(folder / name, ("system", "id"))

    def find(self, system: str, id: str, made_from: dict[str, Any]) -> dict[str, Any] | None:
        """Return the line of an output whose audio is there and that was made from the same, else None."""
        kept = self.lines.get(system, id)
        is_same = kept is not None and made_from.items() <= kept.items()
        return kept if is_same and self.audio(system, id).exists() else None

    def add(self, system: str, id: str, fields: dict[str, Any], codes: Tensor | None = None) -> None:
        """Keep the line of an output, whose audio has been written, and its codes `[K, T]`."""
        if codes is not None:
            path = make_folder(file_of(self.folder, "codes", system, id))
            with atomic_file(path) as new:
                np.save(new, codes.cpu().numpy().astype(np.int32), allow_pickle=False)
        self.lines.add({"system": system, "id": id, **fields})

    def audio(self, system: str, id: str) -> Path:
        return file_of(self.folder, "audio", system, id)


def file_of(folder: Path, kind: Kind, system: str, recording: str) -> Path:
    """Where a run keeps `audio` (.flac) or `codes` (.npy) of a recording; names may have any characters."""
    return folder / kind / _file_name(system) / (_file_name(recording) + SUFFIXES[kind])


def make_folder(path: Path) -> Path:
    """Make the folder of a file; return the file's path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_flac(path: Path, waveform: Tensor) -> None:
    """Write `[L]` at 24 kHz as 24-bit FLAC, whose rounding error lies below the floor of every metric."""
    with atomic_file(make_folder(path)) as new:
        soundfile.write(new, waveform.clamp(-1, 1).numpy(force=True), SAMPLE_RATE, subtype="PCM_24")


def read_flac(path: Path) -> Tensor:
    """Read `[L]` float32 from a file of the run."""
    return torch.from_numpy(soundfile.read(path, dtype="float32")[0])


def read_codes(path: Path) -> NDArray[np.int32]:
    """Read codes `[K, T]`.

    Raises:
        ValueError: the file is missing or damaged; the message names it.
    """
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: {error}; run python -m eval again") from error


def _file_name(text: str) -> str:
    """Return any text as a name that is not hidden and stays in its folder."""
    name = quote(text, safe="", errors="surrogateescape")
    return "%2E" + name[1:] if name.startswith(".") else name
