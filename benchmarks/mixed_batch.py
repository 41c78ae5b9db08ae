"""What padding costs: recordings of mixed lengths singly, as one padded batch, and by the tokenizer, which sorts them.

    OMP_NUM_THREADS=1 python benchmarks/mixed_batch.py

Seconds of compute, the least of several rounds, in which the three take turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

import codec
from codec.audio.io import read_audio

ROOT = Path(__file__).parent.parent
SECONDS = {
    "mixed, 0.4 to 14 s": (0.4, 1.0, 1.2, 2.0, 2.5, 3.0, 3.3, 4.0, 6.0, 6.5, 9.0, 14.0),
    "equal, 3 s": (3.0,) * 12,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default", help="as for codec.load")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    tokenizer = codec.load(args.model)
    rate = tokenizer.config.sample_rate
    clips = sorted((ROOT / "eval/bench12").glob("*.flac"))
    speech = torch.cat([read_audio(clip, None, rate) for clip in clips])

    def singly(items: list[Tensor]) -> None:
        for item in items:
            tokenizer.decode(tokenizer.encode(item, rate))

    def padded(items: list[Tensor]) -> None:
        lengths = torch.tensor([len(item) for item in items])
        codes = tokenizer.model.encode(pad_sequence(items, batch_first=True), lengths)
        tokenizer.model.decode(codes, -(-lengths // tokenizer.config.hop_length))

    def by_tokenizer(items: list[Tensor]) -> None:
        tokenizer.decode(tokenizer.encode(items, rate))

    print("| 12 recordings | singly, s | one padded batch, s | tokenizer, s |\n|---|---|---|---|")
    for name, seconds in SECONDS.items():
        items = [speech[: round(s * rate)] for s in seconds]
        rounds = [[_seconds(way, items) for way in (singly, padded, by_tokenizer)] for _ in range(args.rounds)]
        print(f"| {name} | " + " | ".join(f"{min(times):.2f}" for times in zip(*rounds, strict=True)) + " |")


@torch.no_grad()
def _seconds(way: Callable[[list[Tensor]], None], items: list[Tensor]) -> float:
    start = time.process_time()
    way(items)
    return time.process_time() - start


if __name__ == "__main__":
    main()
