"""Speaker similarity: the cosine of speaker embeddings of output and reference, and which voice is the nearest."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from codec.extras import MissingDependencyError, needs
from eval.digest import digest
from eval.metrics.base import Column, Metric, Pair, Waveform, at_rate
from eval.metrics.wavlm import WavLM

RATE = 16_000  # Hz, of the encoders' input
SIMILARITY = Column("speaker_sim", "SIM", True, 3)
OWN_VOICE = Column("own_voice", "own voice", True, 2)
_N_CACHED = 256  # embeddings, as many outputs are compared with the same voices
MIN_SECONDS = 1.2  # three quarters of the 1.6 s of Resemblyzer's training; with less, all embeddings are similar


class VoiceEncoder(Protocol):
    """A network that maps speech to a vector whose direction depends on the speaker alone."""

    version: str  # changes when embeddings may

    def embed(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed `[L]` at `RATE`, at least `MIN_SECONDS` and not silent, as `[D]`; ValueError where it cannot."""


def make_speaker(option: str) -> Metric:
    """Similarity of voices by the encoder that `option` names; empty is `resemblyzer`.

    Raises:
        MissingDependencyError: its package or weights are not there; the message says what to do.
        ValueError: no such encoder.
    """
    return speaker_metric(_make_encoder("speaker", option))


def make_own_voice(option: str) -> Metric:
    """Whether an output is more similar to its reference than to any other voice; option and errors as above."""
    return own_voice_metric(_make_encoder("own_voice", option))


def speaker_metric(encoder: VoiceEncoder) -> Metric:
    """Cosine of the two embeddings, at most 1; scales differ between encoders.

    `measure` raises ValueError where a waveform is silent or has less than `MIN_SECONDS` of speech.
    """
    embed = _embedding(encoder)

    def measure(pair: Pair) -> list[float]:
        reference, output = (embed(side, getattr(pair, side), pair.sample_rate) for side in ("reference", "output"))
        return [float(reference @ output)]

    return Metric((SIMILARITY,), measure, encoder.version)


def own_voice_metric(encoder: VoiceEncoder) -> Metric:
    """1 if the output's embedding is nearer to that of its reference than to all of `SynthesisPair.others`, else 0.

    `measure` raises ValueError as that of `speaker_metric`, and where there are no others.
    """
    embed = _embedding(encoder)

    def measure(pair: Pair) -> list[float]:
        others = getattr(pair, "others", ())
        if not others:
            raise ValueError("there is no other voice of its language that it could be taken for")
        output = embed("output", pair.output, pair.sample_rate)
        own = output @ embed("reference", pair.reference, pair.sample_rate)
        return [float(all(own > output @ embed("another voice", other, pair.sample_rate) for other in others))]

    return Metric((OWN_VOICE,), measure, encoder.version)


def _make_encoder(metric: str, option: str) -> VoiceEncoder:
    match option.partition("="):
        case ("" | "resemblyzer", "", _):
            return Resemblyzer()
        case ("ecapa", _, folder) if folder:
            return Ecapa(Path(folder))
        case ("wavlm", _, file) if file:
            return WavLM(Path(file))
    raise ValueError(f"{metric}:{option}: unknown; there are {metric}:resemblyzer, :ecapa=FOLDER and :wavlm=FILE")


def _embedding(encoder: VoiceEncoder) -> Callable[[str, Waveform, int], NDArray[np.float32]]:
    """Return a function of name, waveform `[L]` and its rate, to an embedding `[D]` of length 1."""

    @lru_cache(_N_CACHED)
    def embed_bytes(speech: bytes) -> NDArray[np.float32]:
        embedding = encoder.embed(np.frombuffer(bytearray(speech), np.float32))
        return embedding / np.linalg.norm(embedding)

    def embed(side: str, waveform: Waveform, sample_rate: int) -> NDArray[np.float32]:
        speech = at_rate(waveform, sample_rate, RATE, side)
        try:
            _check_length(speech)
            return embed_bytes(speech.tobytes())
        except ValueError as error:
            raise ValueError(f"{side}: {error}") from error

    return embed


def _check_length(speech: NDArray[np.float32]) -> None:
    if (seconds := len(speech) / RATE) < MIN_SECONDS:
        raise ValueError(f"{seconds:.2f} s of speech; it takes {MIN_SECONDS} s to know a voice")


class Resemblyzer:
    """Resemblyzer's GE2E encoder (Wan et al. 2018), whose package has its weights.

    As in the package, levels are raised to -30 dBFS, silences removed and embeddings of 1.6 s windows averaged.

    Raises:
        MissingDependencyError: it is not installed.
    """

    def __init__(self) -> None:
        try:
            import resemblyzer
        except ImportError as error:
            raise MissingDependencyError(
                "speaker:resemblyzer needs Resemblyzer: pip install librosa, then pip install --no-deps resemblyzer "
                "webrtcvad-wheels (of its own dependencies one needs a C compiler, one is for Python 3.4)"
            ) from error
        self.preprocess = resemblyzer.preprocess_wav
        # It passes a pickle to torch.load: the package's own file, as trusted as the package's code.
        self.encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)
        self.version = f"resemblyzer {version('resemblyzer')}"

    def embed(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        speech = self.preprocess(waveform)
        _check_length(speech)
        return self.encoder.embed_utterance(speech)


class Ecapa:
    """SpeechBrain's ECAPA-TDNN of `speechbrain/spkrec-ecapa-voxceleb`, as its speaker verification uses it.

    Args:
        folder: has embedding_model.ckpt. The folder's hyperparams.yaml is not read, as it can run any code.

    Raises:
        MissingDependencyError: SpeechBrain is not installed, or the weights are not there.
        ValueError: the file holds something else.
    """

    def __init__(self, folder: Path) -> None:
        with needs("speechbrain", "speaker:ecapa"):
            from speechbrain.lobes.features import Fbank
            from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
        path = folder / "embedding_model.ckpt"
        if not path.is_file():
            raise MissingDependencyError(
                f"speaker:ecapa={folder}: no {path.name} there: "
                f"hf download speechbrain/spkrec-ecapa-voxceleb --local-dir {folder}"
            )
        self.features = Fbank(sample_rate=RATE, n_mels=80)
        self.network = ECAPA_TDNN(80, channels=[1024, 1024, 1024, 1024, 3072]).eval()
        try:
            # Published as a pickle only; weights_only reads tensors from it and runs nothing.
            self.network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:  # of many kinds, as pickles break in many ways
            raise ValueError(f"{path}: no weights of speechbrain/spkrec-ecapa-voxceleb; download it again") from error
        self.version = f"speechbrain {version('speechbrain')}, {digest(path)}"

    @torch.inference_mode()
    def embed(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        features = self.features(torch.from_numpy(waveform)[None])
        return self.network(features - features.mean(1, keepdim=True))[0, 0].numpy()
