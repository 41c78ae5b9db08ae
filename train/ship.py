"""`python -m train.ship RUN --out OUT`: export a run's best model in float16 with a model card."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from codec.checkpoint.store import CheckpointError, read_checkpoint, write_checkpoint
from codec.config import CodecConfig
from codec.files import atomic_folder, write_text
from codec.tts.checkpoint import TOKENIZERS
from codec.tts.config import TTSConfig
from eval.command import command, reports_errors
from train import checkpoint
from train.folder import CONFIG, STARTS
from train.loop import BEST

CONFIGS: dict[str, type[Any]] = {"codec": CodecConfig, "tts": TTSConfig, "dpo": TTSConfig}  # by task

CARD = """# Model card

{description}

- **Architecture**: {n_parameters:.1f} M parameters, {facts}; `config.json` beside this file.
- **Weights**: float16, from a training in {precision}; fingerprint `{fingerprint}`.

## Training

{steps} steps, at last with {batch}; seed {seed}; commit `{commit}`:

```
{command}
```

Initial weights: `model.init={init}`.

## Data

{data}

## Results

{results}
"""


def save_half(source: Path, out: Path, task: str) -> tuple[Any, int, str]:
    """Write the checkpoint `source` to `out` in float16; returns config, number of parameters and new fingerprint.

    Raises:
        CheckpointError: `source` is missing or damaged.
    """
    config, state, _ = read_checkpoint(source, CONFIGS[task])
    with atomic_folder(out) as new:
        write_checkpoint(new, config, {name: t.half() if t.is_floating_point() else t for name, t in state.items()})
        for name in TOKENIZERS:
            if (source / name).is_file():
                shutil.copy(source / name, new)
    n_parameters = sum(t.numel() for name, t in state.items() if not name.startswith("quantizer."))
    return config, n_parameters, read_checkpoint(out, CONFIGS[task])[2]


def ship(run: Path, out: Path, description: str, data: str, results: str) -> None:
    """Write the best weights of `run` to `out` in float16, with a model card from its records.

    Raises:
        CheckpointError: the run has no best weights or no checkpoint.
    """
    settings: Any = OmegaConf.load(run / CONFIG) if (run / CONFIG).is_file() else {}
    task = settings.get("task", "codec")
    config, n_parameters, fingerprint = save_half(run / BEST, out, task)
    start = json.loads((run / STARTS).read_text().splitlines()[-1])
    found = checkpoint.checkpoints(run / checkpoint.CHECKPOINTS)
    if not found:
        raise CheckpointError(f"{run / checkpoint.CHECKPOINTS}: no checkpoint")
    progress = checkpoint.read_progress(found[-1])
    size = settings.data.batch_size
    card = CARD.format(
        description=description, n_parameters=n_parameters / 1e6,
        precision=start.get("precision", settings.trainer.precision), fingerprint=fingerprint,
        facts=_codec_facts(config) if task == "codec" else _tts_facts(config),
        batch=f"{size} clips of {settings.data.crop_s:g} s" if task == "codec" else f"{size} packed rows",
        steps=progress.step, seed=settings.seed, commit=start["commit"][:12],
        command="python -m train " + " ".join(map(_strip_setting, start["command"][1:])),
        init=_strip_folders(settings.model.init), data=data, results=results,
    )  # fmt: skip
    write_text(out / "README.md", card)


def _codec_facts(c: CodecConfig) -> str:
    return f"{c.frame_rate:g} frames a second, {c.num_codebooks} codebooks, {c.bitrate() / 1000:.2f} kbit/s"


def _tts_facts(c: TTSConfig) -> str:
    return (
        f"a backbone of {c.backbone.n_layers} layers and a {c.head} head of {c.head_transformer.n_layers}, "
        f"{c.backbone.dim} wide, {c.vocab_size} text ids, design {c.sequence.design}; it uses the codec "
        f"`{c.codec}` (`{c.codec_fingerprint}`)"
    )


def _strip_setting(setting: str) -> str:
    """Shorten `data.train=/some/folder/train.jsonl` to `data.train=train.jsonl`, to keep local paths private."""
    name, _, value = setting.partition("=")
    return f"{name}={_strip_folders(value)}" if value else setting


def _strip_folders(value: str | None) -> str:
    """Strip the folders of paths in a value."""
    return re.sub(r"(?<![\w.])/[^,:{}\[\]]+", lambda path: Path(path[0]).name, str(value))


@reports_errors
def main() -> int:
    parser = command("train.ship", __doc__, out="checkpoint folder to write")
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--description", type=Path, required=True, help="text file: description of the model")
    parser.add_argument("--data", type=Path, required=True, help="text file: training data with licences")
    parser.add_argument("--results", type=Path, required=True, help="text file: e.g. table.md of `python -m eval`")
    args = parser.parse_args()
    ship(args.run, args.out, *(path.read_text().strip() for path in (args.description, args.data, args.results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
