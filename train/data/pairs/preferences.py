"""`python -m train.data.pairs.preferences MODEL TOKENS --out OUT`: preference pairs by rejection sampling.

A model speaks each text several times, in the voice of another recording of its speaker. Measures rank the
candidates, and two of them make a pair. A killed run goes on after its last whole shard when it is started again.
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
from codec.tts.checkpoint import load_tts
from codec.tts.generate import Candidate, FrameLoop, Request, speak
from codec.tts.heads.base import HeadSampling
from codec.tts.sampling import Sampling
from codec.tts.text.phonemes import as_read
from eval.command import command, tells_mistakes
from eval.metrics.asr import plain
from eval.metrics.base import SynthesisPair
from eval.progress import progress
from train.data.pairs.dataset import COMMAND, Pair, PairLine, arrange_spoken, read_lines, write_pairs
from train.data.pairs.ranking import WEIGHTS, choose, make_measures
from train.data.tokens.sequences import SpeechDataConfig, SpeechDataset
from train.data.tokens.shards import TokenSet, has_shard, open_folder


@dataclass(frozen=True)
class PreferenceConfig:
    """How pairs are made; all but `codec`, `device` and `n_slots` decides what is in the shards."""

    n_candidates: int = 4  # speeches of a text
    n_texts: int = 0  # at most, drawn at random; 0: all
    reference_s: tuple[float, float] = (3.0, 6.0)  # seconds of the voice; no more of it is read than in training
    temperature: float = Sampling.temperature  # this and the next two: what the model speaks with
    acoustic_temperature: float = HeadSampling.temperature
    cfg_scale: float = HeadSampling.cfg_scale
    weights: dict[str, float] = field(default_factory=dict)  # of the measures' ranks, where not as in `WEIGHTS`
    asr: str = "pocketsphinx"
    speaker: str = "resemblyzer"
    seed: int = 0
    shard_texts: int = 64
    codec: str = ""  # the one that the tokens were made with, if it is elsewhere now
    device: str = "cpu"
    n_slots: int = 16  # speeches at a time

    def __post_init__(self) -> None:
        for name, low in (("n_candidates", 2), ("n_texts", 0), ("seed", 0), ("shard_texts", 1), ("n_slots", 1)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} = {getattr(self, name)}: expected at least {low}")
        self.sampling(0, 1)  # which checks the temperatures

    def sampling(self, seed: int, n_frames: int) -> Sampling:
        """Settings of a candidate whose text was recorded in `n_frames` frames."""
        head = HeadSampling(cfg_scale=self.cfg_scale, temperature=self.acoustic_temperature)
        return Sampling(self.temperature, seed=seed, max_frames=2 * n_frames + 25, head=head)


def write_preferences(model: str | Path, tokens: str | Path, out: Path, config: PreferenceConfig) -> tuple[int, int]:
    """Make pairs of the texts of a token folder in `out`, or what `out` still lacks of them.

    Texts without words are not spoken. Returns the numbers of pairs and of texts.

    Raises:
        ValueError: unusable tokens, codec or settings, or `out` was made from others.
        CheckpointError: the model cannot be read.
    """
    maker = PairMaker(model, tokens, config)
    shards = [maker.targets[i:][: config.shard_texts] for i in range(0, len(maker.targets), config.shard_texts)]
    open_folder(out, maker.index() | {"n_shards": len(shards)}, COMMAND)
    left = [number for number in range(len(shards)) if not has_shard(out, number)]
    n_left = sum(len(shards[number]) for number in left)
    with progress(total=n_left, desc="speaking", unit="text") as bar:
        for number in left:
            pairs = list(maker.pairs(shards[number], bar))
            write_pairs(out, number, pairs, maker.tts.config.num_codebooks)
    return sum(len(read_lines(out, number)) for number in range(len(shards))), len(maker.targets)


class PairMaker:
    """Speaks texts of a token folder several times each, and pairs what it said.

    Args:
        model: the TTS checkpoint folder.
        tokens: the token folder, made with the model's codec.
        config: how.

    Raises:
        ValueError: tokens, codec or settings cannot be used; the message says why.
        CheckpointError: the model cannot be read.
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
            raise ValueError(f"{tokens}: no text with words at speed 1; write it anew with 1 among its speeds")
        order = np.random.default_rng(config.seed).permutation(targets)
        self.targets: list[int] = order[: config.n_texts or None].tolist()
        self.measures = make_measures(config.weights, config.asr, config.speaker)
        self.fingerprint = fingerprint(self.tts.config, self.tts.state_dict())
        self.tts.to(config.device)

    def index(self) -> dict[str, Any]:
        """All that the pairs depend on, for `index.json`."""
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
        """The pairs of those texts whose candidates differ."""
        loop = FrameLoop(self.tts, self.tokenizer.special, self.config.n_slots)
        spoken = speak(loop, self._requests(loop, targets))
        n = self.config.n_candidates
        for i, target in enumerate(targets):
            if (pair := self._pair(target, spoken[n * i :][:n])) is not None:
                yield pair
            bar.update()

    def _voice(self, target: int) -> Tensor:
        """Codes `[K, R]` of the voice for a text, as much as the model reads: the same whenever asked for."""
        return self.tts.heard(self.speech.reference(target, np.random.default_rng((self.config.seed, target))))

    def _decode(self, codes: Tensor) -> Tensor:
        """Codes `[K, T]` as a waveform `[L]`."""
        return self.codec.decode(codes.long()[None])[0]

    def _requests(self, loop: FrameLoop, targets: Sequence[int]) -> Iterator[Request]:
        """The candidates of each text, made as they are asked for: prefixes are large."""
        for target in targets:
            line = self.speech.tokens.lines[target]
            prefix, ids = loop.prefix(self._voice(target).long()), self.tokenizer.encode(self.speech.text(target))
            for seed in np.random.SeedSequence((self.config.seed, target)).generate_state(self.config.n_candidates):
                yield Request(prefix, ids, self.config.sampling(int(seed), line.n_frames))

    def _pair(self, target: int, candidates: list[Candidate]) -> Pair | None:
        line, voice, text = self.speech.tokens.lines[target], self._voice(target), self.speech.text(target)
        about = self.tts.config.sequence, self.tokenizer, voice, text
        whole = [c for c in candidates if arrange_spoken(*about, c.codes, c.ended, c.moves) is not None]
        reference, *outputs = (self._decode(codes) for codes in (voice, *(c.codes for c in whole)))
        rate = self.codec.config.sample_rate
        words = as_read(line.text or "", line.language or "en", phonemes=False)  # recognisers hear no phonemes
        speeches = [SynthesisPair(reference, output, rate, words, line.language or "") for output in outputs]
        scores = [{name: measure.score(speech) for name, measure in self.measures.items()} for speech in speeches]
        chosen = choose(self.measures, scores, [c.ended for c in whole])
        if chosen is None:
            return None
        w, l = chosen
        parts = [codes.to(torch.int16) for codes in (voice, whole[w].codes, whole[l].codes)]
        sizes = [part.shape[1] for part in parts]
        judged = whole[l].ended, scores[w], scores[l], whole[w].moves, whole[l].moves
        return Pair(PairLine(line.id, text, line.language, sizes, *judged), *parts)


