"""`python -m train.data.manifest FOLDER --out OUT.jsonl`: scan a folder once for all runs; a killed scan resumes.

A recording with an unreadable transcript is kept without it; a warning and its line in the manifest say so.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codec.audio.error import AudioError
from codec.files import AUDIO_SUFFIXES, write_json_lines
from codec.recordings.manifest import map_files
from codec.recordings.media import Recording, list_files, open_recording
from codec.recordings.readers.sidecars import is_audio, read_sidecars, warn_of_unread
from eval.command import command, reports_errors
from eval.store import Lines

_BLOCK = 2**20  # samples


def write_manifest(folder: Path, out: Path) -> tuple[int, int]:
    """Scan a folder or shard into the manifest `out`; unusable files go to `out`.bad.jsonl.

    Results are collected in `out`.partial, so a killed scan resumes.
    Returns the numbers of usable and of bad files.

    Raises:
        ValueError: there is no audio in it.
    """
    # Paths become relative, and ".." behind a symbolic link does not lead back to the link's folder.
    names = list_files(Path(os.path.realpath(folder.parent), folder.name))
    known = set(names)
    partial = out.with_name(out.name + ".partial")
    done = Lines(partial, ("path",))
    home = os.path.realpath(out.parent)

    def inspect(address: str) -> dict[str, Any]:
        line: dict[str, Any] = {"path": os.path.relpath(address, home)}
        try:
            with open_recording(address) as recording:
                line["duration_s"] = round(recording.n_samples / recording.native_rate, 3)
                line["sample_rate"] = recording.native_rate
                _check(recording)
            return line | read_sidecars(address, known)
        except AudioError as error:
            return line | {"error": str(error)}

    addresses = [name for name in names if is_audio(name)]
    if not addresses:
        raise ValueError(f"{folder}: no audio files in it; give a folder or shard with {', '.join(AUDIO_SUFFIXES)}")
    left = [name for name in addresses if not done.get(os.path.relpath(name, home))]
    for line in map_files(inspect, left, f"reading {folder}"):
        done.add(line)
    lines = [done.known[os.path.relpath(name, home),] for name in addresses]
    bad = [line for line in lines if "error" in line]
    warn_of_unread(lines)
    out.with_suffix(".bad.jsonl").unlink(missing_ok=True)
    if bad:
        write_json_lines(out.with_suffix(".bad.jsonl"), bad)
    write_json_lines(out, [line for line in lines if "error" not in line])
    partial.unlink(missing_ok=True)
    return len(lines) - len(bad), len(bad)


def _check(recording: Recording) -> None:
    """Read the last sample, to find most truncated files; of float files all samples, to find those not finite.

    Raises:
        AudioError: samples are missing or not finite.
    """
    n_samples = recording.n_samples
    for start in range(0, n_samples, _BLOCK) if recording.sound.is_float else (n_samples - 1,):
        recording.read(start, min(_BLOCK, n_samples - start))


@reports_errors
def main(argv: Sequence[str] | None = None) -> int:
    parser = command("train.data.manifest", __doc__, out="manifest to write, a .jsonl file")
    parser.add_argument("folder", type=Path, help="folder of audio files or tar shards, or a shard")
    args = parser.parse_args(argv)
    if args.out.suffix != ".jsonl":
        raise ValueError(f"--out {args.out}: expected a name ending in .jsonl")
    if not args.folder.exists():
        raise ValueError(f"{args.folder}: no such folder or shard")
    n_good, n_bad = write_manifest(args.folder, args.out)
    bad = f", {n_bad} bad ones in {args.out.with_suffix('.bad.jsonl')}" if n_bad else ""
    print(f"{n_good} files in {args.out}{bad}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
