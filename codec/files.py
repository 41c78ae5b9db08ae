"""Recursive search for files, atomic writing of files and folders, and what users are told when either fails."""

from __future__ import annotations

import errno
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
# Of files of checkpoints and exports. A folder with any other is not replaced: it is something of the user's.
_REPLACEABLE = (".json", ".md", ".onnx", ".pt", ".safetensors", ".txt")
_REMEDIES = {
    errno.ENOENT: "check the path",
    errno.EACCES: "choose another place, or change its permissions",
    errno.EROFS: "choose another place",
    errno.ENOSPC: "free some space",
    errno.EEXIST: "choose another name",
    errno.ENOTDIR: "choose another name",
    errno.EISDIR: "give a file",
}
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
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_PREFIX, suffix=suffix)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
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
def atomic_folder(folder: Path, is_own: bool = False) -> Iterator[Path]:
    """Yield a temporary folder; it replaces `folder` on success and is deleted on failure.

    Args:
        folder: may exist.
        is_own: whether it belongs to the caller, which replaces it whatever it holds.

    Raises:
        ValueError: `folder` is a file, or holds other files than checkpoints and exports do; nothing is replaced.
    """
    if folder.exists() and not is_own:
        _check_replaceable(folder)
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


def make_folder(folder: Path) -> None:
    """Make a folder unless it is there.

    Raises:
        OSError: it cannot be made, or be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def message(error: Exception) -> str:
    """The message of an error for users; of one of the file system: the file, what is wrong, and the remedy."""
    if not isinstance(error, OSError) or not error.filename or not error.strerror:
        return str(error)
    text = f"{os.fsdecode(error.filename2 or error.filename)}: {error.strerror}"
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{text}; {remedy}" if remedy else text


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


def _check_replaceable(folder: Path) -> None:
    if not folder.is_dir():
        raise ValueError(f"{folder}: is a file; give a folder")
    if foreign := [path for path in find_files(folder) if path.suffix not in _REPLACEABLE]:
        raise ValueError(f"{folder}: holds {foreign[0].relative_to(folder)}, so it is not replaced; give a new folder")


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
