"""What does a codec with a source-filter head lose where: in its codes, its envelope, its pitch, or the head itself?

    python benchmarks/controls.py test.jsonl --limit 20 --out benchmarks/results

Recordings are spoken again from the controls of a codec, some of them replaced by those that are measured on the
recording; with all replaced, no network and no code is left, only the head.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

import codec
from codec.audio.io import read_audio
from codec.files import atomic_file
from codec.model import Codec
from codec.nn.source_filter import Controls
from codec.nn.state import Span
from eval.metrics.base import Pair
from eval.score import Job, columns_of, score_each
from eval.tables import table
from eval.testsets import read_testset
from train.data.audio.companions import find_pitch
from train.losses.controls import ControlLoss

METRICS = ("pesq_wb", "estoi")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", help="manifest or folder")
    parser.add_argument("--limit", type=int, default=20, help="recordings, spread over the set")
    parser.add_argument("--codec", default="default", help="as for codec.load")
    parser.add_argument("--out", type=Path, required=True, help="folder for the table")
    args = parser.parse_args()
    model = codec.load(args.codec).model
    if model.decoder.head is None:
        parser.error(f"--codec {args.codec}: it has no source-filter head")
    rate = model.config.sample_rate
    utterances = read_testset(args.recordings)
    chosen = np.linspace(0, len(utterances) - 1, min(args.limit, len(utterances))).round().astype(int)
    jobs: dict[str, list[Job]] = {}
    for i in tqdm(chosen, "speaking", disable=None):
        x = read_audio(utterances[i].path, None, rate)
        x = x[: len(x) // model.config.hop_length * model.config.hop_length]
        for name, y in versions(model, x).items():
            jobs.setdefault(name, []).append(Job(f"{name} {i}", Pair(x, y, rate), METRICS))
    rows = []
    for name, some in tqdm(jobs.items(), "scoring", disable=None):
        scores = columns_of(list(score_each(some)))
        rows.append([name, *(f"{mean(scores[m].values()):.3f}" for m in METRICS)])
    text = table(["controls", "PESQ-WB", "ESTOI"], rows)
    print(text)
    args.out.mkdir(parents=True, exist_ok=True)
    with atomic_file(args.out / "controls.md") as new:
        new.write_text(text + "\n")


@torch.inference_mode()
def versions(model: Codec, x: Tensor) -> dict[str, Tensor]:
    """A recording `[L]`, spoken again from several sets of controls, each `[L]`."""
    f0 = torch.from_numpy(find_pitch(x.numpy(), model.config.sample_rate))[None]
    true, _ = ControlLoss(model.config).measure(x[None], f0)
    z = model.latents(x[None])
    coded = controls(model, model.quantizer.decode(model.quantizer.encode(z)))
    n = model.config.quantizer.semantic_dim
    semantic, acoustic = z[..., :n], z[..., n:]
    smooth = controls(model, torch.cat([semantic, acoustic.tanh()], dim=2))
    sets = {
        "of the codes": coded,
        "of latents that are not quantized": smooth,
        "of the codes, the pitch measured": coded._replace(log_f0=true.log_f0),
        "of the codes, the periodicity measured": coded._replace(periodicity=true.periodicity),
        "of the codes, the envelope measured": coded._replace(gain=true.gain),
        "all measured": true,
    }
    return {name: speak(model, some) for name, some in sets.items()}


def controls(model: Codec, z: Tensor) -> Controls:
    _, made = model.decoder.reconstruct(z, with_waveform=False)
    assert made is not None
    return made


def speak(model: Codec, made: Controls) -> Tensor:
    """The waveform `[L]` of one item's controls."""
    head = model.decoder.head
    assert head is not None
    x = (torch.cat([made.gain, made.periodicity], dim=2) - head.mean) / head.deviation
    y, _ = head(x, made.log_f0, torch.zeros(1, *head.tail_shape), Span(torch.zeros(1, dtype=torch.int64), None))
    return y.flatten()


if __name__ == "__main__":
    main()
