"""What a frame of a stream costs, in PyTorch, compiled, and in ONNX Runtime, beside a frame's share of a recording.

    codec export-onnx --step --out onnx/
    OMP_NUM_THREADS=1 python benchmarks/stream_speed.py onnx/
    python benchmarks/stream_speed.py --device cuda --threads 1      # without ONNX Runtime

All take turns in every round, and the table of a number of threads is printed as soon as it is there.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor
from tqdm import tqdm

from codec.compiled import CompiledStreams
from codec.onnx import OnnxStreams
from codec.tokenizer import Tokenizer, load
from eval.speed import WARM_UP, timed
from eval.tables import table

OFFLINE_S = 10  # of the whole recording
BATCH_SIZES = (1, 16)

Source = Tokenizer | CompiledStreams | OnnxStreams
Measure = Callable[[], tuple[float, float]]  # seconds to encode and to decode, for a frame of one stream


def noise(n_samples: int) -> Tensor:
    return 0.1 * torch.randn(n_samples)


def offline(tokenizer: Tokenizer) -> Measure:
    """A frame's share of a whole recording."""
    model, rate = tokenizer.model, tokenizer.config.frame_rate
    waveform = noise(OFFLINE_S * tokenizer.config.sample_rate)[None].to(model.device)

    def run() -> tuple[float, float]:
        encode_s, codes = timed(model.device, model.encode, waveform)
        return encode_s / (OFFLINE_S * rate), timed(model.device, model.decode, codes)[0] / (OFFLINE_S * rate)

    return run


def streams(source: Source, n: int) -> Measure:
    """A frame of each of `n` streams at once; they have run for a while."""
    encoder, decoder = source.encoder_stream(n), source.decoder_stream(n)

    def run() -> tuple[float, float]:
        chunks = [noise(encoder.config.hop_length) for _ in range(n)]
        encode_s, tokens = timed(encoder.step.device, encoder.push, chunks)
        return encode_s / n, timed(decoder.step.device, decoder.push, tokens)[0] / n

    for _ in range(WARM_UP):
        run()
    return run


def measure(
    tokenizer: Tokenizer, compiled: CompiledStreams, folder: str | None, n_threads: int, n_rounds: int, n_frames: int
) -> str:
    """The table of a number of threads."""
    torch.set_num_threads(n_threads)
    sources: dict[str, Source] = {"PyTorch": tokenizer, "PyTorch, compiled": compiled}
    if folder:
        sources["ONNX Runtime"] = OnnxStreams(folder, n_threads)
    cases = {("whole recording", "-"): offline(tokenizer)}
    cases |= {(name, str(n)): streams(source, n) for n in BATCH_SIZES for name, source in sources.items()}
    times: dict[tuple[str, str], list[tuple[float, float]]] = {case: [] for case in cases}
    for _ in tqdm(range(n_rounds), desc=f"{n_threads} threads"):
        for case, run in cases.items():
            times[case] += [run() for _ in range(1 if run is cases["whole recording", "-"] else n_frames)]
    rows, base = [], 0.0
    for (name, n), runs in times.items():
        encode, decode, both = (1000 * min(x) for x in zip(*((e, d, e + d) for e, d in runs), strict=True))
        base = base or both
        middle = 1000 * median(e + d for e, d in runs)
        rows.append([name, n, *(f"{x:.2f}" for x in (encode, decode, both, middle)), f"{both / base:.2f}x"])
    header = ["system", "streams", "encode", "decode", "both", "median of both", "of a whole recording"]
    return (
        f"{n_threads} threads, ms for a frame of one stream, the best unless said otherwise.\n\n{table(header, rows)}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Time for a frame of a stream, in PyTorch and in ONNX Runtime.")
    parser.add_argument("onnx", nargs="?", help="folder of codec export-onnx --step")
    parser.add_argument("--model", default="default", help="that it was made from")
    parser.add_argument("--device", default="cpu", help="of PyTorch")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=20, help="of each stream in a round")
    args = parser.parse_args()
    torch.set_flush_denormal(True)
    tokenizer, compiled = load(args.model, args.device), CompiledStreams(load(args.model, args.device))
    with torch.inference_mode():
        for n_threads in args.threads:
            print(measure(tokenizer, compiled, args.onnx, n_threads, args.rounds, args.frames), flush=True)


if __name__ == "__main__":
    main()
