"""Outputs made elsewhere: a folder of audio files, one for each recording."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePosixPath

from torch import Tensor

from codec.audio.io import read_audio
from codec.files import AUDIO_SUFFIXES, find_files
from eval.digest import digest
from eval.systems.base import SAMPLE_RATE


class Files:
    """Outputs of another system, one for each recording, as FOLDER/ID with the suffix of an audio format.

    An id that ends in such a suffix may have another one there: the output for `a/b.wav` may be `a/b.flac`. Bits and
    speed are unknown.

    Args:
        name: as in tables.
        folder: with files of any sample rate.

    Raises:
        ValueError: there is no such folder, or no audio in it.
    """

    lag = None  # searched for
    codebook_sizes = ()

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.paths: dict[str, list[Path]] = {}  # by name without suffix
        contents: list[bytes] = []
        for path in find_files(folder, AUDIO_SUFFIXES):
            if path.is_file():
                relative = path.relative_to(folder)
                self.paths.setdefault(relative.with_suffix("").as_posix(), []).append(path)
                contents += [os.fsencode(f"{relative.as_posix()}\n"), hashlib.sha256(path.read_bytes()).digest()]
        if not self.paths:
            raise ValueError(f"{name}: no audio files in {folder}; expected ID.wav, or another format, per recording")
        self.version = digest(*contents)

    def read(self, recording: str) -> Tensor:
        """The output for the recording of this id, `[L]` at 24 kHz.

        Raises:
            ValueError: there is none, more than one, or one that cannot be read.
        """
        suffix = PurePosixPath(recording).suffix
        stem = recording.removesuffix(suffix) if suffix.lower() in AUDIO_SUFFIXES else recording
        found = [path for name in dict.fromkeys((recording, stem)) for path in self.paths.get(name, ())]
        if len(found) > 1:
            raise ValueError(f"{found[0]} and {found[1]}: both are outputs for {recording}; delete one")
        if not found:
            expected = ", ".join(AUDIO_SUFFIXES)
            raise ValueError(f"{self.folder / stem}: no output for {recording}; expected a file with one of {expected}")
        return read_audio(found[0], None, SAMPLE_RATE)
