"""Which recipe learns fastest: short runs of the same length, judged on dev, as a markdown table.

    python benchmarks/recipes.py --train train.jsonl --valid dev.jsonl --out runs/recipes --minutes 10

Every run has a constant learning rate and averaged weights, so that it can be judged at any time. Runs that are
complete are not repeated; one that was interrupted goes on, for as long again. On a CPU each uses one process of
one thread per core.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMMON = ["experiment=codec_small", "optim.decay_share=0", "optim.ema_decay=0.98", "loss.vq_starts=[100]"]
COMMON += ["trainer.steps=1000000", "trainer.validate_every=1000000", "trainer.save_every=200", "logger=disabled"]
RECIPES = {
    "base": [],
    "random start": ["model.init=random"],
    "waveform weight 1": ["loss.waveform=1"],
    "waveform weight 200": ["loss.waveform=200"],
    "learning rate 1e-3": ["optim.lr=1e-3"],
    "12 clips of 1.44 s": ["data.batch_size=12", "data.crop_s=1.44"],
    "12 clips of 2.88 s": ["data.batch_size=12"],
    "quantizing as in the paper": ["model.semantic_quantize_prob=0.5", "model.quantizer_dropout=0.0"],
    "LayerScale 0.1": ["model.layer_scale_init=0.1"],
    "no distillation": ["loss.distill.kind=none"],
    "log-mel weight 0.3": ["loss.log_mel=0.3"],
    "light discriminators from step 200": [
        "loss.feature=1.0",
        "loss.adversarial_start=200",
        "loss.discriminator.channels=8",
        "loss.discriminator.fft_sizes=[876,334,126]",
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="manifest, folder or tar shards")
    parser.add_argument("--valid", required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each run")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    args = parser.parse_args()
    print(
        "| recipe | steps | dev ESTOI | dev PESQ-WB | mel | STFT | CER |\n|---|---:|---:|---:|---:|---:|---:|",
        flush=True,
    )
    for name in args.recipes:
        folder = args.out / "".join(c if c.isalnum() else "_" for c in name)
        line = last_validation(folder) or train(name, folder, args)
        values = [line.get(f"valid/{key}", float("nan")) for key in ("estoi", "pesq", "mel", "stft", "cer")]
        print(f"| {name} | {line['step']} |", " | ".join(f"{value:.3f}" for value in values), "|", flush=True)


def train(name: str, folder: Path, args: argparse.Namespace) -> dict[str, float]:
    n = len(os.sched_getaffinity(0)) if args.device == "cpu" else 1
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n}"] if n > 1 else []
    command = [sys.executable, *launcher, "-m", "train", *COMMON, *RECIPES[name], f"run_dir={folder}"]
    command += [f"data.train={Path(args.train).resolve()}", f"data.valid={Path(args.valid).resolve()}"]
    command += [f"trainer.device={args.device}", f"trainer.minutes={args.minutes}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} | ({"OMP_NUM_THREADS": "1"} if n > 1 else {})
    subprocess.run(command, check=True, cwd=ROOT, env=environment)
    line = last_validation(folder)
    if line is None:
        raise SystemExit(f"{folder}: the run was stopped before it was validated")
    return line


def last_validation(folder: Path) -> dict[str, float] | None:
    path = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return next((line for line in reversed(lines) if "valid/estoi" in line), None)


if __name__ == "__main__":
    main()
