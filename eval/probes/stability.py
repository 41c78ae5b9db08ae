"""Whether codes depend on how a recording is cut: into chunks of a stream, and by where it starts.

`python -m eval.probes.stability TESTSET MODEL...` prints a table.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from codec.recordings.media import read_recording
from codec.tokenizer import Tokenizer, load
from eval.command import command
from eval.tables import print_table
from eval.testsets import read_testset

WARM_UP_S = 1.5  # the default encoder's latents depend on the last 1.2 s
CHUNKS_MS = (30, 1000)  # neither a whole number of 80 ms frames
SHIFTS = (1, 10, 1 / 2, 1 / 4, 1 / 8)  # frames


@dataclass(frozen=True)
class Stability:
    """Shares of codes that stay equal, `[K]` float64 in [0, 1] for each codebook."""

    streamed: dict[int, Tensor]  # by samples in a chunk: offline against streaming
    shifted: dict[int, Tensor]  # by samples cut from the start: the whole recording against the rest


def stability(
    tokenizer: Tokenizer, waveforms: Sequence[Tensor], chunk_sizes: Sequence[int], shifts: Sequence[int]
) -> Stability:
    """Encode recordings whole, in chunks and with a later start, and count codes that agree.

    When a recording starts n samples later, frame t of the rest is compared with frame t + n / hop of the whole
    recording, rounded to the nearest (halves up), without the frames of the first `WARM_UP_S`, which depend on the
    missing samples. Where n is a whole number of frames, both hold the same samples and codes of a causal codec should
    be equal. Otherwise they lie up to half a frame apart, and shares show how much codes depend on where frames begin.

    Args:
        tokenizer: the codec.
        waveforms: recordings `[L]` at the codec's sample rate.
        chunk_sizes: of streams, in samples.
        shifts: samples to cut from the start.

    Raises:
        ValueError: a chunk size or shift below 1, or no recording is long enough for a shift.
    """
    if min((*chunk_sizes, *shifts), default=1) < 1:
        raise ValueError(f"chunk_sizes = {chunk_sizes}, shifts = {shifts}: expected numbers of samples, at least 1")
    wholes = [tokenizer.encode(w, tokenizer.config.sample_rate).codes[0] for w in waveforms]
    pairs = list(zip(waveforms, wholes, strict=True))
    return Stability(
        {n: _share((_stream(tokenizer, w, n), whole) for w, whole in pairs) for n in chunk_sizes},
        {n: _share(_start_later(tokenizer, w, whole, n) for w, whole in pairs) for n in shifts},
    )


def _stream(tokenizer: Tokenizer, waveform: Tensor, chunk_size: int) -> Tensor:
    """Return codes `[K, T]` of a stream."""
    stream = tokenizer.encoder_stream()
    parts = [stream.push(chunk) for chunk in waveform.split(chunk_size)]
    return torch.cat([tokens.codes[0] for tokens in (*parts, stream.flush())], dim=1)


def _start_later(tokenizer: Tokenizer, waveform: Tensor, whole: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Return codes `[K, t]` without the first `n` samples, and those of the same frames of the `whole` recording."""
    c = tokenizer.config
    warm_up, offset = math.ceil(WARM_UP_S * c.frame_rate), math.floor(n / c.hop_length + 0.5)
    if len(waveform) <= n:
        return whole[:, :0], whole[:, :0]
    later, whole = tokenizer.encode(waveform[n:], c.sample_rate).codes[0], whole[:, offset:]
    n_frames = min(later.shape[1], whole.shape[1])
    return later[:, warm_up:n_frames], whole[:, warm_up:n_frames]


def _share(pairs: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Compute the share of equal codes over all pairs, `[K, t]` each -> `[K]`."""
    equal = torch.cat([a == b for a, b in pairs], dim=1)
    if not equal.shape[1]:
        raise ValueError(f"waveforms: nothing is left to compare after {WARM_UP_S} s; give longer recordings")
    return equal.double().mean(1).cpu()


def main(argv: Sequence[str] | None = None) -> int:
    """Print the shares of codes that stay equal when recordings come in chunks, and when they start later."""
    parser = command("eval.probes.stability", main.__doc__)
    parser.add_argument("testset", type=Path, help="recordings in any form of docs/data.md")
    parser.add_argument("models", nargs="+", metavar="MODEL", help="checkpoint folder, hub id, preset, or default")
    args = parser.parse_args(argv)

    @cache  # once for all codecs of one sample rate
    def read(sample_rate: int) -> list[Tensor]:
        return [read_recording(u.path, sample_rate) for u in read_testset(args.testset)]

    def row(name: str) -> list[str]:
        tokenizer = load(name)
        c = tokenizer.config
        chunk_sizes = [c.sample_rate * ms // 1000 for ms in CHUNKS_MS]
        found = stability(tokenizer, read(c.sample_rate), chunk_sizes, [round(n * c.hop_length) for n in SHIFTS])
        shares = [*found.streamed.values(), *found.shifted.values()]
        return [f"{float(x[0]):.4f} / {float(x[1:].mean()):.4f}" for x in shares]

    header = ["model", *(f"chunks of {ms} ms" for ms in CHUNKS_MS), *(f"start +{n:g} frames" for n in SHIFTS)]
    return print_table(header, args.models, row, "Shares of equal codes, semantic / mean of acoustic.\n\n")


if __name__ == "__main__":
    sys.exit(main())
