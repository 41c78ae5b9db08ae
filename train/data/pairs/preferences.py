"""`python -m train.data.pairs.preferences MODEL TOKENS --out OUT`: make preference pairs by rejection sampling.

The model speaks each text several times in the voice of another recording of its speaker. Measures rank the
candidates; two of them make a pair. A killed run resumes after its last complete shard.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

import codec
from codec.checkpoint.store import fingerprint
from codec.dataset.folder import open_folder
from codec.settings import AtLeast1, AtLeast2, NonNegativeInt, Settings
from codec.tts.checkpoint import load_tts
from codec.tts.generate import FrameLoop, GeneratedFrames, SequenceRequest, generate_frames
from codec.tts.heads.base import HeadSampling
from codec.tts.sampling import Sampling
from eval.command import command, reports_errors
from eval.metrics.asr import plain
from eval.metrics.base import SynthesisPair
from eval.progress import progress
from train.data.pairs.dataset import COMMAND, Pair, PairLine, arrange_generated, write_pairs
from train.data.pairs.ranking import WEIGHTS, choose, make_measures
from train.data.tokens.alignment import text_as_read
from train.data.tokens.sequences import SpeechDataConfig, SpeechDataset
from train.data.tokens.shards import TokenSet, has_shard, read_lines


@dataclass(frozen=True)
class PreferenceConfig(Settings):
    """Settings of the pairs; all but `codec`, `device` and `n_slots` determine the contents of the shards."""

    n_candidates: AtLeast2 = 4  # candidates per text
    n_texts: NonNegativeInt = 0  # largest number of texts, drawn at random; 0: all
    reference_s: tuple[float, float] = (3.0, 6.0)  # seconds of the voice, cut to those in training
    temperature: float = Sampling.temperature  # this and the next two: of sampling
    acoustic_temperature: float = HeadSampling.temperature
    cfg_scale: float = HeadSampling.cfg_scale
    weights: dict[str, float] = field(default_factory=dict)  # of the measures' ranks, in place of those in `WEIGHTS`
    asr: str = "pocketsphinx"
    speaker: str = "resemblyzer"
    seed: NonNegativeInt = 0
    shard_texts: AtLeast1 = 64
    codec: str = ""  # new place of the codec of the tokens, if it has moved
    device: str = "cpu"
    n_slots: AtLeast1 = 16  # candidates at a time

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sampling(0, 1)  # checks the temperatures

    def sampling(self, seed: int, n_frames: int) -> Sampling:
        """Sampling of a candidate; `n_frames` is the length of the recording with its text."""
        head = HeadSampling(cfg_scale=self.cfg_scale, temperature=self.acoustic_temperature)
        return Sampling(self.temperature, seed=seed, max_frames=2 * n_frames + 25, head=head)


def write_preferences(model: str | Path, tokens: str | Path, out: Path, config: PreferenceConfig) -> tuple[int, int]:
    """Make the pairs that `out` lacks of the texts of a token folder.

    Texts without words are skipped. Returns the numbers of pairs and of texts.

    Raises:
        ValueError: unusable tokens, codec or settings, or `out` was made from others.
        CheckpointError: the model is unreadable.
    """
    maker = PairMaker(model, tokens, config)
    shards = [maker.targets[i:][: config.shard_texts] for i in range(0, len(maker.targets), config.shard_texts)]
    open_folder(out, maker.index() | {"n_shards": len(shards)}, ".safetensors", COMMAND)
    left = [number for number in range(len(shards)) if not has_shard(out, number)]
    n_left = sum(len(shards[number]) for number in left)
    with progress(total=n_left, desc="speaking", unit="text") as bar:
        for number in left:
            pairs = list(maker.pairs(shards[number], bar))
            write_pairs(out, number, pairs, maker.tts.config.num_codebooks)
    return sum(len(read_lines(out, number, PairLine, COMMAND)) for number in range(len(shards))), len(maker.targets)


class PairMaker:
    """Speaks each text of a token folder several times and pairs the results.

    Args:
        model: the TTS checkpoint folder.
        tokens: the token folder, encoded by the model's codec.
        config: settings.

    Raises:
        ValueError: unusable tokens, codec or settings; the message says why.
        CheckpointError: the model is unreadable.
    """

    def __init__(self, model: str | Path, tokens: str | Path, config: PreferenceConfig) -> None:
        self.model, self.config = model, config
        self.tts, self.tokenizer = load_tts(model)
        recordings = TokenSet(tokens)
        self.info = recordings.info
        if self.info.codebook_sizes != self.tts.config.codebook_sizes:
            raise ValueError(
                f"{tokens}: tokens of codebooks {self.info.codebook_sizes}, {model} speaks "
                f"{self.tts.config.codebook_sizes}; give tokens of the model's codec"
            )
        if self.tts.config.codec_fingerprint not in ("", self.info.fingerprint):
            raise ValueError(
                f"{tokens}: tokens of codec {self.info.fingerprint}, {model} speaks through "
                f"{self.tts.config.codec_fingerprint}; give tokens of the model's codec"
            )
        self.codec = codec.load(config.codec or self.info.codec, config.device)
        if self.codec.fingerprint != self.info.fingerprint:
            raise ValueError(
                f"codec {config.codec or self.info.codec}: its fingerprint is {self.codec.fingerprint}, {tokens} was "
                f"made by {self.info.fingerprint}; give that codec"
            )
        data = SpeechDataConfig(str(tokens), reference_s=config.reference_s)
        speaks = self.tts.config
        self.speech = SpeechDataset(recordings, self.tokenizer, speaks.sequence, data, config.seed, speaks.phonemes)
        lines = recordings.lines
        targets = [i for i in self.speech.targets if lines[i].speed == 1 and plain(lines[i].text or "")]
        if not targets:
            raise ValueError(f"{tokens}: no text with words at speed 1; write it again with 1 among its speeds")
        order = np.random.default_rng(config.seed).permutation(targets)
        self.targets: list[int] = order[: config.n_texts or None].tolist()
        self.measures = make_measures(config.weights, config.asr, config.speaker)
        self.fingerprint = fingerprint(self.tts.config, self.tts.state_dict())
        self.tts.to(config.device)

    def index(self) -> dict[str, Any]:
        """Contents of `index.json`: everything that determines the pairs."""
        c, digest = self.config, hashlib.sha256()
        for target in self.targets:
            line = self.speech.tokens.lines[target]
            digest.update(json.dumps([line.id, line.n_frames, line.text, line.speaker, line.language]).encode())
        return asdict(self.info) | {
            "model": str(self.model),
            "model_fingerprint": self.fingerprint,
            "source_digest": digest.hexdigest()[:16],
            "measures": {name: [m.metric.version, m.weight] for name, m in self.measures.items()},
            "n_candidates": c.n_candidates,
            "reference_s": c.reference_s,
            "temperature": c.temperature,
            "acoustic_temperature": c.acoustic_temperature,
            "cfg_scale": c.cfg_scale,
            "seed": c.seed,
            "shard_texts": c.shard_texts,
        }

    def pairs(self, targets: Sequence[int], bar: tqdm) -> Iterator[Pair]:
        """Make the pairs of the texts whose candidates differ."""
        loop = FrameLoop(self.tts, self.tokenizer.special, self.config.n_slots)
        candidates = generate_frames(loop, self._requests(loop, targets))
        n = self.config.n_candidates
        for i, target in enumerate(targets):
            if (pair := self._pair(target, candidates[n * i :][:n])) is not None:
                yield pair
            bar.update()

    def _voice(self, target: int) -> Tensor:
        """Codes `[K, R]` of the voice for a text, as many as the model reads; the same in each call."""
        return self.tts.trim_voice(self.speech.reference(target, np.random.default_rng((self.config.seed, target))))

    def _decode(self, codes: Tensor) -> Tensor:
        """Decode codes `[K, T]` to a waveform `[L]`."""
        return self.codec.decode(codes.long()[None])[0]

    def _requests(self, loop: FrameLoop, targets: Sequence[int]) -> Iterator[SequenceRequest]:
        """Requests for the candidates of each text, generated lazily as prefixes are large."""
        for target in targets:
            line = self.speech.tokens.lines[target]
            prefix, ids = loop.prefill(self._voice(target).long()), self.tokenizer.encode(self.speech.text(target))
            for seed in np.random.SeedSequence((self.config.seed, target)).generate_state(self.config.n_candidates):
                yield SequenceRequest(prefix, ids, self.config.sampling(int(seed), line.n_frames))

    def _pair(self, target: int, candidates: list[GeneratedFrames]) -> Pair | None:
        line, voice, text = self.speech.tokens.lines[target], self._voice(target), self.speech.text(target)
        about = self.tts.config.sequence, self.tokenizer, voice, text
        whole = [c for c in candidates if arrange_generated(*about, c.codes, c.ended, c.moves) is not None]
        reference, *outputs = (self._decode(codes) for codes in (voice, *(c.codes for c in whole)))
        rate = self.codec.config.sample_rate
        words = text_as_read(line, phonemes=False)  # recognisers write words
        scored = [SynthesisPair(reference, output, rate, words, line.language or "") for output in outputs]
        scores = [{name: measure.score(pair) for name, measure in self.measures.items()} for pair in scored]
        chosen = choose(self.measures, scores, [c.ended for c in whole])
        if chosen is None:
            return None
        w, l = chosen
        parts = [codes.to(torch.int16) for codes in (voice, whole[w].codes, whole[l].codes)]
        sizes = [part.shape[1] for part in parts]
        judged = whole[l].ended, scores[w], scores[l], whole[w].moves, whole[l].moves
        return Pair(PairLine(line.id, text, line.language, sizes, *judged), *parts)


@reports_errors
def main() -> int:
    d = PreferenceConfig()
    shared = {"out": "folder of the pairs", "device": "device of model and codec"}
    parser = command("train.data.pairs.preferences", __doc__, **shared, seed="seed of texts, voices and candidates")
    parser.add_argument("model", help="TTS checkpoint folder")
    parser.add_argument("tokens", help="folder of python -m train.data.tokens.tokenize, with the texts to speak")
    parser.add_argument("--n-candidates", type=int, default=d.n_candidates, help="candidates per text")
    parser.add_argument("--n-texts", type=int, default=d.n_texts, help="number of texts, drawn at random; 0: all")
    parser.add_argument(
        "--reference-s", type=float, nargs=2, default=d.reference_s, help="least and most seconds of voice"
    )
    parser.add_argument("--temperature", type=float, default=d.temperature, help="temperature of semantic tokens")
    parser.add_argument(
        "--acoustic-temperature", type=float, default=d.acoustic_temperature, help="that of acoustic codes"
    )
    parser.add_argument("--cfg-scale", type=float, default=d.cfg_scale, help="guidance of the flow head")
    weights = " ".join(f"{name}={weight:g}" for name, weight in WEIGHTS.items())
    parser.add_argument("--weights", type=_weight, nargs="+", default=[], help=f"of measures, 0: none; {weights}")
    recognisers = "recogniser: pocketsphinx, whisper=FOLDER_OR_HUB_ID, faster-whisper=FOLDER_OR_NAME or ctc=FOLDER"
    parser.add_argument("--asr", default=d.asr, help=recognisers)
    parser.add_argument("--speaker", default=d.speaker, help="speaker encoder: resemblyzer or ecapa=FOLDER")
    parser.add_argument("--shard-texts", type=int, default=d.shard_texts, help="texts per shard")
    parser.add_argument("--codec", default=d.codec, help="new place of the tokens' codec, if it has moved")
    parser.add_argument("--n-slots", type=int, default=d.n_slots, help="candidates at a time")
    args = vars(parser.parse_args())
    model, tokens, out = args.pop("model"), args.pop("tokens"), args.pop("out")
    args |= {"weights": dict(args["weights"]), "reference_s": tuple(args["reference_s"])}
    n_pairs, n_texts = write_preferences(model, tokens, out, PreferenceConfig(**args))
    print(f"{n_pairs} pairs of {n_texts} texts in {out}")
    return 0 if n_pairs else 1


def _weight(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    return name, float(number)


if __name__ == "__main__":
    sys.exit(main())
