"""Speed and memory of the codec beside EnCodec, DAC and Mimi, as Markdown tables.

    python benchmarks/codec_speed.py --out benchmarks/results

Weights are random: time and memory depend on shapes alone. The systems take turns in every round and
each keeps its best time, so that a busy moment of the machine hurts nobody. Each table is printed and written as soon
as it is there. Streams are measured by `stream_speed.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from codec import Codec, preset
from codec.files import atomic_file
from codec.nn.precision import emulates_bfloat16
from codec.nn.stack import CausalStack
from eval.speed import timed, timed_pair
from eval.tables import table

SAMPLE_RATE = 24_000  # Hz, of all systems
PRESETS = ("voxtral", "source_filter")
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


def build(name: str, device: str) -> System:
    """The system called "family dtype", with random weights."""
    torch.manual_seed(0)
    family, dtype = name.split()
    if family in PRESETS:
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
    rates = {name.split()[1]: 0.0 for name in systems}
    cases = [(s, r, name) for s in args.seconds for r in range(args.rounds) for name in systems]
    for seconds, _, name in (bar := tqdm(cases, desc="speed")):
        bar.set_postfix_str(f"{name}, {seconds:g} s")
        if name == next(iter(systems)):
            x = noise(seconds, args.device)
            for dtype in rates:
                rates[dtype] = max(rates[dtype], matmul_rate(getattr(torch, dtype), args.device))
        done = runs.setdefault((name, seconds), [])
        if sum(map(sum, done)) < ROUND_BUDGET and (name not in PEERS or seconds <= args.peer_seconds):
            done.append(timed_pair(args.device, systems[name].encode, systems[name].decode, x))
    best = {case: Best(min(e for e, _ in s), min(d for _, d in s), len(s)) for case, s in runs.items() if s}
    return best, rates


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


def memory_here(name: str, seconds: float, device: str) -> Memory:
    """Build a system in this process, use it once, and see what that took; on "cuda", of GPU memory."""
    system, cuda = build(name, device), device == "cuda"
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    built = torch.cuda.memory_allocated() if cuda else pages * resource.getpagesize()
    system.decode(system.encode(noise(seconds, device)))
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Memory(built / 1e6, (torch.cuda.max_memory_allocated() if cuda else rss) / 1e6)


def measure_memory(names: Iterable[str], args: argparse.Namespace) -> dict[Case, Memory]:
    """Memory of the float32 systems, for each length in a process of its own."""
    lengths = [s for s in args.seconds if s >= 10] or args.seconds[-1:]
    cases = [(n, s) for n in names for s in lengths if n not in PEERS or s <= args.peer_seconds]
    command = [sys.executable, __file__, "--device", args.device, "--threads", str(args.threads), "--memory"]
    results = {}
    for name, seconds in tqdm([case for case in cases if case[0].endswith("float32")], desc="memory"):
        output = subprocess.run([*command, name, str(seconds)], check=True, stdout=subprocess.PIPE).stdout
        results[name, seconds] = Memory(*json.loads(output))
    return results


def section(title: str, note: str, header: str, rows: Iterable[Iterable[Any]]) -> str:
    """A Markdown section with a table; `header` names the columns, separated by "|"; numbers get four digits."""
    columns = [column.strip() for column in header.split("|")]
    cells = [[c if isinstance(c, str) else f"{c:.4g}" if c < 1e4 else f"{c:.0f}" for c in row] for row in rows]
    return f"## {title}\n\n{note}\n\n{table(columns, cells)}\n"


def report(args: argparse.Namespace) -> Iterator[str]:
    """Measure everything, and give each table once it is there."""
    cpu = f"{args.threads} threads, {torch.backends.cpu.get_cpu_capability()}"
    device = torch.cuda.get_device_name() if args.device == "cuda" else cpu
    dtypes = ["float32", "bfloat16"]
    without = ""
    if reason := emulates_bfloat16(args.device):
        dtypes, without = dtypes[:1], f" bfloat16 is left out: {reason}."
    codecs = [f"{name} {dtype}" for name in PRESETS for dtype in dtypes]
    yield f"# Codec speed, {args.device}\n\n{device}, PyTorch {torch.__version__}, random weights.{without}\n"

    # Memory first, while this process is small: a child's ru_maxrss starts at the size of its parent.
    memory = measure_memory([*codecs, *PEERS], args)
    note = "Encoding and decoding once, in a process of its own. On a CPU, libraries count as built."
    rows = [[*case, m.peak, m.built, m.peak - m.built] for case, m in memory.items()]
    yield section("Peak memory", note, "system | audio s | peak MB | built MB | above MB", rows)

    systems = {name: build(name, args.device) for name in tqdm([*codecs, *PEERS], desc="build")}
    times, rates = measure(systems, args)
    note = "Square matrices of {} rows, {} products in a row.".format(*MATMUL[args.device])
    yield section("Matmul rate", note, "dtype | GFLOP/s", rates.items())
    speeds: list[list[Any]] = []
    shares: list[list[Any]] = []
    for (name, s), (encode, decode, rounds) in times.items():
        if name in codecs:
            flops = codec_flops(systems[name].model, s)
            peak = 1e9 * rates[name.split()[1]]
            shares.append([name, s, *(x / 1e9 for x in flops), flops[0] / encode / peak, flops[1] / decode / peak])
        mimi = times.get((MIMI, s))
        ratio = [mimi.encode / encode, mimi.decode / decode] if mimi else ["-", "-"]
        speeds.append([name, s, encode, decode, s / encode, s / decode, *ratio, rounds])
    columns = "system | audio s | encode s | decode s | encode xRT | decode xRT | Mimi/enc | Mimi/dec | runs"
    note = "Best of the rounds. xRT: seconds of audio per second. Mimi/: Mimi's time over the system's."
    yield section("Speed", note, columns, speeds)
    columns = "system | audio s | encode GFLOP | decode GFLOP | encode share | decode share"
    note = "Counted: two operations per weight and step, and the float32 VQ search; not attention, front and head."
    yield section("Share of matmul rate", note, columns, shares)


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed and memory beside EnCodec, DAC and Mimi.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, nargs="+", default=[1, 10, 60], help="lengths of audio")
    parser.add_argument("--peer-seconds", type=float, default=10, help="longest audio for the peers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a smoke run: the numbers mean little")
    parser.add_argument("--out", type=Path, help="folder for a copy of the tables")
    parser.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.quick:
        args.seconds, args.rounds = [1], 1
    torch.set_flush_denormal(True)
    torch.set_num_threads(args.threads)
    with torch.inference_mode():
        if args.memory:
            print(json.dumps(memory_here(args.memory[0], float(args.memory[1]), args.device)))
            return
        text = ""
        for part in report(args):
            print(part, flush=True)
            text += part + "\n"
            if args.out:
                args.out.mkdir(parents=True, exist_ok=True)
                with atomic_file(args.out / f"codec_speed_{args.device}.md") as new:
                    new.write_text(text)


if __name__ == "__main__":
    main()
