"""`python -m train.ship RUN OUT`: a run's best codec as a small checkpoint folder with a model card."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from omegaconf import OmegaConf
from torch import Tensor

from codec.checkpoint.store import CheckpointError, load_checkpoint, save_checkpoint
from codec.config import CodecConfig
from codec.files import atomic_file
from train import checkpoint

CARD = """# Model card

{description}

- **Architecture**: {n_parameters:.1f} M parameters, {frame_rate:g} frames a second, {num_codebooks} codebooks,
  {bitrate:.2f} kbit/s; `config.json` beside this file.
- **Weights**: float16, from a training in {precision}; fingerprint `{fingerprint}`.

## Training

{steps} steps, the last of them with {batch} clips of {crop_s:g} s; seed {seed}; commit `{commit}`:

```
{command}
```

It started from `model.init={init}`.

## Data

{data}

## Results

{results}
"""


def save_half(out: Path, config: CodecConfig, state: dict[str, Tensor]) -> None:
    """Write a codec to the checkpoint folder `out` in float16."""
    save_checkpoint(out, config, {name: t.half() if t.is_floating_point() else t for name, t in state.items()})


def ship(run: Path, out: Path, description: str, data: str, results: str) -> None:
    """Write `run`'s best weights to `out` in float16, with a model card from what the run recorded.

    Raises:
        CheckpointError: the run has no best weights or no checkpoint.
    """
    config, state, _ = load_checkpoint(run / "best")
    settings = OmegaConf.load(run / "config.yaml")
    start = json.loads((run / "starts.jsonl").read_text().splitlines()[-1])
    found = list(checkpoint.checkpoints(run / "checkpoints"))
    if not found:
        raise CheckpointError(f"{run / 'checkpoints'}: no checkpoint")
    progress = json.loads((found[-1] / checkpoint.PROGRESS).read_text())
    save_half(out, config, state)
    _, state, fingerprint = load_checkpoint(out)
    n_parameters = sum(t.numel() for name, t in state.items() if not name.startswith("quantizer."))
    card = CARD.format(
        description=description, n_parameters=n_parameters / 1e6, frame_rate=config.frame_rate,
        num_codebooks=config.num_codebooks, bitrate=config.bitrate() / 1000, precision=settings.trainer.precision,
        fingerprint=fingerprint, steps=progress["step"], batch=settings.data.batch_size,
        crop_s=settings.data.crop_s, seed=settings.seed, commit=start["commit"][:12],
        command="python -m train " + " ".join(map(_without_folders, start["command"][1:])), init=settings.model.init,
        data=data, results=results,
    )  # fmt: skip
    with atomic_file(out / "README.md") as new:
        new.write_text(card)


def _without_folders(setting: str) -> str:
    """`data.train=/where/it/was/train.jsonl` as `data.train=train.jsonl`: where things were is nobody's business."""
    name, _, value = setting.partition("=")
    return f"{name}={Path(value).name}" if value.startswith("/") else setting


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m train.ship", description=__doc__)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("out", type=Path, help="checkpoint folder to write")
    parser.add_argument("--description", type=Path, required=True, help="text file: what the model is and is not")
    parser.add_argument("--data", type=Path, required=True, help="text file: what it was trained on, with licences")
    parser.add_argument("--results", type=Path, required=True, help="text file: e.g. table.md of `python -m eval`")
    args = parser.parse_args()
    try:
        ship(args.run, args.out, *(path.read_text().strip() for path in (args.description, args.data, args.results)))
    except (CheckpointError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
