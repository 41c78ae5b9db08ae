"""Training the codec: reconstruction, features of discriminators, commitment, semantic distillation (section 2.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

import jiwer
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from codec.checkpoint.store import fingerprint, save_checkpoint
from codec.config import CodecConfig, require
from codec.model import Codec, CodecOutput
from codec.nn.transformer import Block
from codec.quant.vq import codebook_stats
from codec.tokenizer import load
from eval.ctc import save_head
from eval.metrics.base import Pair
from eval.metrics.registry import DEFAULT, make_metric
from eval.score import Job, columns_of, failures, score_each
from eval.spelling import normalise
from train.config import from_mapping
from train.data.audio import Batch, CropDataset, DataConfig
from train.data.loader import ValidClip, check_shares, make_loader, valid_clips
from train.data.made import MadeDataConfig
from train.data.manifest import read_manifest
from train.discriminators import DiscriminatorConfig, Discriminators, split_maps
from train.dist import gather_batch, share
from train.freeze import is_frozen
from train.losses.adversarial import discriminator_hinge, feature_distance, generator_hinge
from train.losses.controls import ControlLoss
from train.losses.ctc import CTCHead
from train.losses.distill import DistillConfig, make_distillation
from train.losses.reconstruction import ReconstructionLoss
from train.start import FRESH, fresh_start, take_weights
from train.tasks.base import Validation
from train.tasks.made import AGREEMENT, MadePairs
from train.transform import start_as_transform, start_as_vocoder

VALID_SECONDS = 8.0
CONTROLS = ("envelope", "motion", "periodicity", "pitch")  # losses of the head source_filter
LOSSES = ("waveform", "stft", "log_mel", "feature", "adversarial", "commit", "range", "semantic", "codes", *CONTROLS)
RANGE = 2.0  # of acoustic latents before tanh; the outermost of 21 levels begins at 1.8
VALID_AUDIO = 4  # clips to listen to
START_CLIPS = 128  # that a fresh codec's transform is measured on


@dataclass
class CodecLossConfig:
    """Weights of the losses, and when they act. The defaults are the paper's recipe.

    L = feature * L_feat + semantic * L_sem + g * (waveform * L_L1 + stft * L_STFT) + commit * L_commit
    with g = decay^steps, counted from `adversarial_start`; and what the paper does without:
    log_mel * L_mel and range * L_range, not decaying, and adversarial * generator hinge. L_range is the
    mean square by which acoustic latents exceed `RANGE`, where tanh is nearly flat and learning stops.

    codes * L_codes is that of pairs which a decoder made for its encoder, see `train.tasks.made`.

    A codec with the head source_filter also learns the controls of its voice, see `train.losses.controls`, and may
    do so alone until `waveform_start`: until then no waveform is made, which is several times as fast.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    waveform: float = 1.0  # weight of the L1 distance of waveforms
    stft: float = 1.0  # weight of the distance of magnitudes
    log_mel: float = 0.0  # weight of the distance of log mel spectra
    decay: float = 0.9999  # of the weights of waveform and stft, per step from adversarial_start on
    feature: float = 1.0  # weight of the distance of the discriminators' features
    adversarial: float = 0.0  # weight of the hinge loss against the discriminators
    commit: float = 0.1  # weight of the distance of semantic latents from their entries
    range: float = 0.0  # weight of acoustic latents too large for tanh
    semantic: float = 1.0  # weight of distillation
    codes: float = 0.1  # weight of the codes of made pairs
    envelope: float = 0.0  # head source_filter: weight of the spectral envelope,
    motion: float = 0.0  # ... of its change from frame to frame,
    periodicity: float = 0.0  # ... of how periodic each band is,
    pitch: float = 0.0  # ... and of the pitch
    waveform_start: int = 0  # first step with losses on the waveform
    fft_sizes: tuple[int, ...] = (2048, 1024, 512, 256, 128, 64)  # of stft and log_mel, in samples
    adversarial_start: int = 0  # first step with discriminators
    vq_starts: tuple[int, ...] = (200,)  # steps at which the semantic codebook is placed on latents; unused before
    vq_frames: int = 32_768  # frames it is placed on
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)

    def __post_init__(self) -> None:
        self.fft_sizes = tuple(self.fft_sizes)
        for name in (*LOSSES, "adversarial_start", "waveform_start"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        require(0 < self.decay <= 1, "decay", self.decay, "a number in (0, 1]")
        require(min(self.fft_sizes, default=1) >= 1, "fft_sizes", self.fft_sizes, "sizes of at least 1")
        self.vq_starts = tuple(self.vq_starts)
        require(min(self.vq_starts, default=-1) >= 0, "vq_starts", self.vq_starts, "one or more steps, from 0 on")
        require(self.vq_frames >= 1, "vq_frames", self.vq_frames, "at least 1")

    @property
    def has_discriminators(self) -> bool:
        return self.feature > 0 or self.adversarial > 0

    @property
    def has_controls(self) -> bool:
        return any(getattr(self, name) > 0 for name in CONTROLS)


class CodecTask:
    """The codec, its distillation head and its discriminators.

    Args:
        codec_config: the architecture.
        data: what to train and validate on.
        loss: which losses count how much.
        seed: of the data's order and crops.
        init: weights to start from: `transform` (see `train.transform`), `random`, or those of a checkpoint, as
            `codec.load` takes it.
        n_valid: clips to validate on.
        init_encoder: `transform` or `random` for a fresh encoder beside the other weights of a checkpoint. One without
            an encoder gets a `transform`.

    Raises:
        ValueError: unusable data or settings; the message names them.
        CheckpointError: the weights to start from cannot be read or do not fit.
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
        check_shares(data.batch_size, share()[1])
        utterances = read_manifest(data.train)
        self.dataset = CropDataset(utterances, codec_config.sample_rate, codec_config.hop_length, data, seed)
        self.clips: list[ValidClip] = []
        if n_valid and data.valid:
            self.clips = valid_clips(data.valid, codec_config.sample_rate, n_valid, VALID_SECONDS)
        original = None if init in FRESH else load(init).model
        start = fresh_start(init, init_encoder, original)
        torch.manual_seed(seed)
        self.codec = Codec(codec_config)
        self.controls = self._make_controls()
        if start == "transform":
            some = self.dataset.collate([self.dataset[i] for i in range(START_CLIPS)])
            if self.controls is None:
                start_as_transform(self.codec, some.waveform)
            else:
                assert some.f0 is not None
                start_as_vocoder(self.codec, some.waveform, self.controls.measure(some.waveform, some.f0)[0])
        if original is not None:
            take_weights(self.codec, original, init, with_encoder=not start)
        self.has_unlike_encoder = original is not None and bool(start)  # unlike what its decoder was trained with
        self.made: MadePairs | None = None
        if isinstance(data, MadeDataConfig) and data.made_share:
            self.made = MadePairs(original, codec_config, data)
        columns = [column for name in DEFAULT for column in make_metric(name).columns]
        self.judges = [column.key for column in columns if column.higher_is_better] + ["semantic_perplexity"]
        self.judges += AGREEMENT if self.made else ()
        self.distillation = make_distillation(loss.distill, codec_config)
        self.networks: dict[str, nn.Module] = {"codec": self.codec, "distillation": self.distillation}
        if loss.has_discriminators:
            self.discriminators = Discriminators(loss.discriminator)
            self.networks["discriminators"] = self.discriminators
        self.parallel: dict[str, Any] = dict(self.networks)
        self.reconstruction = ReconstructionLoss(codec_config.sample_rate, loss.fft_sizes)
        self._new_latents: list[Tensor] = []  # [B, T, D] of the batches of this step
        self._codes: list[Tensor] = []  # [B, K, T] likewise

    def _make_controls(self) -> ControlLoss | None:
        if self.config.head != "source_filter":
            if self.loss.has_controls:
                raise ValueError(f"loss: {', '.join(CONTROLS)} are of the head source_filter; set them to 0")
            return None
        if not self.data.companions:
            raise ValueError(
                "data.companions = '': the head source_filter learns pitch; make a folder of it with "
                "python -m train.data.companions MANIFEST --out FOLDER, and give it"
            )
        return ControlLoss(self.config)

    @classmethod
    def from_settings(cls, settings: dict[str, Any], n_valid: int) -> CodecTask:
        """From the groups `model`, `data` and `loss` of a run's settings, and its `seed`."""
        model = dict(settings["model"])
        init, init_encoder = model.pop("init"), model.pop("init_encoder", "")
        return cls(
            CodecConfig(**model),
            from_mapping(MadeDataConfig, settings["data"], "data"),
            from_mapping(CodecLossConfig, settings["loss"], "loss"),
            settings["seed"],
            init,
            n_valid,
            init_encoder,
        )

    def batches(self, start: int, rank: int, world_size: int) -> Iterator[Batch]:
        if self.has_unlike_encoder and is_frozen(self.codec.encoder):
            raise ValueError(
                "trainer.freeze: a fresh encoder beside the decoder of model.init has to learn first, with "
                "experiment=encoder_only"
            )
        n_made = 0 if self.made is None else world_size * self.made.per_process(self.codec, world_size)
        return make_loader(self.dataset, self.data.batch_size - n_made, start, rank, world_size, self.data.num_workers)

    def backward(self, batch: Batch, step: int, scale: float, generator: torch.Generator) -> dict[str, Tensor]:
        """Gradients of one batch for all networks, in one pass over each; made pairs are another batch."""
        weights = self._weights(step)
        sounds = any(weights[name] for name in ("waveform", "stft", "log_mel", "feature", "adversarial"))
        output: CodecOutput = self.parallel["codec"](batch.waveform, generator, sounds)
        self._new_latents.append(output.latents.detach().float())
        self._codes.append(output.quantized.codes)
        with torch.autocast(batch.waveform.device.type, enabled=False):
            target, parts = batch.waveform, {}
            if output.waveform is not None:
                parts = self.reconstruction.to(target.device)(output.waveform.float(), target)
            if self.controls is not None:
                assert output.controls is not None
                assert batch.f0 is not None
                parts |= self.controls.to(target.device)(output.controls, target, batch.f0)
            embedding = output.quantized.z[..., : self.config.semantic_dim]
            parts["semantic"] = self.parallel["distillation"](
                embedding, target, batch.lengths, batch.texts, batch.heard
            )
        parts["commit"] = output.quantized.commit_loss
        acoustic = output.latents[..., self.config.semantic_dim :].float()
        parts["range"] = (acoustic.abs() - RANGE).relu().square().mean()
        if weights["feature"] or weights["adversarial"]:
            assert output.waveform is not None
            shown = self._show(output.waveform.float(), target, generator)
            parts["discriminator"], adversarial = self._adversarial(*shown, self._choose(step), scale)
            parts |= adversarial
        if self.made is not None:
            n_made = self.made.per_process(self.codec, share()[1])
            parts["codes"] = self.made.loss(self.parallel["codec"], n_made, generator)
        total = sum(weights[name] * parts[name] for name in weights if name in parts)
        (scale * total).backward()
        parts["total"] = total
        metrics = {f"loss/{name}": value.detach() for name, value in parts.items()}
        return metrics | {"data/skipped": torch.tensor(float(batch.n_skipped))}

    def _weights(self, step: int) -> dict[str, float]:
        """Of the losses that the codec learns from, at this step."""
        c, since = self.loss, step - self.loss.adversarial_start
        g = c.decay ** max(0, since)
        weights = {"waveform": g * c.waveform, "stft": g * c.stft, "log_mel": c.log_mel}
        weights |= {"feature": c.feature * (since >= 0), "adversarial": c.adversarial * (since >= 0)}
        if step < c.waveform_start:
            weights = dict.fromkeys(weights, 0.0)
        weights |= {name: getattr(c, name) for name in ("commit", "range", "semantic", "codes", *CONTROLS)}
        return weights

    def _show(self, output: Tensor, target: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A crop of a reconstruction and its original, each `[B, L]`, the same of all items."""
        length = round(self.loss.discriminator.crop_s * self.config.sample_rate) or target.shape[1]
        spare = max(0, target.shape[1] - length)
        start = int(torch.randint(spare + 1, (), generator=generator, device=target.device))
        return output[:, start : start + length], target[:, start : start + length]

    def _choose(self, step: int) -> list[int]:
        """The discriminators of a step, the same on every rank."""
        n = len(self.loss.discriminator.fft_sizes)
        order = torch.randperm(n, generator=torch.Generator().manual_seed(step))
        return sorted(order[: self.loss.discriminator.n_sampled or n].tolist())

    def _adversarial(
        self, output: Tensor, target: Tensor, chosen: list[int], scale: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The discriminators' loss, its gradients taken; and the codec's losses, which leave theirs alone."""
        real, fake = split_maps(self.parallel["discriminators"](torch.cat([target, output.detach()]), chosen))
        loss = discriminator_hinge(real, fake)
        (scale * loss).backward()
        frozen = {name: p.detach() for name, p in self.discriminators.named_parameters()}
        maps = functional_call(self.discriminators, frozen, (output, chosen))
        return loss, {"feature": feature_distance(real, maps), "adversarial": generator_hinge(maps)}

    def after_step(self, step: int, generator: torch.Generator) -> dict[str, Any]:
        """Place the semantic codebook when its time has come, move it with every other step; not if it is frozen."""
        latents = torch.cat([gather_batch(z) for z in self._new_latents])
        codes = torch.cat(self._codes)
        self._new_latents.clear()
        self._codes.clear()
        quantizer = self.codec.quantizer
        n = self.config.semantic_dim
        metrics: dict[str, Any] = {"latents/semantic_std": latents[..., :n].std()}
        metrics["latents/acoustic_std"] = latents[..., n:].std()
        frozen = is_frozen(quantizer.semantic)
        overdue = step > min(self.loss.vq_starts) and not quantizer.semantic.started  # its step was skipped
        if not frozen and (step in self.loss.vq_starts or overdue):
            quantizer.start(self._many_latents(), generator)
        elif quantizer.semantic.started:
            if not frozen:
                metrics["codebook/revived"] = quantizer.learn(latents, generator)
            metrics["codebook/00_perplexity"] = quantizer.semantic.perplexity
            stats = codebook_stats(codes, self.config.codebook_sizes)
            for k in range(1, self.config.num_codebooks):  # a batch is too small to judge the semantic one by
                metrics[f"codebook/{k:02d}_perplexity"] = stats.perplexity[k]
                metrics[f"codebook/{k:02d}_usage"] = stats.usage[k]
        return metrics

    @torch.compiler.set_stance("force_eager")
    @torch.no_grad()
    def _many_latents(self) -> Tensor:
        """`[B, T, D]` with `vq_frames` frames of training data, as the encoder sees them now."""
        rank, size = share()
        n_batches = -(
            -self.loss.vq_frames * self.config.hop_length // (self.data.batch_size * self.dataset.crop_length)
        )
        batches = islice(self.batches(0, rank, size), n_batches)
        device = self.codec.device
        return torch.cat(
            [gather_batch(self.parallel["codec"](b.to(device).waveform, None, False).latents.float()) for b in batches]
        )

    @torch.compiler.set_stance("force_eager")  # every clip has its own length, and compiling takes a minute
    @torch.no_grad()
    def validate(self) -> Validation:
        """Scores, clips and spectrograms of the validation clips, all codebooks in use.

        Where there are transcripts and a CTC head, `cer` is what the head reads from the semantic codes.
        """
        from eval.pictures import spectrogram_pair  # matplotlib is slow to load

        jobs, codes, texts, waveforms = [], [], [], []
        head = self.distillation.head
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
            if isinstance(head, CTCHead) and (text := normalise(text or "")):
                logits = head.logits(result.quantized.z[..., : self.config.semantic_dim].float())
                texts.append((text, head.decode(logits, torch.tensor([len(waveform)]))[0]))
            jobs.append(Job(name, Pair(waveform, output, self.config.sample_rate), DEFAULT))
            if len(audio) < 2 * VALID_AUDIO:
                audio |= {f"{name}_original": waveform, f"{name}_reconstruction": output}
                pictures[name] = spectrogram_pair(waveform, output, self.config.sample_rate)
        scored = list(score_each(jobs))
        metrics = {name: mean(values.values()) for name, values in columns_of(scored).items()}
        if codes:
            stats = codebook_stats(torch.cat(codes, dim=2), self.config.codebook_sizes)
            metrics["semantic_perplexity"] = float(stats.perplexity[0])
            metrics["failed"] = len(failures(scored))
        if self.made is not None:
            metrics |= self.made.agreement(self.parallel["codec"], waveforms, codes, self.codec.device)
        if texts:
            metrics["cer"] = jiwer.cer([text for text, _ in texts], [read for _, read in texts])
        return Validation(metrics, audio, pictures, self.config.sample_rate)

    def export(self, folder: Path, state: dict[str, Tensor]) -> None:
        """Write the codec's `state` as what users load, and beside it the head that reads its codes, if any."""
        save_checkpoint(folder, self.config, state)
        if isinstance(self.distillation.head, CTCHead):
            save_head(folder, self.distillation.head, fingerprint(self.config, state))

    def compile(self) -> None:
        for module in self.codec.modules():
            if isinstance(module, Block):
                module.compile(dynamic=False)
