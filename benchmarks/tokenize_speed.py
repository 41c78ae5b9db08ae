"""What `codec tokenize` costs beside the codec alone: reading, padding and writing, in one process and one thread.

    python benchmarks/tokenize_speed.py [SOURCE] [--device cuda]

The codec alone encodes one recording as long as a batch, which needs no padding. The two take turns, and the share is
the median of the rounds. On a CPU seconds are processor time of all threads, which other programs hardly change; on a
GPU they are elapsed time. Packages: those of `pip install 'codec37[parquet]'`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import torch

import codec
from codec.audio.io import read_audio
from codec.dataset.config import TokenizeConfig
from codec.dataset.folder import shard_path
from codec.dataset.formats import FORMS
from codec.dataset.worker import REPORTS, Shard, Worker
from codec.recordings.manifest import read_manifest

ROOT = Path(__file__).parent.parent


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
        speech = torch.cat([read_audio(u.path, None, rate) for u in utterances])
        long = speech.repeat(-(-round(args.batch_seconds * rate) // len(speech)))[: round(args.batch_seconds * rate)]
        tokenizer.encode(long, rate).codes.cpu()  # memory and kernels are there after it
        rounds = []
        for _ in range(args.rounds):
            start = clock()
            report = worker(Shard(0, utterances))
            middle = clock()
            tokenizer.encode(long, rate).codes.cpu()
            seconds = report.hours * 3600
            rounds.append((seconds / (middle - start), args.batch_seconds / (clock() - middle)))
        n_bytes = shard_path(out, 0, FORMS[config.format].suffix).stat().st_size
    print(f"{len(utterances)} recordings, {seconds:.0f} s, {args.device}, {args.dtype}, {args.rounds} rounds\n")
    print("| codec tokenize, times real time | codec alone | share | MB an hour of audio |\n|---|---|---|---|")
    ours, alone = (median(speeds) for speeds in zip(*rounds, strict=True))
    share = median(a / b for a, b in rounds)
    print(f"| {ours:.1f} | {alone:.1f} | {share:.2f} | {n_bytes / report.hours / 1e6:.2f} |")


if __name__ == "__main__":
    main()
