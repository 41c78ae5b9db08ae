"""`python -m train.data.audio.shards SOURCE --out OUT`: compress recordings to Ogg Opus in tar shards.

For moving large sets. Training reads the shards like any other source.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from codec.audio.io import AudioError
from codec.files import atomic_file
from codec.recordings.manifest import read_manifest
from codec.recordings.media import read_recording
from codec.recordings.utterance import Utterance
from codec.settings import require
from eval.command import command, reports_errors
from eval.progress import progress

SAMPLE_RATE = 24_000  # Hz, one of Opus
MIN_KBPS, MAX_KBPS = 6.0, 256.0  # range of libsndfile's compression level


def write_shards(source: str | Path, out: Path, kbps: float, shard_mb: float) -> list[Path]:
    """Write `out/00000.tar` and so on, each of at most `shard_mb` MB; prints unreadable recordings.

    A recording larger than a shard gets its own.

    Raises:
        ValueError: an empty `source`, or `kbps` or `shard_mb` out of range.
    """
    require(MIN_KBPS <= kbps <= MAX_KBPS, "kbps", kbps, f"{MIN_KBPS:g} to {MAX_KBPS:g}")
    require(shard_mb > 0, "shard_mb", shard_mb, "a positive number")
    out.mkdir(parents=True, exist_ok=True)
    members = _members(read_manifest(source), kbps)
    shards: list[Path] = []
    pending = next(members, None)
    while pending is not None:
        path = out / f"{len(shards):05d}.tar"
        size = 0
        with atomic_file(path) as new, tarfile.open(new, "w") as shard:
            while pending is not None:
                name, sound, labels = pending
                need = 1024 + len(sound) + 1024 + len(labels)  # two headers with padding
                if size and size + need > shard_mb * 1e6:
                    break
                for suffix, content in ((".opus", sound), (".json", labels)):
                    info = tarfile.TarInfo(name + suffix)
                    info.size = len(content)
                    shard.addfile(info, io.BytesIO(content))
                size += need
                pending = next(members, None)
        shards.append(path)
    return shards


def _members(utterances: list[Utterance], kbps: float) -> Iterator[tuple[str, bytes, bytes]]:
    """Name, audio file and labels of each recording."""
    level = 1 - (kbps - MIN_KBPS) / (MAX_KBPS - MIN_KBPS)
    for number, utterance in enumerate(progress(utterances, unit="file")):
        try:
            waveform = read_recording(utterance.path, SAMPLE_RATE).numpy()
        except AudioError as error:
            tqdm.write(f"left out: {error}", file=sys.stderr)
            continue
        sound = io.BytesIO()
        clipped = np.clip(waveform, -1, 1)
        soundfile.write(sound, clipped, SAMPLE_RATE, "OPUS", format="OGG", compression_level=level)
        labels = {"text": utterance.text, "speaker": utterance.speaker, "language": utterance.language}
        yield f"{number:06d}", sound.getvalue(), json.dumps(labels).encode()


@reports_errors
def main() -> int:
    parser = command("train.data.audio.shards", __doc__, out="folder of the shards")
    parser.add_argument("source", help="recordings in any form of docs/data.md")
    parser.add_argument("--kbps", type=float, default=32.0, help="approximate bitrate in kbit/s")
    parser.add_argument("--shard-mb", type=float, default=1000.0, help="largest size of a shard in MB")
    args = parser.parse_args()
    shards = write_shards(args.source, args.out, args.kbps, args.shard_mb)
    print(f"{len(shards)} shards, {sum(path.stat().st_size for path in shards) / 1e6:.1f} MB in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
