"""`python -m eval.probes.semantic`: how well the semantic codes of codecs represent text and sounds, as a table."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torchaudio.transforms import MFCC

from codec.quant.vq import VQ, VQConfig
from codec.recordings.media import read_recording
from codec.tokenizer import Tokenizer, load
from eval.command import command
from eval.probes.abx import Segment, abx_error, split_segments
from eval.probes.linear import Purity, purity, train_probe
from eval.progress import progress
from eval.tables import print_table
from eval.testsets import read_testset

N_CLUSTERS = 50  # of MFCCs, in place of phones
N_MFCC = 13
MFCC_RATE = 100  # per second
HEADER = (
    "model", "CER of a linear probe", "purity", "by chance", "NMI", "by chance", "ABX within speaker", "ABX across"
)  # fmt: skip


@dataclass
class Corpus:
    """Recordings with transcripts, equally long lists."""

    waveforms: list[Tensor]  # [L]
    texts: list[str]
    speakers: list[str]  # empty: unknown


@dataclass(frozen=True)
class Semantics:
    """How well the semantic codes of a codec represent text and sounds."""

    cer: float  # of a linear probe of the codebook's vectors, on the test recordings
    found: Purity  # of the codes against clusters of MFCCs, on the training recordings, as all below
    chance: Purity  # of the same codes shuffled
    abx_within: float | None  # error rate for codebook entries, clusters as labels; chance is 0.5
    abx_across: float | None  # the same with X of another speaker; None: fewer than two speakers


def read_corpus(source: str | Path, minutes: float, sample_rate: int) -> Corpus:
    """Read recordings that have a transcript, evenly spread over `source`, up to about `minutes`.

    Raises:
        ValueError: there are none, or one cannot be read.
    """
    utterances = [u for u in read_testset(source) if u.text]
    if not utterances:
        raise ValueError(f"{source}: no transcripts; use a manifest with a text for each recording")
    total = sum(u.duration_s or 0 for u in utterances)
    step = max(1, int(total / (60 * minutes)))
    corpus = Corpus([], [], [])
    for u in progress(utterances[::step], unit="file", desc="read"):
        corpus.waveforms.append(read_recording(u.path, sample_rate))
        corpus.texts.append(u.text or "")
        corpus.speakers.append(u.speaker or "")
    return corpus


def semantic_codes(tokenizer: Tokenizer, waveforms: list[Tensor]) -> list[Tensor]:
    """Codes `[T]` of the semantic codebook for each waveform."""
    rate = tokenizer.config.sample_rate
    bar = progress(waveforms, unit="file", desc="encode")
    return [tokenizer.encode(waveform, rate).codes[0, 0].cpu().clone() for waveform in bar]


def _vectors(tokenizer: Tokenizer, codes: Tensor) -> Tensor:
    """The codebook's vectors `[T, D]` of semantic codes `[T]`."""
    model = tokenizer.model
    return model.quantizer.books[0].decode(codes.to(model.device)).cpu()


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
    clusters = VQ(VQConfig(N_CLUSTERS, N_MFCC))
    clusters.start(joined, torch.Generator().manual_seed(0))
    return list(clusters.encode(joined).split(n_frames))


def semantics(tokenizer: Tokenizer, train: Corpus, test: Corpus) -> Semantics:
    """Probe, purity and ABX of one codec.

    Raises:
        ValueError: no test transcript has any letter, or the codec has no semantic codebook.
    """
    config = tokenizer.config
    if not config.quantizer.semantic_dim:
        raise ValueError(f"quantizer.kind = {config.quantizer.kind!r}: has no semantic codebook; give another codec")
    codes, test_codes = (semantic_codes(tokenizer, corpus.waveforms) for corpus in (train, test))
    vectors, test_vectors = ([_vectors(tokenizer, item) for item in items] for items in (codes, test_codes))
    cer = train_probe(vectors, train.texts).cer(test_vectors, test.texts)
    labels = sound_labels(train.waveforms, [len(c) for c in codes], config.sample_rate, config.frame_rate)
    joined, joined_labels = torch.cat(codes), torch.cat(labels)
    shuffled = joined[torch.randperm(len(joined), generator=torch.Generator().manual_seed(0))]
    segments: list[Segment] = []
    for item, sounds, speaker in zip(vectors, labels, train.speakers, strict=True):
        if speaker:
            segments += split_segments(item, sounds, speaker)
    return Semantics(
        cer,
        purity(joined, joined_labels),
        purity(shuffled, joined_labels),
        abx_error(segments, across=False),
        abx_error(segments, across=True),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table with a row for each codec: how well its semantic codes represent text and sounds."""
    parser = command("eval.probes.semantic", main.__doc__)
    parser.add_argument("models", nargs="+", help="checkpoint folders, hub ids, presets, or default")
    parser.add_argument("--train", required=True, help="manifest with transcripts, to train the probe")
    parser.add_argument("--test", required=True, help="manifest with transcripts, to test the probe")
    parser.add_argument("--minutes", type=float, default=30.0, help="of training speech")
    args = parser.parse_args(argv)
    read = cache(read_corpus)  # once for all codecs of one sample rate

    def row(name: str) -> list[str]:
        tokenizer = load(name)
        train, test = (read(x, args.minutes, tokenizer.config.sample_rate) for x in (args.train, args.test))
        return _cells(semantics(tokenizer, train, test))

    return print_table(HEADER, args.models, row)


def _cells(s: Semantics) -> list[str]:
    numbers = [s.cer, s.found.purity, s.chance.purity, s.found.nmi, s.chance.nmi, s.abx_within, s.abx_across]
    return ["-" if x is None else f"{x:.3f}" for x in numbers]


if __name__ == "__main__":
    sys.exit(main())
