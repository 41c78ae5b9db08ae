"""How much of a codec's acoustic codes does a spectrogram tell?

What no spectrogram tells is the phase of the voice, which no text tells either: a TTS model can only draw it by lot.

    python benchmarks/explained.py recordings.jsonl --out benchmarks/results

A small network reads the log-mel spectrogram around a frame and predicts the frame's acoustic codes. The table gives
the share of their variance that it explains in recordings it has not learned from. Take some hundreds of one speaker.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import librosa
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

import codec
from codec.audio.io import read_audio
from codec.files import atomic_file
from eval.tables import table
from eval.testsets import read_testset

MELS, WINDOW, HOP = 64, 960, 240  # at 24 kHz: 40 ms, 10 ms
BEFORE, AFTER = 8, 24  # spectra seen before the start of a frame, and from there on
HELD_OUT = 0.15  # share of the recordings
EPOCHS, BATCH, LR = 12, 256, 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", help="manifest or folder")
    parser.add_argument("--limit", type=int, default=400, help="recordings taken, at most")
    parser.add_argument("--codec", default="default", help="as for codec.load")
    parser.add_argument("--out", type=Path, required=True, help="folder for the table")
    args = parser.parse_args()
    tokenizer = codec.load(args.codec)
    rate = tokenizer.config.sample_rate
    paths = [u.path for u in read_testset(args.recordings)[: args.limit]]
    waveforms = [read_audio(path, None, rate).numpy() for path in tqdm(paths, "reading", disable=None)]
    pairs = [frames(tokenizer, x) for x in tqdm(waveforms, "encoding", disable=None)]
    n = int(len(pairs) * (1 - HELD_OUT))
    text = table(
        ["codec", "recordings", "explained"], [[args.codec, str(len(pairs)), f"{explained(pairs[:n], pairs[n:]):.3f}"]]
    )
    print(text)
    args.out.mkdir(parents=True, exist_ok=True)
    with atomic_file(args.out / "explained.md") as new:
        new.write_text(text + "\n")


def frames(tokenizer: codec.Tokenizer, x: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    """The spectra around each frame `[T, (BEFORE + AFTER) * MELS]`, and its acoustic codes `[T, K - 1]`; float32."""
    c = tokenizer.config
    codes = tokenizer.encode(torch.from_numpy(x), c.sample_rate).codes[0, 1:].T.float()
    mel = librosa.feature.melspectrogram(
        y=x, sr=c.sample_rate, n_fft=WINDOW, hop_length=HOP, n_mels=MELS, power=1
    )  # [MELS, S]
    step = c.hop_length // HOP
    padded = np.pad(np.log(mel + 1e-3), ((0, 0), (BEFORE, AFTER + step * len(codes))), mode="edge")
    seen = [padded[:, step * t : step * t + BEFORE + AFTER].ravel() for t in range(len(codes))]
    return torch.from_numpy(np.stack(seen)).float(), codes


def explained(known: list[tuple[Tensor, Tensor]], held_out: list[tuple[Tensor, Tensor]]) -> float:
    """The share of the variance of held-out codes that a network explains which learned from the known ones."""
    (x, y), (x_test, y_test) = ([torch.cat(part) for part in zip(*pairs, strict=True)] for pairs in (known, held_out))
    (x, x_test), (y, y_test) = standardised(x, x_test), standardised(y, y_test)
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Dropout(0.1), nn.Linear(x.shape[1], 768), nn.GELU(),
        nn.Dropout(0.2), nn.Linear(768, 512), nn.GELU(),
        nn.Dropout(0.2), nn.Linear(512, y.shape[1]),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(network.parameters(), LR, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=EPOCHS * (len(x) // BATCH))
    for _ in tqdm(range(EPOCHS), "learning", disable=None):
        for batch in torch.randperm(len(x))[: len(x) // BATCH * BATCH].view(-1, BATCH):
            optimizer.zero_grad()
            F.mse_loss(network(x[batch]), y[batch]).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        errors = (network.eval()(x_test) - y_test).square().mean(0)
    return float((1 - errors / y_test.var(0)).mean())


def standardised(known: Tensor, held_out: Tensor) -> tuple[Tensor, Tensor]:
    """Columns less the mean of the known ones, and over their deviation."""
    mean, deviation = known.mean(0), known.std(0) + 1e-6
    return (known - mean) / deviation, (held_out - mean) / deviation


if __name__ == "__main__":
    main()
