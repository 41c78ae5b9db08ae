"""`python -m examples.lm [RECORDINGS]`: a toy language model of speech, by plain transformers on the ids of `codec.hf`.

    pip install 'codec37[hf]'

In two minutes on two cores it learns a few clips by heart; give it a folder of hours, a larger model and more steps for
more. Exits with 0 if the loss has fallen.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from codec import IdLayout
from codec.files import find_recordings
from codec.hf import Codec37FeatureExtractor, Codec37Model

WINDOW = 48  # frames of a training example
BATCH_SIZE = 4


def encode(recordings: list[Path], codec: Codec37Model, layout: IdLayout) -> Tensor:
    """All recordings as one sequence of ids `[S]`, frame by frame; each ends with a frame that begins with END."""
    extractor = Codec37FeatureExtractor.of(codec.config)
    rows = []
    for recording in recordings:
        codes = codec.encode(**extractor(recording, return_tensors="pt")).audio_codes
        rows.append(layout.flatten(layout.to_ids(codes[:, : len(layout.codebook_sizes)], end=True))[0])
    return torch.cat(rows)


def train(ids: Tensor, layout: IdLayout, n_steps: int) -> list[float]:
    """Train on random windows of `ids` that begin with a frame; returns the loss of each step, in nats an id."""
    config = LlamaConfig(
        vocab_size=layout.vocab_size, hidden_size=128, intermediate_size=384, num_hidden_layers=2, num_attention_heads=4
    )
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    n_q = len(layout.codebook_sizes)
    frames = ids.unflatten(0, (-1, n_q))  # [T, n_q]
    window = min(WINDOW, len(frames))
    losses = []
    for _ in range(n_steps):
        starts = torch.randint(len(frames) - window + 1, (BATCH_SIZE,)).tolist()
        batch = torch.stack([frames[start : start + window].flatten() for start in starts])
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m examples.lm", description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="?", type=Path, default="tests/data", help="folder [tests/data]")
    parser.add_argument("--codec", default="default", help="what codec.load loads [default]")
    parser.add_argument("--n-q", type=int, default=4, help="codebooks of a frame, from the first [4]")
    parser.add_argument("--steps", type=int, default=120, help="training steps [120]")
    args = parser.parse_args(arguments)
    recordings = find_recordings(args.recordings)
    if not recordings:
        parser.error(f"{args.recordings}: no recordings; give a folder of audio files")

    torch.manual_seed(0)
    started = time.monotonic()
    codec = Codec37Model.from_codec(args.codec)
    layout = IdLayout(codec.config.codebook_sizes[: args.n_q])
    ids = encode(recordings, codec, layout)
    print(f"{len(recordings)} recordings, {len(ids)} ids of a vocabulary of {layout.vocab_size}")
    losses = train(ids, layout, args.steps)
    part = max(1, len(losses) // 10)
    first, last = fmean(losses[:part]), fmean(losses[-part:])
    print(f"loss {first:.2f} -> {last:.2f} nats an id, {len(losses)} steps, {time.monotonic() - started:.0f} s")
    return 0 if last < first else 1


if __name__ == "__main__":
    sys.exit(main())
