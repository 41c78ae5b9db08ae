"""How fast speech is made: as users ask for it, where a frame's time goes, and by streams and by mode.

    python benchmarks/tts_speed.py                                       # the shipped model and `small` on a CPU
    python benchmarks/tts_speed.py --preset voxtral --device cuda --dtype bfloat16 \\
        --streams 1 16 32 --modes eager compile graph                    # the job for a GPU

The first table is of a trained model: one text in packets of a frame, as a whole, and eight texts side by side, and the
time from text that arrives word by word to its first packet, phonemes included.

In the others weights are random: time depends on shapes alone. A request has 500 characters of text and a voice of
10 s, and the voice has been read before, as a server would have it. RTF is time over audio of one stream; first audio
is the time from the request to its first 80 ms packet, codec included, the median of all rounds.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
import warnings
from itertools import product
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from codec.files import atomic_file
from codec.settings import DEFAULT
from codec.stream import DecoderStream
from codec.tokenizer import load as load_codec
from codec.tts.accelerate import MODES
from codec.tts.config import PRESETS
from codec.tts.generate import FrameLoop
from codec.tts.model import TTSModel
from codec.tts.sampling import Sampling
from codec.tts.speech import TTS, load
from codec.tts.text.tokenizer import SpecialIds
from eval.provenance import environment
from eval.speed import timed
from eval.tables import table

SPECIAL = SpecialIds(pad=0, bos=1, begin_audio=2, next_text=3, repeat=4)
VOICE_SECONDS = 10.0
N_IDS = 125  # 500 characters of four each
TEXT = (
    "The door was open, and nobody in the whole house had heard him come down the stairs. "
    "He waited a while in the dark kitchen."
)
GREEDY = Sampling(temperature=0, min_frames=10_000, max_frames=10_001, frames_per_id=1000)


def spoken(tts: TTS, device: str, rounds: int) -> list[list[str]]:
    """Rows of what a user asks for and how long it takes, the best of the rounds; one more round warms up."""
    voice, words = tts.voice("kathleen"), [f"{word} " for word in TEXT.split()]
    samplings = [Sampling(seed=seed) for seed in range(8)]
    work = {
        "one stream": lambda: list(tts.stream(TEXT, voice)),
        "a whole text": lambda: [tts.speak(TEXT, voice)],
        "a batch of 8": lambda: tts.speak_batch([TEXT] * 8, [voice] * 8, samplings),
        "first packet of words": lambda: [next(tts.stream(iter(words), voice))],
    }
    best: dict[str, tuple[float, float]] = {}
    for number, (name, run) in product(range(rounds + 1), work.items()):
        seconds, waveforms = timed(device, run)
        if number:
            best[name] = min((seconds, sum(map(len, waveforms)) / tts.sample_rate), best.get(name, (math.inf, 0.0)))
    return [[name, f"{1000 * s:.0f}", f"{audio:.2f}", f"{s / audio:.3f}"] for name, (s, audio) in best.items()]


class Speaker:
    """`n_streams` requests that begin together, and their codec streams."""

    def __init__(self, model: TTSModel, decoder: DecoderStream, mode: str, n_streams: int, voice: Tensor) -> None:
        self.loop = FrameLoop(model, SPECIAL, n_streams, mode)  # type: ignore[arg-type]
        self.decoder, self.n_streams = decoder, n_streams
        self.prefix = self.loop.prefill(voice)
        self.ids = torch.randint(5, model.config.vocab_size, (N_IDS,)).tolist()

    def begin(self) -> None:
        for slot in range(self.n_streams):
            self.loop.stop(slot)
            self.loop.start(slot, self.prefix, self.ids, GREEDY)
        self.decoder.reset()

    def packet(self) -> None:
        """The next 80 ms of all streams, as samples."""
        frames = self.loop.advance()
        self.decoder.push(torch.stack([part.codes for part in frames.values()]))


def measure(speaker: Speaker, device: str, rounds: int, n_frames: int) -> tuple[float, float]:
    """Seconds to the first packet and per packet after it, medians over the rounds; one more round warms up."""
    first, rest = [], []
    for number in range(rounds + 1):
        start = time.perf_counter()
        speaker.begin()
        timed(device, speaker.packet)
        first.append(time.perf_counter() - start)
        times = [timed(device, speaker.packet)[0] for _ in range(n_frames)]
        rest.append(statistics.median(times))
        if number == 0:
            first, rest = [], []
    return statistics.median(first), statistics.median(rest)


def parts(model: TTSModel, decoder: DecoderStream, device: str, voice: Tensor) -> dict[str, float]:
    """Seconds that the parts of one stream take, the best of ten."""
    loop = FrameLoop(model, SPECIAL)
    prefix = loop.prefill(voice)
    loop.start(0, prefix, list(range(5, 5 + N_IDS)), GREEDY)
    loop.advance()
    dim = model.config.backbone.dim
    like = model.semantic_head.weight
    x, h = torch.randn(1, 1, dim).to(like), torch.randn(1, dim).to(like)
    text = torch.randn(1, N_IDS, dim).to(like)
    noise = model.acoustic_head.draw(GREEDY.head)[None].to(like.device)
    state = model.backbone.init_state(1, 512)
    state.length[:] = 250
    codes = voice[None, :, :1]
    work = {
        "read a 10 s voice (once)": lambda: loop.prefill(voice),
        f"read {N_IDS} text ids": lambda: model.backbone.step(text, state),
        "backbone, a frame": lambda: model.backbone.step(x, state),
        f"{model.config.head} head, a frame": lambda: model.acoustic_head.sample(h, noise, GREEDY.head),
        "codec, a frame": lambda: decoder.push(codes),
    }
    return {name: min(timed(device, run)[0] for _ in range(10)) for name, run in work.items()}


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT, help="trained, of the first table")
    parser.add_argument("--preset", default="small", choices=PRESETS, help="of the other tables")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--modes", nargs="+", default=["eager", "compile"], choices=MODES)
    parser.add_argument("--frames", type=int, default=25, help="that are timed in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="folder for the table and the numbers as JSON")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    lines: list[str] = []

    def show(text: str) -> None:
        print(text, flush=True)
        lines.append(text)

    show(f"{args.device}, {args.dtype}, {args.threads} threads, PyTorch {torch.__version__}.\n")
    config, dtype = PRESETS[args.preset], getattr(torch, args.dtype)
    speech = spoken(load(args.model, args.device, dtype), args.device, args.rounds)
    show(table([f"`{args.model}`", "ms", "s of audio", "RTF"], speech))
    with torch.device(args.device):
        model = TTSModel(config).to(dtype).eval().requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the codec's preset is untrained
        codec = load_codec(config.codec, args.device, dtype)
    voice = torch.stack(
        [torch.randint(n, (round(VOICE_SECONDS * codec.config.frame_rate),)) for n in config.codebook_sizes]
    )
    show(f"`{args.preset}`: {sum(p.numel() for p in model.parameters()) / 1e6:.0f} M parameters.\n")
    times = parts(model, codec.decoder_stream(), args.device, voice)
    show(table(["part, one stream", "ms"], [[name, f"{1000 * s:.2f}"] for name, s in times.items()]))
    rows, records = [], []
    for mode, n in tqdm([(m, n) for m in args.modes for n in args.streams], disable=None, leave=False):
        speaker = Speaker(model, codec.decoder_stream(n), mode, n, voice)
        first, packet = measure(speaker, args.device, args.rounds, args.frames)
        rtf = packet * codec.config.frame_rate
        rows.append([mode, str(n), f"{1000 * first:.1f}", f"{1000 * packet:.1f}", f"{rtf:.3f}", f"{n / packet:.1f}"])
        records.append({"mode": mode, "streams": n, "first_s": first, "packet_s": packet, "rtf": rtf})
    show(table(["mode", "streams", "first audio, ms", "ms a packet", "RTF", "frames/s of all"], rows))
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        name = f"tts_speed_{args.preset}_{args.device.replace(':', '')}_{args.dtype}"
        with atomic_file(args.out / f"{name}.md") as new:
            new.write_text("\n".join(lines))
        with atomic_file(args.out / f"{name}.json") as new:
            new.write_text(
                json.dumps({"environment": environment(), "speech": speech, "parts": times, "runs": records}, indent=1)
            )


if __name__ == "__main__":
    main()
