"""Recursive search for files, and atomic writing of files and folders."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Suffixes of audio files: supported ones, and ones that need ffmpeg.
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".oga", ".w64")
FOREIGN_SUFFIXES = (".3gp", ".aac", ".amr", ".m4a", ".mka", ".mkv", ".mov", ".mp4", ".webm", ".wma")
STREAM_SUFFIX, TOKENS_SUFFIX = ".c37", ".tokens"  # see `codec.bitstream` and `Tokens.save`
ESCAPE = "backslashreplace"  # error handler of text files, for file names that are not UTF-8
_PREFIX = ".new-"  # short, as names may reach the limit of the file system
_MAX_SUFFIX = 32


def find_files(folder: Path, suffixes: tuple[str, ...] = ()) -> list[Path]:
    """List the files in a folder recursively, sorted; only those with some suffixes, if given.

    Follows symbolic links; repeated folders are left out.
    """
    files: list[Path] = []
    seen: set[str] = set()
    starts = [folder]
    while starts:  # real folders before linked ones
        links = []
        for start in starts:
            for place, folders, names in os.walk(start, onerror=_warn):
                real = os.path.realpath(place)
                if real in seen:
                    folders.clear()
                    continue
                seen.add(real)
                files += [Path(place, name) for name in names]
                links += [path for name in folders if (path := Path(place, name)).is_symlink()]
        starts = sorted(links)
    return sorted(path for path in files if not suffixes or path.suffix.lower() in suffixes)


def find_recordings(folder: Path) -> list[Path]:
    """List the recordings in a folder; a warning counts audio files that need ffmpeg."""
    found = find_files(folder, (*AUDIO_SUFFIXES, *FOREIGN_SUFFIXES))
    if foreign := [path for path in found if path.suffix.lower() in FOREIGN_SUFFIXES]:
        warnings.warn(f"{len(foreign)} files that need ffmpeg are left out; the first: {foreign[0]}", stacklevel=3)
    return [path for path in found if path.suffix.lower() in AUDIO_SUFFIXES]


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path with the suffix of `path`; renames it to `path` on success, deletes it on failure."""
    suffix = path.suffix if len(path.suffix) <= _MAX_SUFFIX else ""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_PREFIX, suffix=suffix)
    os.close(handle)
    new = Path(name)
    try:
        yield new
        _sync(new)
        new.chmod(0o666 & ~_umask())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; it replaces `folder` on success and is deleted on failure."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_PREFIX))
    old = new.with_name(new.name + "-old")
    try:
        yield new
        for file in find_files(new):
            _sync(file)
        new.chmod(0o777 & ~_umask())
        if folder.exists():
            folder.replace(old)
        new.replace(folder)
    except BaseException:
        if old.exists() and not folder.exists():
            old.replace(folder)
        raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8; file names that are not UTF-8 are escaped."""
    with atomic_file(path) as new:
        new.write_text(text, encoding="utf-8", errors=ESCAPE)


def write_json_lines(path: Path, rows: Iterable[Any]) -> None:
    """Write one line of JSON per row; file names that are not UTF-8 are escaped."""
    with atomic_file(path) as new, new.open("w", encoding="utf-8", errors=ESCAPE) as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that killed processes have left in a folder; nobody may be writing there."""
    for path in folder.glob(f"{_PREFIX}*"):
        path.unlink()


def _warn(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # deleted meanwhile
        warnings.warn(f"{error.filename}: cannot be searched ({error.strerror})", stacklevel=3)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
