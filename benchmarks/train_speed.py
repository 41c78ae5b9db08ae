"""How much audio a second of training takes in, and how much of the time waits for data.

    python benchmarks/train_speed.py --source train.jsonl
    python benchmarks/train_speed.py --source train.jsonl --device cuda --batch-size 64

Each row is a short run of the real loop: the same command, data and losses as a training. Steps before
`--warmup` do not count. With `--processes 2`, two processes of one thread share the batch.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from train.log import read_metrics

ROOT = Path(__file__).parent.parent
RECONSTRUCTION = ["loss=reconstruction"]
ADVERSARIAL = ["loss=adversarial", "loss.terms.feature.start=0"]
ROWS = {
    "reconstruction, float32": [*RECONSTRUCTION, "trainer.precision=float32"],
    "reconstruction, bfloat16": [*RECONSTRUCTION, "trainer.precision=bfloat16"],
    "reconstruction, bfloat16, compiled": [*RECONSTRUCTION, "trainer.precision=bfloat16", "trainer.compile=true"],
    "with 8 discriminators of 16 channels, bfloat16": [*ADVERSARIAL, "trainer.precision=bfloat16"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, help="manifest, folder or tar shard")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2], help="each with its share of the threads")
    parser.add_argument("--batch-size", type=int, default=6)
    parser.add_argument("--crop-s", type=float, default=2.88)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    args = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    print(f"`small`, {args.batch_size} clips of {args.crop_s} s a step, {args.device}, {threads} threads in all.\n")
    print(
        "| losses | processes | s per step | audio s per s | waiting for data |\n|---|---:|---:|---:|---:|", flush=True
    )
    for row in args.rows:
        for n in args.processes:
            step, data = measure(ROWS[row], n, threads // n, args)
            speed = args.batch_size * args.crop_s / step
            print(f"| {row} | {n} | {step:.2f} | {speed:.1f} | {data / step:.1%} |", flush=True)


def measure(settings: list[str], n_processes: int, threads: int, args: argparse.Namespace) -> tuple[float, float]:
    """Median seconds of a step, and of waiting for its data."""
    with tempfile.TemporaryDirectory() as folder:
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n_processes}"]
        command = [sys.executable, *(launcher if n_processes > 1 else []), "-m", "train"]
        command += ["experiment=codec_small", "logger=none", "logger.progress=false", f"run_dir={folder}"]
        command += [f"data.train={Path(args.source).resolve()}", f"data.batch_size={args.batch_size}"]
        command += [f"data.crop_s={args.crop_s}", f"trainer.device={args.device}", f"trainer.steps={args.steps}"]
        command += ["trainer.log_every=1", "trainer.validate_every=0", *settings]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
        subprocess.run(command, check=True, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        lines = read_metrics(Path(folder))
    lines = lines[args.warmup :]
    step_s, data_s = (sorted(line[name] for line in lines)[len(lines) // 2] for name in ("time/step", "time/data"))
    return step_s, data_s


if __name__ == "__main__":
    main()
