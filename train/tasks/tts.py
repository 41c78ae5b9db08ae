"""Training of TTS: cross-entropy of semantic tokens and the loss of the acoustic head (section 3.1)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import codec
from codec.checkpoint.store import CheckpointError
from codec.tts.checkpoint import load_tts, resolve_tts, save_tts
from codec.tts.config import TTSConfig
from codec.tts.generate import FrameLoop, SequenceRequest, generate_frames
from codec.tts.heads.flow import FlowHead
from codec.tts.model import TTSLosses, TTSModel
from codec.tts.pretrained import HF, read_backbone, read_tokenizer
from codec.tts.sampling import Sampling
from codec.tts.text.tokenizer import BPETokenizer, TextTokenizer
from train.data.loader import check_shares, make_loader
from train.data.sources import mix, paths
from train.data.tokens.sequences import SpeechBatch, SpeechDataConfig, SpeechDataset, texts_as_read
from train.data.tokens.shards import TokenSet
from train.dist import blocks, gather_batch, rank_and_size
from train.losses.config import TTSLossConfig
from train.settings.run import TTSRun
from train.tasks.base import Validation

VALID_ROWS = 8  # packed rows for validation losses
VALID_AUDIO = 4  # sentences to listen to
VALID_SEED = 1
SCALE_CLIPS = 50  # recordings to measure the scale of acoustic values on


class TTSTask:
    """A TTS model.

    Args:
        config: the architecture; vocabulary and codec are taken from tokenizer and data.
        data: training and validation data.
        loss: weights of the losses.
        seed: of the data and of fresh weights.
        init: initial weights: `random`, a TTS checkpoint for `codec.tts.load`, or `hf:NAME` for backbone, text
            embeddings and shape of a language model. The tokenizer is kept, unless `config` reads another kind of
            text than the TTS checkpoint: then a new one is trained, with new text embeddings.
        n_valid: sentences to speak in validation.

    Raises:
        ValueError: unusable data or settings; the message names them.
        CheckpointError: unreadable weights, or those of another architecture.
    """

    main = "tts"

    def __init__(
        self,
        config: TTSConfig,
        data: SpeechDataConfig,
        loss: TTSLossConfig,
        seed: int,
        init: str = "random",
        n_valid: int = VALID_AUDIO,
    ) -> None:
        self.data, self.loss, self.n_valid = data, loss, n_valid
        check_shares(data.batch_size, rank_and_size()[1])
        token_sets = {path: TokenSet(path) for path in paths(data.train)}
        valid = TokenSet(data.valid) if data.valid else None
        tokens, *others = [*token_sets.values(), *([valid] if valid else [])]
        if mixed := [other for other in others if other.info.fingerprint != tokens.info.fingerprint]:
            raise ValueError(
                f"data: {tokens.folder} and {mixed[0].folder} were made by different codecs; encode both with one"
            )
        torch.manual_seed(seed)
        self.tokenizer: TextTokenizer
        start = None
        if init.startswith(HF):
            pretrained = read_backbone(init.removeprefix(HF))
            self.tokenizer = read_tokenizer(init.removeprefix(HF))
            config = pretrained.adapt_config(config)
        else:
            start = None if init == "random" else load_tts(resolve_tts(init))
            if start and _text_settings(start[0].config) == _text_settings(config):
                self.tokenizer = start[1]
            else:
                read = (texts_as_read(tokens, config.sequence, config.phonemes) for tokens in token_sets.values())
                self.tokenizer = BPETokenizer.train(filter(None, chain.from_iterable(read)), config.vocab_size)
        self.config = config = replace(
            config,
            vocab_size=self.tokenizer.vocab_size,
            codec=tokens.info.codec,
            codec_fingerprint=tokens.info.fingerprint,
            max_voice_frames=round(data.reference_s[1] * tokens.info.frame_rate),
        )
        self.model = TTSModel(config)
        self.best_metrics = ["score", *(["explained"] if isinstance(self.model.acoustic_head, FlowHead) else [])]
        if init.startswith(HF):
            pretrained.copy_to(self.model, self.tokenizer.special)
        elif start:
            _copy_weights(self.model, start[0], init)
        self.model.text_embedding.requires_grad_(not loss.freeze_text)
        for block in blocks(self.model):
            block.dropout = loss.dropout
        if tokens.info.codebook_sizes != config.codebook_sizes:
            raise ValueError(
                f"{tokens.folder}: tokens of codebooks {tokens.info.codebook_sizes}; the model is for "
                f"{config.codebook_sizes}: change model.semantic_codebook_size, acoustic_dim or acoustic_levels"
            )
        if self.model.acoustic_head.needs_levels and not all(tokens.info.ordinal[1:]):
            raise ValueError(
                f"model.head = {config.head!r}: needs ordered levels, and the acoustic codes of {tokens.folder} are "
                "entries; give depth or maskgit"
            )
        _check_scale(self.model, tokens)

        def dataset(tokens: TokenSet, seed: int) -> SpeechDataset:
            return SpeechDataset(tokens, self.tokenizer, config.sequence, data, seed, config.phonemes)

        self.dataset = mix(data.train, seed, lambda path, seed: dataset(token_sets[path], seed))
        self.valid = dataset(valid, VALID_SEED) if valid else None
        self.codec = _load_codec(tokens) if valid and n_valid else None
        self.networks: dict[str, nn.Module] = {"tts": self.model}
        self.parallel: dict[str, Any] = dict(self.networks)

    @classmethod
    def from_run(cls, run: TTSRun) -> TTSTask:
        """Make the task of a run."""
        return cls(run.model, run.data, run.loss, run.seed, run.init, run.trainer.n_valid)

    def batches(self, start: int, rank: int, world_size: int) -> Iterator[SpeechBatch]:
        return make_loader(self.dataset, self.data.batch_size, start, rank, world_size, self.data.num_workers)

    def backward(self, batch: SpeechBatch, step: int, scale: float, generator: torch.Generator) -> dict[str, Tensor]:
        parts = self._means(self.parallel["tts"](batch, generator), batch)
        total = self._total(parts)
        (scale * total).backward()
        metrics = {f"loss/{name}": value.detach() for name, value in (parts | {"total": total}).items()}
        return metrics | {"data/frames": torch.tensor(float(len(batch.target_positions)))}

    def after_step(self, step: int, generator: torch.Generator) -> dict[str, float]:
        return {}

    def skip_step(self) -> None:
        pass

    def _means(self, losses: TTSLosses, batch: SpeechBatch) -> dict[str, Tensor]:
        """Weighted means over the frames of all processes, once these are averaged: they may have different numbers."""
        total = gather_batch(batch.weights.sum()[None]).mean().clamp(min=1)
        parts = {"semantic": losses.semantic, "acoustic": losses.acoustic}
        if self.model.move_head is not None:
            parts["move"] = losses.move
        return {name: (value * batch.weights).sum() / total for name, value in parts.items()}

    def _total(self, parts: dict[str, Any]) -> Any:
        """Weighted sum of mean losses, tensors or numbers."""
        return sum(getattr(self.loss, name) * value for name, value in parts.items())

    @torch.compiler.set_stance("force_eager")
    @torch.no_grad()
    def validate(self) -> Validation:
        """Measure losses, with the same rows and random numbers each time, and speak sentences of the validation set.

        `explained` is the share of the variance of acoustic values that the head's condition predicts: most of a flow
        loss is unpredictable noise, so the loss alone does not show whether the condition is used.
        """
        if self.valid is None:
            return Validation({})
        sums: dict[str, list[float]] = {}
        head, acoustic, expected = self.model.acoustic_head, [], []
        for i in range(VALID_ROWS):
            batch = self.valid.collate([self.valid[i]]).to(self.model.device)
            generator = torch.Generator(self.model.device).manual_seed(i)
            losses = self.model(batch, generator)
            if isinstance(head, FlowHead):
                path = head.draw_path(batch.codes[batch.is_frame], generator)
                acoustic.append(path.x1)
                expected.append(head.expected(losses.condition[batch.is_frame], path.x0))
            for name, value in self._means(losses, batch).items():
                sums.setdefault(name, []).append(float(value))
        metrics = {name: float(np.mean(values)) for name, values in sums.items()}
        metrics["score"] = -self._total(metrics)
        if acoustic:
            metrics["explained"] = _explained_variance(torch.cat(acoustic), torch.cat(expected))
        audio, pictures = self._speak()
        return Validation(metrics, audio, pictures, self.codec.config.sample_rate if self.codec else 24_000)

    def _speak(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Speak texts of the validation set, each in the voice of another clip of its speaker."""
        audio: dict[str, Tensor] = {}
        pictures: dict[str, Any] = {}
        if self.codec is None:
            return audio, pictures
        from eval.pictures import spectrogram_pair  # matplotlib is slow to load

        assert self.valid is not None
        tokens, requests, utterances = self.valid.tokens, [], []
        loop = FrameLoop(self.model, self.tokenizer.special, self.n_valid)
        for i in np.linspace(0, len(self.valid.targets) - 1, self.n_valid).round().astype(int):
            target = self.valid.targets[i]
            utterance = tokens[target]
            other = next(o for o in self.valid.by_speaker[utterance.speaker or ""] if o != target)
            limit = Sampling(max_frames=2 * utterance.codes.shape[1] + 25)
            prefix = loop.prefill(tokens[other].codes.long())
            requests.append(SequenceRequest(prefix, self.tokenizer.encode(self.valid.text(target)), limit))
            utterances.append(utterance)
        for number, (utterance, result) in enumerate(zip(utterances, generate_frames(loop, requests), strict=True)):
            name = f"{number:02d}_{Path(utterance.id).stem}"  # ids may be paths
            original, spoken = (self.codec.decode(c.long()[None])[0] for c in (utterance.codes, result.codes))
            audio |= {f"{name}_original": original, f"{name}_spoken": spoken}
            pictures[name] = spectrogram_pair(original, spoken, self.codec.config.sample_rate)
        return audio, pictures

    def export(self, folder: Path, state: dict[str, Tensor]) -> None:
        save_tts(folder, self.config, state, self.tokenizer)

    def compile(self) -> None:
        for block in blocks(self.model.backbone):
            block.compile(dynamic=False)
        for block in blocks(self.model.acoustic_head):  # of any number of frames
            block.compile(dynamic=True)


