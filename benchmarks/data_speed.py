"""How fast the loader reads: a markdown table over numbers of workers.

python benchmarks/data_speed.py --source train.jsonl --workers 0 1 2
"""

import argparse
import sys
import time
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from codec.recordings.manifest import read_manifest
from train.data.audio.crops import CropDataset, DataConfig
from train.data.loader import make_loader


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True, help="manifest, folder or tar shard")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--crop-s", type=float, default=2.88)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--batches", type=int, default=100)
    args = parser.parse_args()

    config = DataConfig(args.source, crop_s=args.crop_s, batch_size=args.batch_size)
    utterances = read_manifest(args.source)
    print("| workers | clips/s | audio s/s | ms per clip |\n|---|---|---|---|")
    for n_workers in args.workers:
        dataset = CropDataset(utterances, 24_000, 1_920, config, seed=0)
        batches = make_loader(dataset, args.batch_size, 0, num_workers=n_workers)
        list(islice(batches, 2 + 4 * n_workers))  # start the workers, empty what they read ahead
        start = time.perf_counter()
        audio_s = sum(int(batch.lengths.sum()) for batch in islice(batches, args.batches)) / 24_000
        elapsed = time.perf_counter() - start
        clips = args.batches * args.batch_size
        print(f"| {n_workers} | {clips / elapsed:.0f} | {audio_s / elapsed:.0f} | {1e3 * elapsed / clips:.2f} |")
        batches.close()


if __name__ == "__main__":
    main()