@tells_mistakes
def main() -> int:
    d = PreferenceConfig()
    told = {"out": "folder for the pairs", "device": "where model and codec run"}
    parser = command("train.data.pairs.preferences", __doc__, **told, seed="of texts, voices and candidates")
    parser.add_argument("model", help="TTS checkpoint folder")
    parser.add_argument("tokens", help="folder of python -m train.data.tokens.tokenize, whose texts are spoken")
    parser.add_argument("--n-candidates", type=int, default=d.n_candidates, help="speeches of each text")
    parser.add_argument("--n-texts", type=int, default=d.n_texts, help="texts at most, drawn at random; 0: all")
    parser.add_argument("--reference-s", type=float, nargs=2, default=d.reference_s, help="seconds of the voice")
    parser.add_argument("--temperature", type=float, default=d.temperature, help="of semantic tokens")
    parser.add_argument("--acoustic-temperature", type=float, default=d.acoustic_temperature, help="of acoustic codes")
    parser.add_argument("--cfg-scale", type=float, default=d.cfg_scale, help="of the flow head")
    weights = " ".join(f"{name}={weight:g}" for name, weight in WEIGHTS.items())
    parser.add_argument("--weights", type=_weight, nargs="+", default=[], help=f"of ranks, 0: leave out; {weights}")
    kinds = "pocketsphinx, whisper=FOLDER_OR_HUB_ID, faster-whisper=FOLDER_OR_NAME or ctc=FOLDER"
    parser.add_argument("--asr", default=d.asr, help=kinds)
    parser.add_argument("--speaker", default=d.speaker, help="resemblyzer or ecapa=FOLDER")
    parser.add_argument("--shard-texts", type=int, default=d.shard_texts, help="texts to a shard")
    parser.add_argument("--codec", default=d.codec, help="the tokens' codec, if it is elsewhere now")
    parser.add_argument("--n-slots", type=int, default=d.n_slots, help="speeches at a time")
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
