"""`python -m train.semantic`: how much the semantic codes of some codecs say about text and sounds, as a table."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from torchaudio.transforms import MFCC
from tqdm import tqdm
from train.probe import ctc_probe, purity

from codec.quant.vq import VQ
from codec.tokenizer import Tokenizer, load
from train.data.manifest import read_manifest
from train.data.media import open_recording

N_CLUSTERS = 50  # of MFCCs, standing in for phones
N_MFCC = 13
MFCC_RATE = 100  # per second


@dataclass
class Spoken:
    """Recordings with transcripts, equally long lists."""

    waveforms: list[Tensor]  # [L]
    texts: list[str]


def read_spoken(source: str | Path, minutes: float, sample_rate: int) -> Spoken:
    """The first recordings of `source` that have a transcript, evenly spread, up to `minutes`.

    Raises:
        ValueError: there are none.
    """
    utterances = [u for u in read_manifest(source) if u.text]
    if not utterances:
        raise ValueError(f"{source}: no transcripts; use a manifest with a text for each recording")
    total = sum(u.duration_s or 0 for u in utterances)
    step = max(1, int(total / (60 * minutes)))
    spoken = Spoken([], [])
    for utterance in tqdm(list(islice(utterances, 0, None, step)), unit="file", desc="read", disable=None):
        with open_recording(utterance.path, sample_rate) as recording:
            spoken.waveforms.append(torch.from_numpy(recording.read(0, recording.n_samples)))
        spoken.texts.append(utterance.text or "")
    return spoken


def semantic_codes(tokenizer: Tokenizer, waveforms: list[Tensor]) -> list[Tensor]:
    """Codes `[T]` of the semantic codebook for each waveform."""
    rate = tokenizer.config.sample_rate
    bar = tqdm(waveforms, unit="file", desc="encode", disable=None)
    return [tokenizer.encode(waveform, rate).codes[0, 0].cpu().clone() for waveform in bar]


def sound_labels(waveforms: list[Tensor], n_frames: list[int], sample_rate: int, frame_rate: float) -> list[Tensor]:
    """One of `N_CLUSTERS` clusters of mean MFCCs for each codec frame, `[T]` for each waveform."""
    mfcc = MFCC(sample_rate, N_MFCC, melkwargs={"hop_length": sample_rate // MFCC_RATE, "n_mels": 40})
    per_frame = MFCC_RATE / frame_rate
    features = []
    for waveform, n in zip(waveforms, n_frames, strict=True):
        x = mfcc(waveform).T  # [100 per second, N_MFCC]
        frame = (torch.arange(len(x)) / per_frame).long().clamp(max=n - 1)
        sums = torch.zeros(n, N_MFCC).index_add_(0, frame, x)
        features.append(sums / torch.bincount(frame, minlength=n).clamp(min=1)[:, None])
    joined = torch.cat(features)
    joined = (joined - joined.mean(0)) / joined.std(0)
    clusters = VQ(N_CLUSTERS, N_MFCC, decay=0.0, revive_below=0.0, kmeans=True)
    clusters.start(joined, torch.Generator().manual_seed(0))
    return list(clusters.encode(joined).split(n_frames))


def row(tokenizer: Tokenizer, train: Spoken, test: Spoken) -> list[float]:
    """CER of a linear probe, then purity and NMI against clusters, and the same with codes shuffled."""
    config = tokenizer.config
    codes, test_codes = (semantic_codes(tokenizer, spoken.waveforms) for spoken in (train, test))
    cer = ctc_probe(codes, train.texts, test_codes, test.texts, config.semantic_codebook_size)
    labels = torch.cat(sound_labels(train.waveforms, [len(c) for c in codes], config.sample_rate, config.frame_rate))
    joined = torch.cat(codes)
    shuffled = joined[torch.randperm(len(joined), generator=torch.Generator().manual_seed(0))]
    found, chance = purity(joined, labels), purity(shuffled, labels)
    return [cer, found.purity, chance.purity, found.nmi, chance.nmi]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m train.semantic", description=__doc__)
    parser.add_argument("models", nargs="+", help="checkpoint folders, hub ids, presets, or default")
    parser.add_argument("--train", required=True, help="manifest with transcripts, for the probe")
    parser.add_argument("--test", required=True, help="manifest with transcripts, to read")
    parser.add_argument("--minutes", type=float, default=30.0, help="of training speech")
    args = parser.parse_args()
    print("| model | CER of a linear probe | purity | by chance | NMI | by chance |\n|---|---|---|---|---|---|")
    try:
        for name in args.models:
            tokenizer = load(name)
            rate = tokenizer.config.sample_rate
            train, test = read_spoken(args.train, args.minutes, rate), read_spoken(args.test, args.minutes, rate)
            print(f"| {name} |", " | ".join(f"{x:.3f}" for x in row(tokenizer, train, test)), "|", flush=True)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
