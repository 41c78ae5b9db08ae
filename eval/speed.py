"""Latency of streams and real-time factors of batches: `python -m eval.speed MODEL...` prints a table.

Use an otherwise idle machine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from codec.stream import DecoderStream, EncoderStream
from codec.tokenizer import Tokenizer, load
from eval.command import command
from eval.tables import print_table

BATCH_SIZES = (1, 4, 16)
WARM_UP = 20  # frames of a stream, or starts of one, that are not counted
N_STARTS = 20
N_ROUNDS = 3


@dataclass(frozen=True)
class Latency:
    """Milliseconds of compute for a frame."""

    median: float
    p95: float


@dataclass(frozen=True)
class FrameLatency:
    """Latencies of one stream, a frame at a time."""

    encode: Latency
    decode: Latency
    both: Latency


@dataclass(frozen=True)
class FirstAudio:
    """Time from the first sample of a stream to its first audio: the sum of the two."""

    algorithmic: float  # ms of audio that must arrive
    compute: float  # ms from then on, encoding and decoding, median over starts


@dataclass(frozen=True)
class RealTimeFactor:
    """Compute time over audio time, of all recordings of a batch together; below 1 is faster than real time."""

    encode: float
    decode: float


def timed(device: str | torch.device, function: Callable[..., Any], *args: Any) -> tuple[float, Any]:
    """Return the seconds until the call's work on the device was done, and its result."""
    start = time.perf_counter()
    result = function(*args)
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start, result


def timed_pair(
    device: str | torch.device, encode: Callable[..., Any], decode: Callable[[Any], Any], *args: Any
) -> tuple[float, float]:
    """Return the seconds of `encode(*args)` and of `decode` of its result."""
    encode_s, codes = timed(device, encode, *args)
    return encode_s, timed(device, decode, codes)[0]


def frame_latencies(times: Sequence[tuple[float, float]]) -> FrameLatency:
    """Latencies of frames that took these seconds to encode and to decode."""
    ms = 1000 * torch.tensor(times)
    return FrameLatency(*(_latency(x) for x in (ms[:, 0], ms[:, 1], ms.sum(1))))


def frame_latency(tokenizer: Tokenizer, n_frames: int = 200) -> FrameLatency:
    """Time each of `n_frames` frames of noise through an encoder and a decoder stream."""
    encoder, decoder = tokenizer.encoder_stream(), tokenizer.decoder_stream()
    device, hop = tokenizer.model.device, tokenizer.config.hop_length
    times = [timed_pair(device, encoder.push, decoder.push, _noise(hop)) for _ in range(WARM_UP + n_frames)]
    return frame_latencies(times[WARM_UP:])


def first_audio(tokenizer: Tokenizer, n_starts: int = N_STARTS) -> FirstAudio:
    """Time the first audio of new streams whose samples arrive a frame at a time."""
    c, ms = tokenizer.config, []
    for _ in range(WARM_UP + n_starts):
        encoder, decoder = tokenizer.encoder_stream(), tokenizer.decoder_stream()
        audio, n_samples = torch.zeros(0), 0
        while not len(audio):
            # Only the last push counts: the others end while samples still arrive.
            seconds, audio = timed(tokenizer.model.device, _pass, encoder, decoder, _noise(c.hop_length))
            n_samples += c.hop_length
        ms.append(1000 * seconds)
    return FirstAudio(1000 * n_samples / c.sample_rate, _latency(torch.tensor(ms[WARM_UP:])).median)


def real_time_factor(tokenizer: Tokenizer, batch_size: int, seconds: float = 10.0) -> RealTimeFactor:
    """Time a batch of `seconds` of noise each, encoded and decoded whole; the best of `N_ROUNDS`."""
    rate, device = tokenizer.config.sample_rate, tokenizer.model.device
    audio = [_noise(round(seconds * rate)) for _ in range(batch_size)]
    rounds = [timed_pair(device, tokenizer.encode, tokenizer.decode, audio, rate) for _ in range(N_ROUNDS)]
    return RealTimeFactor(*(min(times) / (batch_size * seconds) for times in zip(*rounds, strict=True)))


def main(argv: Sequence[str] | None = None) -> int:
    """Print latencies of streams and real-time factors of batches, a row for each codec."""
    parser = command("eval.speed", main.__doc__, device="where it runs")
    parser.add_argument("models", nargs="+", metavar="MODEL", help="checkpoint folder, hub id, preset, or default")
    parser.add_argument("--frames", type=int, default=200, help="of a stream, after the warm-up")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the recordings of a batch")
    args = parser.parse_args(argv)

    def row(name: str) -> list[str]:
        tokenizer = load(name, args.device)
        frame, first = frame_latency(tokenizer, args.frames), first_audio(tokenizer)
        factors = [real_time_factor(tokenizer, n, args.seconds) for n in BATCH_SIZES]
        latencies = [f"{x.median:.1f} / {x.p95:.1f}" for x in (frame.encode, frame.decode, frame.both)]
        latencies.append(f"{first.algorithmic:.0f} + {first.compute:.1f}")
        return [*latencies, *(f"{x.encode:.4f} / {x.decode:.4f}" for x in factors)]

    header = ["model", "encode a frame", "decode a frame", "both", "first audio: wait + compute"]
    header += [f"RTF, batch of {n}" for n in BATCH_SIZES]
    what = "Milliseconds of one stream, median / p95; real-time factors, encode / decode."
    return print_table(header, args.models, row, f"{_machine(args.device)}. {what}\n\n")


def _pass(encoder: EncoderStream, decoder: DecoderStream, samples: Tensor) -> Tensor:
    return decoder.push(encoder.push(samples))[0]


def _latency(ms: Tensor) -> Latency:
    return Latency(float(ms.quantile(0.5)), float(ms.quantile(0.95)))


def _noise(n_samples: int) -> Tensor:
    return 0.1 * torch.randn(n_samples)


def _machine(device: str) -> str:
    cpu = f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
    name = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else cpu
    return f"{name}, PyTorch {torch.__version__}"


if __name__ == "__main__":
    sys.exit(main())
