"""Training the codec: reconstruction, features of discriminators, commitment, semantic distillation (section 2.3)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

import jiwer
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.autocast import full_precision
from codec.checkpoint.store import check_tensors, fingerprint, save_checkpoint
from codec.config import CodecConfig
from codec.model import Codec, CodecOutput
from codec.quant.vq import codebook_stats
from codec.recordings.manifest import read_manifest
from codec.tokenizer import load
from eval.ctc import normalise
from eval.metrics.base import Pair
from eval.metrics.registry import DEFAULT, make_metric
from eval.metrics.semantic_asr import save_head
from eval.score import Job, columns_of, failures, score_each
from train.data.audio.crops import Batch, CropDataset, DataConfig
from train.data.audio.synthetic import SyntheticDataConfig
from train.data.loader import ValidClip, check_shares, make_loader, valid_clips
from train.data.sources import mix
from train.dist import blocks, gather_batch, rank_and_size
from train.init.freeze import is_frozen
from train.init.transform import start_as_transform, start_as_vocoder
from train.losses.config import CodecLossConfig
from train.losses.controls import ControlLoss
from train.losses.ctc import CTCHead
from train.losses.terms import Pass, Setup, make_terms
from train.settings.run import CodecRun
from train.tasks.base import Validation
from train.tasks.synthetic import AGREEMENT, SyntheticPairs

VALID_SECONDS = 8.0
VALID_AUDIO = 4  # clips to listen to
START_CLIPS = 128  # to initialise a codec from
FRESH = ("transform", "random")  # weights that are of no checkpoint


class CodecTask:
    """The codec, with the networks of its losses such as discriminators.

    Args:
        codec_config: the architecture.
        data: training and validation data.
        loss: weights and settings of the losses.
        seed: of the order of data and of crops.
        init: initial weights: `transform` (see `train.init.transform`), `random`, or a checkpoint for `codec.load`.
        n_valid: clips to validate on.
        init_encoder: `transform` or `random` for a fresh encoder with the decoder of a checkpoint; `transform` for a
            checkpoint without an encoder.

    Raises:
        ValueError: unusable data or settings; the message names them.
        CheckpointError: unreadable weights, or those of another architecture.
    """

    main = "codec"

    def __init__(
        self,
        codec_config: CodecConfig,
        data: DataConfig,
        loss: CodecLossConfig,
        seed: int,
        init: str = "transform",
        n_valid: int = 16,
        init_encoder: str = "",
    ) -> None:
        self.config, self.data, self.loss = codec_config, data, loss
        check_shares(data.batch_size, rank_and_size()[1])
        form = codec_config.sample_rate, codec_config.hop_length
        self.dataset = mix(data.train, seed, lambda path, seed: CropDataset(read_manifest(path), *form, data, seed))
        self.clips: list[ValidClip] = []
        if n_valid and data.valid:
            self.clips = valid_clips(data.valid, codec_config.sample_rate, n_valid, VALID_SECONDS)
        original = None if init in FRESH else load(init).model
        start = _encoder_start(init, init_encoder, original)
        torch.manual_seed(seed)
        self.codec = Codec(codec_config)
        if codec_config.head == "source_filter" and not data.companions:
            raise ValueError(
                "data.companions = '': the head source_filter needs pitch; make a folder of it with "
                "python -m train.data.audio.companions MANIFEST --out FOLDER, and give it"
            )
        if start == "transform":
            some = self.dataset.collate([self.dataset[i] for i in range(START_CLIPS)])
            if codec_config.head == "patches":
                start_as_transform(self.codec, some.waveform)
            else:
                assert some.f0 is not None
                controls, _ = ControlLoss(codec_config).measure(some.waveform, some.f0)
                start_as_vocoder(self.codec, some.waveform, controls)
        if original is not None:
            _copy_weights(self.codec, original, init, with_encoder=not start)
        self.has_fresh_codebooks = not self.codec.quantizer.started
        self.has_fresh_encoder = original is not None and bool(start)
        self.synthetic: SyntheticPairs | None = None
        if isinstance(data, SyntheticDataConfig) and data.made_share:
            self.synthetic = SyntheticPairs(original, codec_config, data)
        columns = [column for name in DEFAULT for column in make_metric(name).columns]
        self.best_metrics = [column.key for column in columns if column.higher_is_better] + ["semantic_perplexity"]
        self.best_metrics += AGREEMENT if self.synthetic else ()
        self.terms = make_terms(Setup(codec_config, loss, None if self.synthetic is None else self._synthetic_loss))
        self.networks: dict[str, nn.Module] = {"codec": self.codec}
        for term in self.terms:
            self.networks |= term.networks
        self.parallel: dict[str, Any] = dict(self.networks)
        self._new_latents: list[Tensor] = []  # [B, T, D] of the batches of this step
        self._codes: list[Tensor] = []  # [B, K, T] likewise

    @property
    def head(self) -> CTCHead | None:
        """The head that reads text from the semantic codes, with CTC distillation."""
        head = getattr(self.networks.get("distillation"), "head", None)
        return head if isinstance(head, CTCHead) else None

    @classmethod
    def from_run(cls, run: CodecRun) -> CodecTask:
        """Make the task of a run."""
        return cls(run.model, run.data, run.loss, run.seed, run.init, run.trainer.n_valid, run.init_encoder)

    def batches(self, start: int, rank: int, world_size: int) -> Iterator[Batch]:
        if self.has_fresh_encoder and is_frozen(self.codec.encoder):
            raise ValueError(
                "trainer.freeze: a fresh encoder for the decoder of model.init must be trained first, with "
                "experiment=encoder_only"
            )
        n_synthetic = 0 if self.synthetic is None else world_size * self.synthetic.per_process(self.codec, world_size)
        return make_loader(
            self.dataset, self.data.batch_size - n_synthetic, start, rank, world_size, self.data.num_workers
        )

    def backward(self, batch: Batch, step: int, scale: float, generator: torch.Generator) -> dict[str, Tensor]:
        """Add the gradients of a batch to all networks, in one pass; synthetic pairs are a second batch."""
        weights = {name: row.at(step) for name, row in self.loss.terms.items()}
        terms = [term for term in self.terms if any(weights[name] for name in term.names)]
        if not terms:
            raise ValueError(f"loss.terms: none has a weight in step {step}; start one by then")
        uses_waveform = any(term.uses_waveform for term in terms)
        output: CodecOutput = self.parallel["codec"](batch.waveform, generator, uses_waveform)
        self._new_latents.append(output.latents.detach().float())
        self._codes.append(output.quantized.codes)
        x = Pass(batch, output, self.parallel, step, scale, generator)
        parts: dict[str, Tensor] = {}
        for term in terms:
            with full_precision(batch.waveform) if term.full_precision else nullcontext():
                parts |= term.compute(x)
        total = torch.stack([weights[name] * parts[name] for name in parts if weights[name]]).sum()
        (scale * total).backward()
        metrics = {f"loss/{name}": value for name, value in (parts | {"total": total}).items()} | x.log
        metrics["data/skipped"] = torch.tensor(float(batch.n_skipped))
        return {name: value.detach() for name, value in metrics.items()}

    def _synthetic_loss(self, x: Pass) -> Tensor:
        assert self.synthetic is not None
        return self.synthetic.loss(
            x.networks["codec"], self.synthetic.per_process(self.codec, rank_and_size()[1]), x.generator
        )

    def after_step(self, step: int, generator: torch.Generator) -> dict[str, Any]:
        """Initialise fresh VQ codebooks in the steps `vq_starts`, update them in other steps; not if frozen."""
        latents = torch.cat([gather_batch(z) for z in self._new_latents])
        codes = torch.cat(self._codes)
        self.skip_step()
        quantizer, n = self.codec.quantizer, self.config.quantizer.semantic_dim
        stds = {"semantic": latents[..., :n], "acoustic": latents[..., n:]}
        metrics: dict[str, Any] = {f"latents/{name}_std": z.std() for name, z in stds.items() if z.shape[2]}
        learns = not all(is_frozen(book) for book in quantizer.books)
        overdue = step > min(self.loss.vq_starts) and not quantizer.started  # that step was skipped
        if learns and self.has_fresh_codebooks and (step in self.loss.vq_starts or overdue):
            quantizer.start(self._collect_latents(), generator)
        elif quantizer.started:
            if learns:
                metrics["codebook/revived"] = quantizer.learn(latents, generator)
            metrics |= self._usage(codes)
        return metrics

    def skip_step(self) -> None:
        self._new_latents.clear()
        self._codes.clear()

    def _usage(self, codes: Tensor) -> dict[str, Any]:
        """Usage and perplexity of codes `[B, K, T]`; of VQ codebooks by their running usage: a batch is small."""
        stats = codebook_stats(codes, self.config.codebook_sizes)
        books = iter(self.codec.quantizer.books)
        metrics: dict[str, Any] = {}
        for k, ordinal in enumerate(self.config.quantizer.ordinal):
            metrics[f"codebook/{k:02d}_perplexity"] = stats.perplexity[k] if ordinal else next(books).perplexity
            if ordinal:
                metrics[f"codebook/{k:02d}_usage"] = stats.usage[k]
        return metrics

    @torch.compiler.set_stance("force_eager")
    @torch.no_grad()
    def _collect_latents(self) -> Tensor:
        """Latents `[B, T, D]` of `vq_frames` frames of training data, by the current encoder."""
        rank, size = rank_and_size()
        crop_length = self.data.crop_length(self.config.sample_rate, self.config.hop_length)
        n_batches = -(-self.loss.vq_frames * self.config.hop_length // (self.data.batch_size * crop_length))
        batches = islice(self.batches(0, rank, size), n_batches)
        device = self.codec.device
        return torch.cat(
            [gather_batch(self.parallel["codec"](b.to(device).waveform, None, False).latents.float()) for b in batches]
        )

    @torch.compiler.set_stance("force_eager")  # else it compiles for each length of clip
    @torch.no_grad()
    def validate(self) -> Validation:
        """Measure metrics, clips and spectrograms of the validation clips, with all codebooks.

        With transcripts and a CTC head, `cer` is the character error rate of the head on the semantic codes.
        """
        from eval.pictures import spectrogram_pair  # matplotlib is slow to load

        jobs, codes, texts, waveforms = [], [], [], []
        head, n = self.head, self.config.quantizer.semantic_dim
        audio: dict[str, Tensor] = {}
        pictures: dict[str, Any] = {}
        for name, waveform, text in self.clips:
            size = -(-len(waveform) // self.config.hop_length) * self.config.hop_length
            padded = F.pad(waveform, (0, size - len(waveform))).to(self.codec.device)
            result: CodecOutput = self.parallel["codec"](padded[None])
            assert result.waveform is not None
            output = result.waveform[0, : len(waveform)].float().cpu()
            codes.append(result.quantized.codes)
            waveforms.append(padded[None])
            if head is not None and (text := normalise(text or "")):
                logits = head.logits(result.quantized.z[..., :n].float())
                texts.append((text, head.decode(logits, torch.tensor([len(waveform)]))[0]))
            jobs.append(Job(name, Pair(waveform, output, self.config.sample_rate), DEFAULT))
            if len(audio) < 2 * VALID_AUDIO:
                audio |= {f"{name}_original": waveform, f"{name}_reconstruction": output}
                pictures[name] = spectrogram_pair(waveform, output, self.config.sample_rate)
        scored = list(score_each(jobs))
        metrics = {name: mean(values.values()) for name, values in columns_of(scored).items()}
        if codes:
            stats = codebook_stats(torch.cat(codes, dim=2), self.config.codebook_sizes)
            if n:
                metrics["semantic_perplexity"] = float(stats.perplexity[0])
            metrics["failed"] = len(failures(scored))
        if self.synthetic is not None:
            metrics |= self.synthetic.agreement(self.parallel["codec"], waveforms, codes, self.codec.device)
        if texts:
            metrics["cer"] = jiwer.cer([text for text, _ in texts], [read for _, read in texts])
        return Validation(metrics, audio, pictures, self.config.sample_rate)

    def export(self, folder: Path, state: dict[str, Tensor]) -> None:
        """Write the codec's `state` as a checkpoint, with its CTC head if any."""
        save_checkpoint(folder, self.config, state)
        if self.head is not None:
            save_head(folder, self.head, fingerprint(self.config, state))

    def compile(self) -> None:
        for block in blocks(self.codec):
            block.compile(dynamic=False)


def _encoder_start(init: str, init_encoder: str, original: Codec | None) -> str:
    """Initialisation of the encoder: one of `FRESH`, or empty for the weights of `original`, the checkpoint `init`.

    Raises:
        ValueError: `init_encoder` is neither empty nor one of `FRESH`, or `init` is no checkpoint.
    """
    if init_encoder and (original is None or init_encoder not in FRESH):
        choice = "give a checkpoint as model.init" if original is None else f"expected {' or '.join(FRESH)}"
        raise ValueError(f"model.init_encoder = {init_encoder!r}: {choice}, or leave it empty")
    if original is None:
        return init
    return init_encoder or ("" if original.has_encoder else FRESH[0])


def _copy_weights(codec: Codec, original: Codec, name: str, with_encoder: bool) -> None:
    """Copy the weights of `original`, called `name`, to `codec`, with or without the encoder's.

    Raises:
        CheckpointError: another architecture.
    """
    ours, theirs = (
        {key: t for key, t in c.state_dict().items() if with_encoder or not key.startswith("_encoder.")}
        for c in (codec, original)
    )
    check_tensors(f"model.init = {name!r}", ours, theirs)
    codec.load_state_dict(codec.state_dict() | theirs)
