"""Read the recordings of a source: a manifest, a folder, a shard or several."""

from __future__ import annotations

import os
import re
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
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


def read_manifest(source: str | Path) -> list[Utterance]:
    """Read all utterances of a source as `list_utterances`; missing durations are read from file headers.

    Raises:
        ValueError: as `list_utterances`, or no usable audio.
    """
    utterances = _fill_durations(list_utterances(source))
    if not utterances:
        kinds = ", ".join(sorted(AUDIO_SUFFIXES))
        raise ValueError(f"{source}: no usable audio; give a manifest with lines, or a folder or shard with {kinds}")
    return utterances


def list_utterances(source: str | Path) -> list[Utterance]:
    """List all utterances of a source in a format of `codec.recordings.readers`, see docs/data.md.

    `{000..009}` in its name stands for each number, with as many digits. The default `id` of an utterance is its path
    from the source's folder on.

    Raises:
        ValueError: no such source, or a bad line; the message has its number.
    """
    return [utterance for path in _expand(str(source)) for utterance in _list(path)]


def _expand(source: str) -> list[Path]:
    found = _RANGE.search(source)
    if not found:
        return [Path(source)]
    first, last = found.groups()
    numbers = (f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1))
    return [path for n in numbers for path in _expand(source[: found.start()] + n + source[found.end() :])]


def _list(path: Path) -> list[Utterance]:
    if not path.exists():
        raise ValueError(f"{path}: no such manifest, folder or shard; check the path")
    reader = next((reader for reader in READERS if reader.accepts(path)), None)
    if reader is None:
        raise ValueError(f"{path}: expected {', '.join(reader.FORM for reader in READERS)}")
    home = path if path.is_dir() else path.parent
    return [u if u.id else replace(u, id=os.path.relpath(u.path, home)) for u in reader.read(path)]


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
