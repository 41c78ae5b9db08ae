"""What `codec tokenize` costs beside the codec alone: reading, padding and writing, in one process and one thread.

    python benchmarks/tokenize_speed.py [SOURCE] [--device cuda]

The codec alone encodes the same batches of recordings, read before, and one recording as long as a batch, which needs
no padding. The three take turns, and shares are medians of the rounds. On a CPU seconds are processor time of all
threads, which other programs hardly change; on a GPU they are elapsed time. It needs `pip install 'codec37[parquet]'`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

import codec
from codec.audio.io import read_audio
from codec.dataset.config import TokenizeConfig
from codec.dataset.encoding import encode_windows
from codec.dataset.folder import shard_path
from codec.dataset.formats import FORMS
from codec.dataset.worker import REPORTS, Shard, Worker
from codec.recordings.manifest import read_manifest

ROOT = Path(__file__).parent.parent


class Clip(NamedTuple):
    waveform: Tensor  # [L] float32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default=ROOT / "eval/bench12", help="manifest, folder or tar shard")
    parser.add_argument("--model", default="default", help="as for codec.load")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--batch-seconds", type=float, default=60.0)
    parser.add_argument("--repeat", type=int, default=1, help="times that the source is in the shard")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    clock = time.process_time if args.device == "cpu" else time.perf_counter
    config = TokenizeConfig(args.model, batch_seconds=args.batch_seconds, device=args.device, dtype=args.dtype)
    utterances = args.repeat * read_manifest(args.source)
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        (out / REPORTS).mkdir()
        worker = Worker(out, config, codec.load(args.model).fingerprint)
        tokenizer, rate = worker.tokenizer, worker.tokenizer.config.sample_rate
        clips = [Clip(read_audio(u.path, None, rate)) for u in utterances]
        speech = torch.cat([clip.waveform for clip in clips])
        long = speech.repeat(-(-round(args.batch_seconds * rate) // len(speech)))[: round(args.batch_seconds * rate)]
        worker(Shard(0, utterances))  # memory and kernels for all shapes are there after it
        tokenizer.encode(long, rate).codes.cpu()
        rounds = []
        for _ in range(args.rounds):
            times = [clock()]
            report = worker(Shard(0, utterances))
            times.append(clock())
            for _ in encode_windows(
                clips, lambda c: len(c.waveform) / rate, lambda c: [c], tokenizer, args.batch_seconds
            ):
                pass
            times.append(clock())
            tokenizer.encode(long, rate).codes.cpu()
            times.append(clock())
            seconds = report.hours * 3600
            lengths = (seconds, seconds, args.batch_seconds)
            rounds.append([n / (end - start) for n, (start, end) in zip(lengths, pairwise(times), strict=True)])
        n_bytes = shard_path(out, 0, FORMS[config.format].suffix).stat().st_size
    print(f"{len(utterances)} recordings, {seconds:.0f} s, {args.device}, {args.dtype}, {args.rounds} rounds\n")
    print("| | times real time | share that codec tokenize reaches |\n|---|---:|---:|")
    for i, name in enumerate(("codec tokenize", "codec alone, same batches", "codec alone, one recording")):
        print(f"| {name} | {median(r[i] for r in rounds):.1f} | {median(r[0] / r[i] for r in rounds):.2f} |")
    print(f"\n{n_bytes / report.hours / 1e6:.2f} MB of Parquet an hour of audio")


if __name__ == "__main__":
    main()
