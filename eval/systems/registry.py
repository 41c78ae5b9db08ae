"""Systems by name: our checkpoints at any number of codebooks, the baselines, and outputs made elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch import Tensor

from codec.tokenizer import Tokenizer, load
from eval.systems.anchors import Lowpass, MuLaw
from eval.systems.base import SAMPLE_RATE, Coded, System, resample
from eval.systems.codec2 import Codec2
from eval.systems.files import Files
from eval.systems.huggingface import Dac, Encodec, Mimi
from eval.systems.lyra import Lyra
from eval.systems.opus import Opus
from eval.systems.snac import Snac
from eval.systems.speex import Speex

ANCHORS: dict[str, Callable[[], System]] = {
    "identity": partial(Lowpass, "identity"),
    "lowpass-8k": partial(Lowpass, "lowpass-8k", 8_000),
    "lowpass-12k": partial(Lowpass, "lowpass-12k", 12_000),
    "lowpass-16k": partial(Lowpass, "lowpass-16k", 16_000),
    "mulaw": MuLaw,
}

BASELINES: dict[str, Callable[[], System]] = {
    "codec2-700C": partial(Codec2, "700C"),
    "codec2-1600": partial(Codec2, "1600"),
    "codec2-2400": partial(Codec2, "2400"),
    "codec2-3200": partial(Codec2, "3200"),
    "speex-nb-0": partial(Speex, "narrowband", 0),
    "speex-nb-1": partial(Speex, "narrowband", 1),
    "speex-wb-1": partial(Speex, "wideband", 1),
    "opus-6-60ms": partial(Opus, 6, 60),
    "opus-6": partial(Opus, 6),
    "opus-9": partial(Opus, 9),
    "opus-12": partial(Opus, 12),
    "opus-16": partial(Opus, 16),
    "opus-24": partial(Opus, 24),
}

PRETRAINED: dict[str, Callable[[str, str, int | None, str], System]] = {
    **{kind.family: kind for kind in (Encodec, Dac, Mimi, Snac)},
    "lyra": lambda name, source, n_q, device: Lyra(name, source, n_q),  # whatever the device, it runs on the CPU
}

FILES = "files="  # leads the folder of outputs made elsewhere


class CodecSystem:
    """One of our codecs with its first `n_q` codebooks (all by default).

    Bits are those of the codes, frames x log2(codebook sizes), before any entropy coding.

    Raises:
        ValueError: the codec has no `n_q` codebooks.
    """

    lag = 0  # encoder and decoder are causal on one grid of frames: sample t of the output is sample t of the input

    def __init__(self, tokenizer: Tokenizer, n_q: int | None = None, name: str = "codec") -> None:
        sizes = tokenizer.config.codebook_sizes
        self.n_q = len(sizes) if n_q is None else n_q
        if not 1 <= self.n_q <= len(sizes):
            raise ValueError(f"{name}: n_q = {n_q}; it has 1 to {len(sizes)} codebooks")
        self.tokenizer, self.name, self.version = tokenizer, name, tokenizer.fingerprint
        self.codebook_sizes = sizes[: self.n_q]

    def encode(self, waveform: Tensor) -> Coded:
        tokens = self.tokenizer.encode(waveform, SAMPLE_RATE).prefix(self.n_q)
        bits_per_frame = sum(math.log2(size) for size in self.codebook_sizes)
        codes = tokens.codes[0, :, : int(tokens.lengths[0])]
        return Coded(codes.shape[1] * bits_per_frame, tokens, codes)

    def decode(self, coded: Coded) -> Tensor:
        output = self.tokenizer.decode(coded.data)[0].cpu()
        return resample(output, self.tokenizer.config.sample_rate, SAMPLE_RATE)


def make_system(spec: str, device: str = "cpu") -> System | Files:
    """The system called `spec`.

    Args:
        spec: a name in `ANCHORS` or `BASELINES`; a name in `PRETRAINED`, maybe with its weights as in
            `mimi=FOLDER_OR_HUB_ID` or `lyra=FOLDER`; or a checkpoint folder, hub id or preset of ours. A number of
            codebooks may follow the last two: `mimi:8`. `files=FOLDER` are outputs made elsewhere (see `Files`).
        device: of neural codecs.

    Raises:
        MissingProgramError: a baseline's program is not installed.
        MissingBackendError: a pretrained codec's package or weights are not on this machine.
        ValueError: no such baseline, checkpoint or files, or not so many codebooks.
    """
    if spec in ANCHORS or spec in BASELINES:
        return (ANCHORS | BASELINES)[spec]()
    if spec.startswith(FILES):
        return Files(spec, Path(spec.removeprefix(FILES)))
    model, colon, count = spec.rpartition(":")
    if not (colon and count.isdecimal()):
        model, count = spec, ""
    n_q = int(count) if count else None
    family, _, source = model.partition("=")
    if family in PRETRAINED:
        return PRETRAINED[family](spec, source, n_q, device)
    try:
        tokenizer = load(model, device)
    except ValueError as error:
        known = " ".join([*BASELINES, *PRETRAINED, *ANCHORS, f"{FILES}FOLDER"])
        raise ValueError(f"system {spec}: {error}; the baselines are {known}") from error
    return CodecSystem(tokenizer, n_q, spec)
