"""Cost of a variant: parameters and FLOP from its architecture, training cost from the progress of its runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

import torch
from torch.utils.flop_counter import FlopCounterMode

from codec.config import CodecConfig
from codec.model import Codec
from train.ablate.study import Run

FLOP_SECONDS = 16.0  # of audio: long enough to make the start of the stream negligible


@dataclass(frozen=True)
class Cost:
    """Cost of using and of training a codec."""

    parameters: int
    flops: float  # to encode and decode a second of audio; a multiply-add counts as two
    frame_rate: float  # Hz
    kbit_per_s: float  # nominal, of the codes
    steps: float  # this and the next two: means over the runs
    audio_h: float  # of training batches, padding and repetition included
    minutes: float  # of training, without its start


def measure_cost(config: CodecConfig, runs: Sequence[Run], n_q: int | None = None) -> Cost:
    """Measure the cost of a variant from its complete runs; `n_q`: codebooks in use, all if None."""
    with torch.device("meta"):  # counts from shapes alone
        model = Codec(config).eval()
        n_frames = math.ceil(FLOP_SECONDS * config.frame_rate)
        waveform = torch.zeros(1, n_frames * config.hop_length)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.decode(model.encode(waveform))
    steps, audio_h, minutes = (mean(values) for values in zip(*map(_training, runs), strict=True))
    return Cost(
        parameters=sum(p.numel() for p in model.parameters()),
        flops=counter.get_total_flops() * config.frame_rate / n_frames,
        frame_rate=config.frame_rate,
        kbit_per_s=config.bitrate(n_q) / 1000,
        steps=steps,
        audio_h=audio_h,
        minutes=minutes,
    )


def _training(run: Run) -> tuple[float, float, float]:
    """Steps, hours of audio and minutes of one run, over all its starts."""
    progress, data, model = run.progress, run.config.data, run.config.model
    clip_s = data.crop_length(model.sample_rate, model.hop_length) / model.sample_rate
    audio_s = progress.step * run.config.trainer.accumulate * data.batch_size * clip_s
    return progress.step, audio_s / 3600, progress.seconds / 60
