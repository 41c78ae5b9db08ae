"""The designs side by side on text that arrives word by word: what a listener waits for, and what long text does.

    python benchmarks/text_streaming.py runs/{prefix,interleaved,dual,aligned}/best \\
        --voice reference.flac --asr asr:faster-whisper=whisper-base
    python benchmarks/text_streaming.py --random small      # no checkpoints: latency alone, which needs none

Words come at an even pace, as from a language model. First audio is counted from the first word: the words that the
design waits for, and the computation of a packet. CER is against the text, of sentences one by one and of all of them
as one long text; cut is the share of sentences that did not end by themselves.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

import codec.tts
from codec.tts.config import DESIGNS, PRESETS, SequenceConfig
from codec.tts.model import TTSModel
from codec.tts.speech import TTS
from codec.tts.text.tokenizer import BPETokenizer
from eval.metrics.base import SynthesisPair
from eval.metrics.registry import make_metric
from eval.tables import table

SENTENCES = (  # CMU Arctic, public domain
    "At this moment I felt a stir at my shoulder.",
    "We had been chased by them ourselves, more than once.",
    "He turned sharply, and faced Gregson across the table.",
    "The girl faced him, her eyes shining with sudden fear.",
    "There was a change now, and he knew it.",
    "It was a curious coincidence, and nothing more than that.",
    "Gad, your letter came just in time.",
    "Will we ever forget it, the long night by the river?",
)


class Typist:
    """Words of a text, and how many of them were asked for."""

    def __init__(self, text: str) -> None:
        self.words, self.n_read = text.split(), 0

    def __iter__(self) -> Iterator[str]:
        for word in self.words:
            self.n_read += 1
            yield word + " "


def first_audio(tts: TTS, voice: codec.tts.Voice, text: str, pace: float) -> tuple[int, float, float]:
    """Words read before the first packet, seconds of computation, seconds since the first word arrived."""
    typist = Typist(text)
    packets = tts.stream(typist, voice, codec.tts.Sampling(min_frames=10))
    start = time.perf_counter()
    next(packets)
    compute = time.perf_counter() - start
    return typist.n_read, compute, (typist.n_read - 1) / pace + compute


def speak(tts: TTS, voice: codec.tts.Voice, text: str) -> tuple[Tensor, bool]:
    """The waveform of a text that arrives word by word, and whether a part of it was cut."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        waveform = torch.cat([torch.zeros(1), *tts.stream(Typist(text), voice)])
    return waveform, any("did not end" in str(warning.message) for warning in caught)


def random_models(preset: str) -> dict[str, TTS]:
    """A model with random weights of each design."""
    models = {}
    for design in DESIGNS:
        config = replace(PRESETS[preset], sequence=SequenceConfig(design))  # type: ignore[arg-type]
        torch.manual_seed(0)
        tokenizer = BPETokenizer.train(SENTENCES, config.vocab_size)
        network = TTSModel(config).requires_grad_(False)
        models[design] = TTS(network, tokenizer, codec.load(config.codec))
    return models


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="checkpoint folders")
    parser.add_argument("--random", choices=PRESETS, help="random weights of this preset in place of checkpoints")
    parser.add_argument("--voice", type=Path, help="a recording of the speaker; noise by default")
    parser.add_argument("--pace", type=float, default=5.0, help="words a second that arrive")
    parser.add_argument("--asr", help="metric that reads the speech, such as asr or asr:whisper=FOLDER")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if bool(args.models) == bool(args.random):
        parser.error("give checkpoint folders, or --random PRESET")

    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    warnings.simplefilter("ignore")  # that speech was cut is counted; that weights are random was asked for
    models = random_models(args.random) if args.random else {name: codec.tts.load(name) for name in args.models}
    asr = make_metric(args.asr) if args.asr else None
    long_text = " ".join(SENTENCES)
    rows = []
    for name, tts in models.items():
        source = args.voice or 0.1 * torch.randn(5 * tts.sample_rate)
        voice = tts.voice(source, consent="a benchmark", sample_rate=tts.sample_rate)
        first_audio(tts, voice, SENTENCES[0], args.pace)  # the first call pays for what later ones find ready
        waits = [first_audio(tts, voice, sentence, args.pace) for sentence in SENTENCES]
        words, compute, total = (statistics.median(values) for values in zip(*waits, strict=True))
        row = [name, tts.model.config.sequence.design, f"{words:g}", f"{1000 * compute:.0f}", f"{1000 * total:.0f}"]
        if not args.random:
            spoken = [speak(tts, voice, sentence) for sentence in SENTENCES]
            whole, _ = speak(tts, voice, long_text)
            row.append(f"{statistics.mean(cut for _, cut in spoken):.2f}")
            if asr is not None:
                pairs = [
                    SynthesisPair(w, w, tts.sample_rate, text, "en")
                    for (w, _), text in zip(spoken, SENTENCES, strict=True)
                ]
                errors = [asr.measure(pair)[1] for pair in pairs]
                row.append(f"{statistics.mean(errors):.2f}")
                row.append(f"{asr.measure(SynthesisPair(whole, whole, tts.sample_rate, long_text, 'en'))[1]:.2f}")
        rows.append(row)
    header = ["model", "design", "words waited for", "computation, ms", "first audio, ms", "cut", "CER", "CER, long"]
    print(f"{args.pace:g} words a second, {args.threads} threads, PyTorch {torch.__version__}.\n")
    print(table(header[: len(rows[0])], rows))


if __name__ == "__main__":
    main()
