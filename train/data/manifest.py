"""What there is to train on: one `Utterance` per recording, from a JSONL manifest, a folder or tar shards.

`python -m train.data.manifest FOLDER OUT.jsonl` scans a folder once, so that no run has to. A recording with a
transcript that cannot be read is taken without it; the warning, and its line in the manifest, say which.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import typer
from tqdm import tqdm

from codec.audio.error import AudioError
from codec.files import AUDIO_SUFFIXES, ESCAPE, FOREIGN_SUFFIXES, atomic_file
from eval.testsets import Utterance, labels, read_lines
from train.data.media import Recording, list_files, open_recording, read_bytes

In = TypeVar("In")
Out = TypeVar("Out")
_N_THREADS = 8  # headers are read from disks and networks that like company
_CHUNK = 1024
_BLOCK = 2**20  # samples
_UNREAD = "unread"  # field of a line: which sidecar, and why not


def read_manifest(source: str | Path) -> list[Utterance]:
    """All utterances of a .jsonl manifest, a .tar shard, or a folder of audio files and shards.

    A manifest holds one JSON object per line with at least `path`, relative to its folder; unknown fields
    are ignored. Beside audio in folders and shards, a .json sidecar may give text, speaker and language,
    and a .txt or .lab sidecar the text, in UTF-8. Missing durations are read from the headers.

    Raises:
        ValueError: no such source, nothing usable in it, or a bad line, named with its number.
    """
    path = Path(source)
    if not path.exists():
        raise ValueError(f"{path}: no such manifest, folder or shard; check the path")
    if not path.is_dir() and path.suffix not in (".jsonl", ".tar"):
        raise ValueError(f"{path}: expected a .jsonl manifest, a .tar shard or a folder of audio")
    utterances = _measure(read_lines(path) if path.suffix == ".jsonl" else _scan(path))
    if not utterances:
        kinds = ", ".join(sorted(AUDIO_SUFFIXES))
        raise ValueError(f"{path}: no usable audio; give a manifest with lines, or a folder or shard with {kinds}")
    return utterances


def write_manifest(folder: Path, out: Path) -> tuple[int, int]:
    """Scan a folder or shard into the manifest `out`, the files that cannot be used into `out`.bad.jsonl.

    A killed scan continues where it stopped: results collect in `out`.partial and take their place at the end.
    Returns the numbers of usable and of bad files.
    """
    # Paths are relative, and ".." behind a link does not lead back to where the link is.
    names = list_files(Path(os.path.realpath(folder.parent), folder.name))
    known = set(names)
    partial = out.with_name(out.name + ".partial")
    done = _read_partial(partial)
    home = os.path.realpath(out.parent)

    def inspect(address: str) -> dict[str, Any]:
        line: dict[str, Any] = {"path": os.path.relpath(address, home)}
        try:
            with open_recording(address) as recording:
                line["duration_s"] = round(recording.n_samples / recording.native_rate, 3)
                line["sample_rate"] = recording.native_rate
                _check(recording)
            return line | _read_sidecars(address, known)
        except AudioError as error:
            return line | {"error": str(error)}

    addresses = [name for name in names if _is_audio(name)]
    left = [name for name in addresses if os.path.relpath(name, home) not in done]
    with partial.open("a", buffering=1, encoding="utf-8", errors=ESCAPE) as file:
        for line in _map(inspect, left, f"reading {folder}"):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            done[line["path"]] = line
    lines = [done[os.path.relpath(name, home)] for name in addresses]
    bad = [line for line in lines if "error" in line]
    _warn_of_unread(lines)
    out.with_suffix(".bad.jsonl").unlink(missing_ok=True)
    if bad:
        _write_lines(out.with_suffix(".bad.jsonl"), bad)
    _write_lines(out, [line for line in lines if "error" not in line])
    partial.unlink()
    return len(lines) - len(bad), len(bad)


def _scan(source: Path) -> list[Utterance]:
    names = list_files(source)
    known = set(names)
    lines = {name: _read_sidecars(name, known) for name in names if _is_audio(name)}
    _warn_of_unread(lines.values())
    return [Utterance(name, **labels(line)) for name, line in lines.items()]


def _is_audio(address: str) -> bool:
    """Whether it is to be opened: what is no audio file by its content, or none that is read, is then named."""
    return os.path.splitext(address)[1].lower() in (*AUDIO_SUFFIXES, *FOREIGN_SUFFIXES)


def _check(recording: Recording) -> None:
    """Find most truncated files by their last sample, and samples that are no numbers where there may be any.

    Raises:
        AudioError: they are not all there, or not all numbers.
    """
    n_samples = recording.n_samples
    for start in range(0, n_samples, _BLOCK) if recording.sound.is_float else (n_samples - 1,):
        recording.read(start, min(_BLOCK, n_samples - start))


def _read_sidecars(address: str, known: set[str]) -> dict[str, Any]:
    """The labels of a recording; those of a sidecar that cannot be read are missing, and the field `unread` says so."""
    stem = os.path.splitext(address)[0]
    fields: dict[str, Any] = {}
    unread: dict[str, str] = {}
    for suffix in (".lab", ".txt", ".json"):
        if (sidecar := stem + suffix) not in known:
            continue
        content = bytes(read_bytes(sidecar))
        try:
            fields |= json.loads(content) if suffix == ".json" else {"text": content.decode("utf-8-sig").strip()}
        except (ValueError, TypeError) as error:  # not JSON, not UTF-8, or no object
            unread[_UNREAD] = f"{sidecar}: {error}; save it as UTF-8, or delete it"
    return labels(fields) | unread


def _warn_of_unread(lines: Iterable[dict[str, Any]]) -> None:
    unread = [line[_UNREAD] for line in lines if _UNREAD in line]
    if unread:
        warnings.warn(
            f"{len(unread)} recordings are taken without their transcript, which cannot be read, the first being "
            f"{unread[0]}",
            stacklevel=3,
        )


def _measure(utterances: list[Utterance]) -> list[Utterance]:
    """Fill in missing durations; files without a readable header are left out with a warning."""

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
    results = list(_map(measure, utterances, "reading durations"))
    bad = [result for result in results if isinstance(result, AudioError)]
    if bad:
        warnings.warn(f"{len(bad)} of {len(results)} files are left out, the first being {bad[0]}", stacklevel=3)
    return [result for result in results if isinstance(result, Utterance)]


def _map(function: Callable[[In], Out], items: list[In], title: str) -> Iterator[Out]:
    """In threads and in order, with a progress bar if it takes more than a moment."""
    with ThreadPoolExecutor(_N_THREADS) as pool, tqdm(total=len(items), desc=title, unit="file", delay=2) as bar:
        for start in range(0, len(items), _CHUNK):
            for result in pool.map(function, items[start : start + _CHUNK]):
                yield result
                bar.update()


def _read_partial(path: Path) -> dict[str, dict[str, Any]]:
    """The lines of a killed scan by path; the last one is cut from the file if it was cut short."""
    if not path.exists():
        return {}
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    os.truncate(path, len(whole))
    return {line["path"]: line for line in map(json.loads, whole.splitlines())}


def _write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    with atomic_file(path) as new, new.open("w", encoding="utf-8", errors=ESCAPE) as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def main(folder: Path, out: Path) -> None:
    """Scan FOLDER (audio files or tar shards) into the manifest OUT.jsonl; run it again to continue a killed scan."""
    if out.suffix != ".jsonl":
        raise typer.BadParameter(f"{out}: expected a name ending in .jsonl")
    if not folder.exists():
        raise typer.BadParameter(f"{folder}: no such folder or shard")
    try:
        n_good, n_bad = write_manifest(folder, out)
    except AudioError as error:  # a broken shard
        raise typer.BadParameter(str(error)) from error
    typer.echo(f"{n_good} files in {out}" + (f", {n_bad} bad ones in {out.with_suffix('.bad.jsonl')}" if n_bad else ""))


if __name__ == "__main__":
    typer.run(main)
