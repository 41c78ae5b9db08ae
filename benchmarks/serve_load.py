"""What clients of a server wait for when there are many of them, beside a server that speaks one request at a time.

    python benchmarks/serve_load.py                                           # the shipped voice on a CPU
    python benchmarks/serve_load.py --model voxtral --device cuda --dtype bfloat16 \\
        --max-concurrency 1 16 32 --slots 32 --num-prompts 1                  # the job for a GPU

Each of `--slots` is a `codec serve` of its own on a loopback port; they are asked in turn. A client asks for the next
speech once it has all of the one before. First packet: from asking to the first sound. RTF: from asking to the end,
over the length of the speech. A packet is late if a listener who plays from the first one on has run out of sound.
Processor time is that of the server, over the length of all speech; other programs do not change it much.

The request file and names in the JSON are those of `vllm bench serve` and, for audio, vLLM-Omni's, where they exist.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

import httpx
import numpy as np
import torch
from tqdm import tqdm

from codec.files import atomic_file
from codec.settings import DEFAULT
from codec.tts.config import PRESETS
from eval.provenance import environment
from eval.server import codec_serve
from eval.tables import table

SAMPLE_RATE, SAMPLE_BYTES = 24_000, 2  # of pcm
AUDIBLE_SECONDS = 0.1  # a gap that breaks the continuity of speech, as vLLM-Omni counts it
ANSWER_SECONDS = 330.0  # a server gives up a request after 300 s


@dataclass
class Speech:
    """One answer, as its listener gets it."""

    n_chars: int
    packets: list[tuple[float, float]] = field(default_factory=list)  # seconds since it was asked for, of sound
    seconds: float = 0.0  # until its end

    @property
    def audio_seconds(self) -> float:
        return sum(length for _, length in self.packets)

    def gaps(self) -> list[float]:
        """Seconds of silence before each late packet."""
        gaps, played_until = [], self.packets[0][0]
        for arrival, length in self.packets:
            if arrival > played_until:
                gaps.append(arrival - played_until)
            played_until = max(arrival, played_until) + length
        return gaps


async def ask(http: httpx.AsyncClient, model: str, voice: str, text: str) -> Speech:
    """Ask for a text and listen to the end.

    Raises:
        httpx.HTTPError: refused or broken off.
    """
    body = {"model": model, "voice": voice, "input": text, "response_format": "pcm"}
    speech, start = Speech(len(text)), time.perf_counter()
    async with http.stream("POST", "/v1/audio/speech", json=body) as response:
        response.raise_for_status()
        async for block in response.aiter_raw():
            speech.packets.append((time.perf_counter() - start, len(block) / SAMPLE_BYTES / SAMPLE_RATE))
    speech.seconds = time.perf_counter() - start
    return speech


@dataclass
class Load:
    """What clients got, and what it took."""

    speeches: list[Speech] = field(default_factory=list)
    duration: float = 0.0  # seconds
    processor_seconds: float = math.nan  # of the server; only Linux tells


async def load(url: str, model: str, voice: str, prompts: list[str], n_clients: int) -> Load:
    """The load of `n_clients` who ask for the prompts in turn."""
    waiting, done = iter(prompts), Load()
    limits = httpx.Limits(max_connections=n_clients)
    async with httpx.AsyncClient(base_url=url, timeout=ANSWER_SECONDS, limits=limits) as http:

        async def client() -> None:
            for prompt in waiting:
                done.speeches.append(await ask(http, model, voice, prompt))

        before, start = await _processor_seconds(http), time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(n_clients):
                group.create_task(client())
        done.duration = time.perf_counter() - start
        done.processor_seconds = await _processor_seconds(http) - before
        return done


async def _processor_seconds(http: httpx.AsyncClient) -> float:
    found = re.search(r"^process_cpu_seconds_total (\S+)", (await http.get("/metrics")).text, re.MULTILINE)
    return float(found[1]) if found else math.nan


def summary(load: Load) -> dict[str, float]:
    """Numbers about a load."""
    speeches, duration = load.speeches, load.duration
    first = [1000 * speech.packets[0][0] for speech in speeches]
    rtf = [speech.seconds / speech.audio_seconds for speech in speeches]
    gaps = [speech.gaps() for speech in speeches]
    audio = sum(speech.audio_seconds for speech in speeches)
    return {
        "completed": len(speeches),
        "duration": duration,
        "request_throughput": len(speeches) / duration,
        "char_throughput": sum(speech.n_chars for speech in speeches) / duration,
        "audio_throughput": audio / duration,
        "total_audio_duration_s": audio,
        "processor_rtf": load.processor_seconds / audio,
        "median_e2el_ms": 1000 * float(np.median([speech.seconds for speech in speeches])),
        "median_audio_ttfp_ms": float(np.median(first)),
        "p95_audio_ttfp_ms": float(np.percentile(first, 95)),
        "median_audio_rtf": float(np.median(rtf)),
        "p95_audio_rtf": float(np.percentile(rtf, 95)),
        "mean_audio_underrun_s": float(np.mean([sum(g) for g in gaps])),
        "audio_continuity_ok_rate": float(np.mean([max(g, default=0.0) <= AUDIBLE_SECONDS for g in gaps])),
        "late_packets": sum(map(len, gaps)),
        "total_packets": sum(len(speech.packets) for speech in speeches),
    }


def read_prompts(path: Path) -> list[str]:
    """The texts of a request file: JSON lines with a `prompt` each.

    Raises:
        ValueError: a line without one, or no line.
    """
    try:
        prompts = [json.loads(line)["prompt"] for line in path.read_text().splitlines() if line.strip()]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path}: expected lines like {{"prompt": "A text."}} ({error!r})') from error
    if not prompts:
        raise ValueError(f"{path}: no request in it; write one a line")
    return prompts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT, help=f"folder, or random weights of {', '.join(PRESETS)}")
    parser.add_argument("--voice", default="kathleen")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--threads", type=int, default=1, help="of each server")
    parser.add_argument("--slots", type=int, nargs="+", default=[8, 1], help="of each server")
    parser.add_argument("--max-concurrency", type=int, nargs="+", default=[1, 2, 4, 8, 16], help="clients at once")
    parser.add_argument("--num-prompts", type=int, default=32, help="requests of a load; at least one a client")
    parser.add_argument("--dataset-path", type=Path, default=Path(__file__).with_suffix(".jsonl"), help="request file")
    parser.add_argument("--out", type=Path, help="folder for the table and the numbers as JSON")
    args = parser.parse_args()
    try:
        prompts = read_prompts(args.dataset_path)
    except (ValueError, OSError) as error:
        parser.error(f"--dataset-path: {error}")

    name, results = Path(args.model).name, []
    where = ["--model", args.model, "--device", args.device, "--dtype", args.dtype, "--threads", str(args.threads)]
    with ExitStack() as stack:
        servers = [stack.enter_context(codec_serve([*where, "--slots", str(n)])) for n in args.slots]
        urls = [url for _, url in servers]
        for url in urls:  # the first request of a server reads the voice
            asyncio.run(load(url, name, args.voice, prompts[:1], 1))
        for n_clients in tqdm(args.max_concurrency, disable=None, leave=False):
            asked = list(islice(cycle(prompts), max(args.num_prompts, n_clients)))
            for n_slots, url in zip(args.slots, urls, strict=True):
                done = asyncio.run(load(url, name, args.voice, asked, n_clients))
                results.append({"max_concurrency": n_clients, "slots": n_slots, **summary(done)})

    heading = f"`{name}`, {args.device}, {args.dtype}, {args.threads} threads, PyTorch {torch.__version__}.\n"
    columns = [
        "clients",
        "slots",
        "first packet p50, ms",
        "p95, ms",
        "RTF",
        "late packets",
        "characters/s",
        "processor RTF",
    ]
    rows = [
        [
            str(r["max_concurrency"]),
            str(r["slots"]),
            f"{r['median_audio_ttfp_ms']:.0f}",
            f"{r['p95_audio_ttfp_ms']:.0f}",
            f"{r['median_audio_rtf']:.3f}",
            f"{r['late_packets'] / r['total_packets']:.1%}",
            f"{r['char_throughput']:.1f}",
            f"{r['processor_rtf']:.3f}",
        ]
        for r in results
    ]
    text = f"{heading}\n{table(columns, rows)}"
    print(text)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        stem = f"serve_load_{name}_{args.device.replace(':', '')}_{args.dtype}"
        with atomic_file(args.out / f"{stem}.md") as new:
            new.write_text(text)
        with atomic_file(args.out / f"{stem}.json") as new:
            new.write_text(json.dumps({"environment": environment(), "runs": results}, indent=1))


if __name__ == "__main__":
    main()
