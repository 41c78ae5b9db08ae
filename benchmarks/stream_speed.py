"""What a frame of a stream costs, in PyTorch, compiled, and in ONNX Runtime, beside a frame's share of a recording.

    codec export-onnx --step --out onnx/
    pip install --no-deps moshi sphn sounddevice sentencepiece      # for Mimi's own streams
    OMP_NUM_THREADS=1 python benchmarks/stream_speed.py onnx/
    python benchmarks/stream_speed.py --device cuda --threads 1     # without ONNX Runtime

Mimi has 16 codebooks, 2.2 kbit/s, and random weights. All take turns in every round, and the table of a number of
threads is printed as soon as it is there.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from codec.compiled import CompiledStreams
from codec.extras import MissingDependencyError, needs
from codec.onnx import OnnxStreams
from codec.tokenizer import Tokenizer, load
from eval.speed import WARM_UP, frame_latencies, timed_pair
from eval.tables import table

OFFLINE = "whole recording"
OFFLINE_S = 10  # of the whole recording
BATCH_SIZES = (1, 16)
MIMI_CODEBOOKS = 16
MIMI_HOP = 1920  # samples

Source = Tokenizer | CompiledStreams | OnnxStreams
Measure = Callable[[], tuple[float, float]]  # seconds to encode and to decode, for a frame of one stream


def noise(*shape: int) -> Tensor:
    return 0.1 * torch.randn(shape)


def offline(tokenizer: Tokenizer) -> Measure:
    """A frame's share of a whole recording."""
    model, n_frames = tokenizer.model, OFFLINE_S * tokenizer.config.frame_rate
    waveform = noise(1, OFFLINE_S * tokenizer.config.sample_rate).to(model.device)

    def run() -> tuple[float, float]:
        encode_s, decode_s = timed_pair(model.device, model.encode, model.decode, waveform)
        return encode_s / n_frames, decode_s / n_frames

    return run


def streams(source: Source, n: int) -> Measure:
    """A frame of each of `n` streams at once."""
    encoder, decoder = source.encoder_stream(n), source.decoder_stream(n)

    def run() -> tuple[float, float]:
        chunks = list(noise(n, encoder.config.hop_length))
        encode_s, decode_s = timed_pair(encoder.step.device, encoder.push, decoder.push, chunks)
        return encode_s / n, decode_s / n

    return run


def mimi_of_moshi(device: str) -> Measure:
    """A frame of Mimi's stream in the package of its authors.

    Raises:
        MissingDependencyError: it is not installed.
    """
    with needs("moshi", "its Mimi"):
        from moshi.models.loaders import get_mimi
    model = get_mimi(None, device=device, num_codebooks=MIMI_CODEBOOKS)
    model.streaming_forever(1)
    return lambda: timed_pair(device, model.encode, model.decode, noise(1, 1, MIMI_HOP).to(device))


def mimi_of_transformers(device: str) -> Measure:
    """A frame of Mimi's stream in transformers, whose decoder starts anew at every frame but for its attention.

    Raises:
        MissingDependencyError: it is not installed.
    """
    with needs("transformers", "its Mimi"):
        from transformers import MimiConfig, MimiModel
    model: Any = MimiModel(MimiConfig(use_streaming=True, use_cache=True)).eval().to(device)
    heard: dict[str, Any] = {}
    spoken: dict[str, Any] = {}

    def encode(x: Tensor) -> Tensor:
        y = model.encode(x, num_quantizers=MIMI_CODEBOOKS, **heard)
        heard.update(encoder_past_key_values=y.encoder_past_key_values, padding_cache=y.padding_cache)
        return y.audio_codes  # type: ignore[no-any-return]

    def decode(codes: Tensor) -> Tensor:
        y = model.decode(codes, **spoken)
        spoken.update(decoder_past_key_values=y.decoder_past_key_values)
        return y.audio_values  # type: ignore[no-any-return]

    return lambda: timed_pair(device, encode, decode, noise(1, 1, MIMI_HOP).to(device))


PEERS = {"Mimi, moshi": mimi_of_moshi, "Mimi, transformers": mimi_of_transformers}


def measure(sources: dict[str, Source], tokenizer: Tokenizer, n_rounds: int, n_frames: int) -> str:
    """The table of the number of threads that is set."""
    cases = {(OFFLINE, "-"): offline(tokenizer)}
    cases |= {(name, str(n)): streams(source, n) for n in BATCH_SIZES for name, source in sources.items()}
    for name, make in PEERS.items():
        try:
            cases[name, "1"] = make(str(tokenizer.model.device))
        except MissingDependencyError as error:
            print(f"{name}: not measured: {error}")
    for _ in tqdm(range(WARM_UP), desc="warm-up"):
        for (name, _), run in cases.items():
            if name != OFFLINE:
                run()
    times: dict[tuple[str, str], list[tuple[float, float]]] = {case: [] for case in cases}
    for _ in tqdm(range(n_rounds), desc=f"{torch.get_num_threads()} threads"):
        for case, run in cases.items():
            times[case] += [run() for _ in range(1 if case[0] == OFFLINE else n_frames)]
    latencies = {case: frame_latencies(runs) for case, runs in times.items()}
    base = latencies[OFFLINE, "-"].both.median
    rows = [
        [name, n, *(f"{ms:.2f}" for ms in (x.encode.median, x.decode.median, x.both.median, x.both.p95)),
         f"{x.both.median / base:.2f}x"]
        for (name, n), x in latencies.items()
    ]  # fmt: skip
    header = ["system", "streams", "encode", "decode", "both", "p95 of both", "of a whole recording"]
    title = f"{torch.get_num_threads()} threads, ms for a frame of one stream, medians."
    return f"{title}\n\n{table(header, rows)}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("onnx", nargs="?", help="folder of codec export-onnx --step")
    parser.add_argument("--model", default="default", help="that it was made from")
    parser.add_argument("--device", default="cpu", help="of PyTorch")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=20, help="of each stream in a round")
    args = parser.parse_args()
    torch.set_flush_denormal(True)
    tokenizer = load(args.model, args.device)
    sources: dict[str, Source] = {
        "PyTorch": tokenizer,
        "PyTorch, compiled": CompiledStreams(load(args.model, args.device)),
    }
    with torch.inference_mode():
        for n_threads in args.threads:
            torch.set_num_threads(n_threads)
            onnx: dict[str, Source] = {"ONNX Runtime": OnnxStreams(args.onnx, n_threads)} if args.onnx else {}
            print(measure(sources | onnx, tokenizer, args.rounds, args.frames), flush=True)


if __name__ == "__main__":
    main()
