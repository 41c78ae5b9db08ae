"""Files and folders: found in depth, and written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Of files that folders are searched for: those that are read, and those that are named as what cannot be.
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".oga", ".w64")
FOREIGN_SUFFIXES = (".3gp", ".aac", ".amr", ".m4a", ".mka", ".mkv", ".mov", ".mp4", ".webm", ".wma")
STREAM_SUFFIX, TOKENS_SUFFIX = ".c37", ".tokens"  # see `codec.bitstream` and `Tokens.save`
ESCAPE = "backslashreplace"  # for errors in text files: what a file's name has that is no UTF-8, as JSON escapes it
_PREFIX = ".new-"  # short, as the names of users may be as long as a file system allows
_MAX_SUFFIX = 32


def find_files(folder: Path, suffixes: tuple[str, ...] = ()) -> list[Path]:
    """Sorted paths of the files of some suffixes, or of all, in a folder, in depth.

    Also behind symbolic links; what a link repeats is left out.
    """
    files: list[Path] = []
    seen: set[str] = set()
    starts = [folder]
    while starts:  # what is there in itself comes before what is linked to
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
    """The recordings of `find_files`; how many others take ffmpeg to read is said in a warning."""
    found = find_files(folder, (*AUDIO_SUFFIXES, *FOREIGN_SUFFIXES))
    if foreign := [path for path in found if path.suffix.lower() in FOREIGN_SUFFIXES]:
        warnings.warn(
            f"{len(foreign)} files are left out, which take ffmpeg to read, the first being {foreign[0]}", stacklevel=3
        )
    return [path for path in found if path.suffix.lower() in AUDIO_SUFFIXES]


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, of its suffix, synced and renamed to it on success, removed on failure."""
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
    """A temporary folder that takes the place of `folder` on success and is removed on failure."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_PREFIX))
    old = new.with_name(new.name + "-old")
    try:
        yield new
        for file in new.iterdir():
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


def _warn(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # it went while its folder was searched
        warnings.warn(f"{error.filename}: cannot be searched ({error.strerror})", stacklevel=3)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
