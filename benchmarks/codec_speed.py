"""Speed and memory of the codec beside EnCodec, DAC and Mimi, as Markdown tables.

    python benchmarks/codec_speed.py --out benchmarks/results

Weights are random: time and memory depend on shapes alone. The systems take turns in every round and
each keeps its best time, so that a busy moment of the machine hurts nobody.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from codec import Codec, preset
from codec.nn.stack import CausalStack
from codec.tokenizer import Tokenizer
from eval.speed import FrameLatency, frame_latency, timed

SAMPLE_RATE = 24_000  # Hz, of all systems
CODECS = ("voxtral float32", "voxtral bfloat16", "small float32", "small bfloat16")
MIMI = "mimi float32"
PEERS = ("encodec float32", "dac float32", MIMI)
MATMUL = {"cpu": (2048, 1), "cuda": (8192, 10)}  # size, products in a row
ROUND_BUDGET = 15.0  # seconds; a system that has used them up at one length sits out the remaining rounds


class System(NamedTuple):
    model: Any
    encode: Callable[[Tensor], Any]  # waveform [1, L] -> codes
    decode: Callable[[Any], Any]  # codes -> waveform


class Best(NamedTuple):
    encode: float  # seconds, the best of the rounds
    decode: float
    rounds: int


class Memory(NamedTuple):
    built: float  # MB, once the model is there
    peak: float


Case = tuple[str, float]  # system, seconds of audio
Times = dict[Case, Best]
Frames = dict[str, FrameLatency]  # by system


def build(name: str, device: str) -> System:
    """The system called "family dtype", with random weights."""
    torch.manual_seed(0)
    family, dtype = name.split()
    if name in CODECS:
        codec = Codec(preset(family)).eval().cast(getattr(torch, dtype)).to(device)
        return System(codec, codec.encode, codec.decode)
    import transformers as hf  # here, so that the codec's memory is measured without it

    if family == "encodec":
        model: Any = hf.EncodecModel(hf.EncodecConfig())
    elif family == "dac":
        config = hf.DacConfig(sampling_rate=SAMPLE_RATE, downsampling_ratios=[2, 4, 5, 8], n_codebooks=32)
        model = hf.DacModel(config)
    else:
        model = hf.MimiModel(hf.MimiConfig())
    model = model.eval().to(device)

    def decode(output: Any) -> Any:
        scales = {"audio_scales": output.audio_scales} if family == "encodec" else {}
        return model.decode(audio_codes=output.audio_codes, **scales)

    return System(model, lambda x: model.encode(x[:, None]), decode)


def noise(seconds: float, device: str) -> Tensor:
    return 0.1 * torch.randn(1, round(seconds * SAMPLE_RATE), device=device)


def matmul_rate(dtype: torch.dtype, device: str) -> float:
    """GFLOP/s of square matrix products, large enough to keep the device busy."""
    size, n = MATMUL[device]
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    seconds, _ = timed(device, lambda: [torch.matmul(a, b) for _ in range(n)])
    return 2e-9 * n * size**3 / seconds


def measure(systems: dict[str, System], args: argparse.Namespace) -> tuple[Times, dict[str, float]]:
    """Best times of the systems, and from the same rounds the best matmul rate of each dtype."""
    runs: dict[Case, list[tuple[float, float]]] = {}
    rates = {"float32": 0.0, "bfloat16": 0.0}
    cases = [(s, r, name) for s in args.seconds for r in range(args.rounds) for name in systems]
    for seconds, _, name in (bar := tqdm(cases, desc="speed")):
        bar.set_postfix_str(f"{name}, {seconds:g} s")
        if name == CODECS[0]:
            x = noise(seconds, args.device)
            for dtype in rates:
                rates[dtype] = max(rates[dtype], matmul_rate(getattr(torch, dtype), args.device))
        done = runs.setdefault((name, seconds), [])
        if sum(map(sum, done)) < ROUND_BUDGET and (name in CODECS or seconds <= args.peer_seconds):
            encode_time, codes = timed(args.device, systems[name].encode, x)
            done.append((encode_time, timed(args.device, systems[name].decode, codes)[0]))
    best = {case: map(min, zip(*done, strict=True)) for case, done in runs.items() if done}
    return {case: Best(*pair, len(runs[case])) for case, pair in best.items()}, rates


def stack_flops(stack: CausalStack) -> float:
    """Operations per frame in the weight matrices, two per weight and step; attention scores are left out."""
    steps, flops = float(stack.steps_per_frame), 0.0
    for layer, (up, down) in zip(stack.layers, stack.scales, strict=True):
        weights = sum(p.numel() for p in layer.parameters() if p.ndim > 1)
        flops += 2 * weights * steps / down  # a strided convolution works once per step that it puts out
        steps *= up / down
    return flops


def codec_flops(codec: Codec, seconds: float) -> tuple[float, float]:
    """Operations to encode, with the search of the codebooks, and to decode."""
    frames = math.ceil(seconds * codec.config.frame_rate)
    search = 2 * sum(book.embedding.numel() for book in codec.quantizer.books)
    return frames * (stack_flops(codec.encoder.stack) + search), frames * stack_flops(codec.decoder.stack)


def stream(systems: dict[str, System], args: argparse.Namespace) -> Frames:
    """Time per frame of each codec, as it is and compiled, of the stream with the lowest p95."""
    codecs = {name: systems[name].model for name in CODECS}
    for name in CODECS[2:]:
        compiled = build(name, args.device).model
        compiled.encoder.compile(dynamic=False)
        compiled.decoder.compile(dynamic=False)
        codecs[f"{name} compiled"] = compiled
    results: Frames = {}
    for _, name in tqdm([(r, name) for r in range(min(args.rounds, 3)) for name in codecs], desc="streaming"):
        result = frame_latency(Tokenizer(codecs[name], fingerprint=""), args.frames)
        if name not in results or result.both.p95 < results[name].both.p95:
            results[name] = result
    return results


def memory_here(name: str, seconds: float, device: str) -> Memory:
    """Build a system in this process, use it once, and see what that took; on "cuda", of GPU memory."""
    system, cuda = build(name, device), device == "cuda"
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    built = torch.cuda.memory_allocated() if cuda else pages * resource.getpagesize()
    system.decode(system.encode(noise(seconds, device)))
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Memory(built / 1e6, (torch.cuda.max_memory_allocated() if cuda else rss) / 1e6)


def measure_memory(args: argparse.Namespace) -> dict[Case, Memory]:
    """Memory of the float32 systems, for each length in a process of its own."""
    lengths = [s for s in args.seconds if s >= 10] or args.seconds[-1:]
    cases = [(n, s) for n in CODECS + PEERS for s in lengths if n in CODECS or s <= args.peer_seconds]
    command = [sys.executable, __file__, "--device", args.device, "--threads", str(args.threads), "--memory"]
    results = {}
    for name, seconds in tqdm([case for case in cases if case[0].endswith("float32")], desc="memory"):
        output = subprocess.run([*command, name, str(seconds)], check=True, stdout=subprocess.PIPE).stdout
        results[name, seconds] = Memory(*json.loads(output))
    return results


def floor_rows(
    times: Times, shares: dict[Case, list[float]], memory: dict[Case, Memory], frames: Frames
) -> Iterator[list[str]]:
    """Target, measured, verdict. Of two numbers, for encoding and decoding, both must pass."""

    def ratios(a: Case, b: Case, scale: float = 1.0) -> list[float]:
        pairs = [(times[a], times[b])] if {a, b} <= times.keys() else []
        return [scale * ratio for x, y in pairs for ratio in (x.encode / y.encode, x.decode / y.decode)]

    def row(target: str, values: list[float], unit: str, low: float = 0, high: float = math.inf) -> list[str]:
        verdict = "pass" if all(low <= v <= high for v in values) else "**miss**"
        return [target, " / ".join(f"{v:.2f}{unit}" for v in values), verdict if values else "not measured"]

    share = shares.get((CODECS[0], 10), [])
    yield row("voxtral float32, 10 s: at least 0.7 of matmul rate", share, "", low=0.7)
    for name, factor in zip(CODECS[1:], (1, 5, 8), strict=True):
        target = f"{name}, 10 s: at least {factor} times as fast as Mimi in float32"
        yield row(target, ratios((MIMI, 10), (name, 10)), "x", low=factor)
    for name in CODECS:
        target = f"{name}: time per second of audio at 600 s at most 1.2 times that at 10 s"
        yield row(target, ratios((name, 600), (name, 10), scale=10 / 600), "x", high=1.2)
    above = [m.peak - m.built for case, m in memory.items() if case == (CODECS[0], 600)]
    yield row("voxtral float32, 600 s: at most 2000 MB above its weights", above, " MB", high=2000)
    for name in [name for name in frames if name.startswith("small")]:
        target = f"{name}, streaming: p95 of encoding and decoding one frame at most 8 ms"
        yield row(target, [frames[name].both.p95], " ms", high=8)


def table(title: str, note: str, header: str, rows: Iterable[Iterable[Any]]) -> str:
    """A Markdown section; `header` names the columns, separated by "|"; numbers get four digits."""
    columns = [column.strip() for column in header.split("|")]
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)]]
    for row in rows:
        lines.append([c if isinstance(c, str) else f"{c:.4g}" if c < 1e4 else f"{c:.0f}" for c in row])
    return "\n".join([f"## {title}\n\n{note}\n", *(f"| {' | '.join(cells)} |" for cells in lines), ""])


def report(args: argparse.Namespace) -> str:
    """Measure everything and write it down."""
    # Memory first, while this process is small: a child's ru_maxrss starts at the size of its parent.
    memory = measure_memory(args)
    systems = {name: build(name, args.device) for name in tqdm(CODECS + PEERS, desc="build")}
    times, rates = measure(systems, args)
    frames = stream(systems, args)

    flops = {case: codec_flops(systems[case[0]].model, case[1]) for case in times if case[0] in CODECS}
    shares: dict[Case, list[float]] = {}
    speeds: list[list[Any]] = []
    for (name, s), (encode, decode, rounds) in times.items():
        if name in CODECS:
            rate = 1e9 * rates[name.split()[1]]
            shares[name, s] = [flops[name, s][0] / encode / rate, flops[name, s][1] / decode / rate]
        mimi = times.get((MIMI, s))
        ratio = [mimi.encode / encode, mimi.decode / decode] if mimi else ["-", "-"]
        speeds.append([name, s, encode, decode, s / encode, s / decode, *ratio, rounds])

    cpu = f"{args.threads} threads, {torch.backends.cpu.get_cpu_capability()}"
    device = torch.cuda.get_device_name() if args.device == "cuda" else cpu
    parts = [f"# Codec speed, {args.device}\n\n{device}, PyTorch {torch.__version__}, random weights.\n"]
    note = "Square matrices of {} rows, {} products in a row.".format(*MATMUL[args.device])
    parts += [table("Matmul rate", note, "dtype | GFLOP/s", rates.items())]
    columns = "system | audio s | encode s | decode s | encode xRT | decode xRT | Mimi/enc | Mimi/dec | runs"
    note = "Best of the rounds. xRT: seconds of audio per second. Mimi/: Mimi's time over the system's."
    parts += [table("Speed", note, columns, speeds)]
    columns = "system | audio s | encode GFLOP | decode GFLOP | encode share | decode share"
    note = "Counted: two operations per weight and step, and the float32 VQ search; not attention scores."
    rows = [[*case, *(f / 1e9 for f in flops[case]), *shares[case]] for case in flops]
    parts += [table("Share of matmul rate", note, columns, rows)]
    note = "Encoding and decoding once, in a process of its own. On a CPU, libraries count as built."
    rows = [[*case, m.peak, m.built, m.peak - m.built] for case, m in memory.items()]
    parts += [table("Peak memory", note, "system | audio s | peak MB | built MB | above MB", rows)]
    columns = "system | encode median | encode p95 | decode median | decode p95 | both median | both p95"
    note = f"Milliseconds for one frame at a time, {args.frames} frames; the best of some streams."
    rows = [[name, *chain(*astuple(result))] for name, result in frames.items()]
    parts += [table("Streaming", note, columns, rows)]
    floors = floor_rows(times, shares, memory, frames)
    parts += [table("Floors", "Two numbers: encode / decode.", "target | measured | verdict", floors)]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed and memory beside EnCodec, DAC and Mimi.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, nargs="+", default=[1, 10, 60, 600], help="lengths of audio")
    parser.add_argument("--peer-seconds", type=float, default=60, help="longest audio for the peers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=200, help="frames of a stream, after the warm-up")
    parser.add_argument("--quick", action="store_true", help="a smoke run: the numbers mean little")
    parser.add_argument("--out", type=Path, help="folder for a copy of the tables")
    parser.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.quick:
        args.seconds, args.rounds, args.frames = [1], 1, 20
    torch.set_flush_denormal(True)
    torch.set_num_threads(args.threads)
    with torch.inference_mode():
        here = args.memory and memory_here(args.memory[0], float(args.memory[1]), args.device)
        text = json.dumps(here) if here else report(args)
    print(text)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / f"codec_speed_{args.device}.md").write_text(text)


if __name__ == "__main__":
    main()