def _load_codec(tokens: TokenSet) -> codec.Tokenizer:
    """The codec that made the tokens.

    Raises:
        ValueError: there is another one in its place.
        CheckpointError: it is unreadable.
    """
    tokenizer, made_by = codec.load(tokens.info.codec), tokens.info.fingerprint
    if made_by not in ("", tokenizer.fingerprint):
        raise ValueError(
            f"{tokens.folder}: made by codec {made_by}, {tokens.info.codec} is {tokenizer.fingerprint} now; encode the "
            "recordings again, or validate without speech: trainer.validate_clips=0"
        )
    return tokenizer


def _text_settings(config: TTSConfig) -> tuple[bool, int, bool]:
    """Settings that text embeddings depend on."""
    return config.phonemes, config.sequence.text_width, config.sequence.design == "aligned"


def _explained_variance(values: Tensor, expected: Tensor) -> float:
    """Share of the variance of values `[N, D]` that expected ones explain."""
    return float(1 - (values - expected).square().sum() / (values - values.mean(0)).square().sum())


def _check_scale(model: TTSModel, tokens: TokenSet) -> None:
    """Warn if acoustic values are much smaller or larger than the flow head's noise, see `FlowHead`."""
    head = model.acoustic_head
    if not isinstance(head, FlowHead):
        return
    some = np.linspace(0, len(tokens) - 1, min(SCALE_CLIPS, len(tokens))).astype(int)
    values = head.values(torch.cat([tokens[i].codes[1:] for i in some], dim=1))  # [acoustic_dim, T]
    deviation = float((values.var(dim=1).mean() + 1e-9).sqrt())
    if not 0.5 < deviation < 2:
        warnings.warn(
            f"model.acoustic_scale = {head.scale:g}: acoustic values of {tokens.folder} have deviation "
            f"{deviation:.2g}, the noise 1, so the condition is hardly used; give {head.scale / deviation:.2g}",
            stacklevel=4,
        )


def _copy_weights(model: TTSModel, start: TTSModel, name: str) -> None:
    """Copy weights from `start`; keeps those that it lacks, and text embeddings if it reads another kind of text.

    Raises:
        CheckpointError: other shapes.
    """
    state = start.state_dict()
    if start.semantic_condition is None:
        state |= {key: tensor for key, tensor in model.state_dict().items() if key.startswith("semantic_condition.")}
    if _text_settings(start.config) != _text_settings(model.config):
        fresh = ("text_embedding.", "move_head.")
        state = {key: tensor for key, tensor in state.items() if not key.startswith(fresh)}
        state |= {key: tensor for key, tensor in model.state_dict().items() if key.startswith(fresh)}
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"{name}: its weights do not match the settings of model: {error}") from error
