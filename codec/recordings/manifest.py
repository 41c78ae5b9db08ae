"""Read the recordings of a source: a manifest, a folder or a shard."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from codec.audio.error import AudioError
from codec.files import AUDIO_SUFFIXES
from codec.recordings.media import open_recording
from codec.recordings.readers import READERS
from codec.recordings.utterance import Utterance

In = TypeVar("In")
Out = TypeVar("Out")
_N_THREADS = 8  # that read headers
_CHUNK = 1024


def read_manifest(source: str | Path) -> list[Utterance]:
    """Read all utterances of a source in a format of `codec.recordings.readers`, see docs/data.md.

    Missing durations are read from file headers.

    Raises:
        ValueError: no such source, no usable audio, or a bad line; the message has its number.
    """
    path = Path(source)
    if not path.exists():
        raise ValueError(f"{path}: no such manifest, folder or shard; check the path")
    reader = next((reader for reader in READERS if reader.accepts(path)), None)
    if reader is None:
        raise ValueError(f"{path}: expected {' or '.join(reader.FORM for reader in READERS)}")
    utterances = _fill_durations(reader.read(path))
    if not utterances:
        kinds = ", ".join(sorted(AUDIO_SUFFIXES))
        raise ValueError(f"{path}: no usable audio; give a manifest with lines, or a folder or shard with {kinds}")
    return utterances


def _fill_durations(utterances: list[Utterance]) -> list[Utterance]:
    """Read missing durations; leaves out files with an unreadable header, with a warning."""

    def measure(utterance: Utterance) -> Utterance | AudioError:
        if utterance.duration_s is not None:
            return utterance
        try:
            with open_recording(utterance.path) as recording:
                return replace(utterance, duration_s=recording.n_samples / recording.native_rate)
        except AudioError as error:
            return error

    if all(utterance.duration_s is not None for utterance in utterances):
        return utterances
    results = list(map_files(measure, utterances, "reading durations"))
    bad = [result for result in results if isinstance(result, AudioError)]
    if bad:
        warnings.warn(f"{len(bad)} of {len(results)} files are left out, the first being {bad[0]}", stacklevel=3)
    return [result for result in results if isinstance(result, Utterance)]


def map_files(function: Callable[[In], Out], items: list[In], title: str) -> Iterator[Out]:
    """Map in threads, in order, with a progress bar after two seconds."""
    with ThreadPoolExecutor(_N_THREADS) as pool, tqdm(total=len(items), desc=title, unit="file", delay=2) as bar:
        for start in range(0, len(items), _CHUNK):
            for result in pool.map(function, items[start : start + _CHUNK]):
                yield result
                bar.update()
