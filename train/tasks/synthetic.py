"""Training an encoder for a given decoder, on synthetic pairs: random codes, and the decoder's speech from them.

For a decoder without a published encoder, only these pairs have known codes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from codec.config import CodecConfig
from codec.model import Codec, CodecOutput
from train.data.audio.synthetic import CodeSource, RandomCodes, SyntheticDataConfig, TokenCodes
from train.init.freeze import is_frozen
from train.losses.codes import CodesLoss

AGREEMENT = (
    "made_codes_equal",
    "made_semantic_equal",
    "codes_equal",
    "semantic_equal",
)  # see `agreement`
N_VALID = 16  # synthetic clips in validation
# Fields of a config that may differ between codecs with the same decoder; codebooks are compared separately.
MAY_DIFFER = {"front", "encoder_layers", "layer_scale_init", "proj_weight_norm", "quantizer"}


class SyntheticPairs:
    """Pairs of codes and speech by a frozen codec, and the loss of an encoder on them.

    Args:
        original: codec of `model.init`, in eval mode, perhaps without an encoder; None if it is no checkpoint.
        config: of the codec in training, with the same decoder.
        data: number of pairs, and source of their codes.

    Raises:
        ValueError: unusable token shards, no checkpoint, or another decoder.
    """

    def __init__(self, original: Codec | None, config: CodecConfig, data: SyntheticDataConfig) -> None:
        if original is None:
            raise ValueError(
                f"data.made_share = {data.made_share}: give the checkpoint to make pairs with as model.init"
            )
        ours, theirs = asdict(config), asdict(original.config)
        for name, value in theirs.items():
            if ours[name] != value and name not in MAY_DIFFER:
                raise ValueError(f"model.{name} = {ours[name]}: model.init has {value}; its decoder needs the same")
        if _codebooks(config) != _codebooks(original.config):
            raise ValueError(
                f"model.quantizer: {_codebooks(config)}, and {_codebooks(original.config)} in model.init; its decoder "
                "needs the same"
            )
        self.original, self.data = original, data
        self.n_frames = round(data.crop_s * config.frame_rate)
        self.distance = CodesLoss(original.quantizer)
        self.source: CodeSource
        if data.made_tokens:
            self.source = TokenCodes(data.made_tokens, config.codebook_sizes, data.made_mix)
        else:
            self.source = RandomCodes(original.quantizer.books[0].cluster_usage, config.codebook_sizes[1:])

    def per_process(self, codec: Codec, world_size: int) -> int:
        """Number of synthetic clips of a batch in each process.

        Raises:
            ValueError: no multiple of the processes, or the decoder in training is not frozen.
        """
        what = f"data.made_share = {self.data.made_share}"
        if not (is_frozen(codec.decoder) and is_frozen(codec.quantizer)):
            raise ValueError(f"{what}: needs a frozen decoder; set trainer.freeze=[decoder,quantizer]")
        if self.data.n_synthetic % world_size:
            raise ValueError(f"{what}: {self.data.n_synthetic} clips for {world_size} processes; give a multiple")
        return self.data.n_synthetic // world_size

    @torch.no_grad()
    def draw(self, n: int, seed: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Draw codes `[n, K, T]` and decode them to speech `[n, L]`, on `device`."""
        codes = self.source.draw(n, self.n_frames, torch.Generator().manual_seed(seed)).to(device)
        original = self.original.to(device)
        z = original.quantizer.decode(codes)
        return codes, original.decoder(z, original.decoder.init_state(n))[0].float()

    def loss(self, codec: Callable[..., CodecOutput], n: int, generator: torch.Generator) -> Tensor:
        """Loss of the codec in training on `n` synthetic clips, see `CodesLoss`."""
        codes, waveform = self.draw(n, generator.initial_seed(), generator.device)
        latents = codec(waveform, generator, False).latents
        with torch.autocast(latents.device.type, enabled=False):
            return self.distance.to(latents.device)(latents.float(), codes)

    @torch.no_grad()
    def agreement(
        self,
        codec: Callable[..., CodecOutput],
        waveforms: Sequence[Tensor],
        codes: Sequence[Tensor],
        device: torch.device,
    ) -> dict[str, float]:
        """Shares of correct codes, all and semantic ones; the codec is in eval mode.

        `made_codes_equal` and `made_semantic_equal` are for synthetic clips, the same each time. If the original has an
        encoder, `codes_equal` and `semantic_equal` compare its codes of recordings `[1, L]` with `codes` `[1, K, T]`.
        """
        expected, waveform = self.draw(N_VALID, 0, device)
        metrics = _equal(codec(waveform).quantized.codes, expected, "made_")
        if self.original.has_encoder and waveforms:
            theirs = torch.cat([self.original.encode(x) for x in waveforms], dim=2)
            metrics |= _equal(torch.cat(list(codes), dim=2), theirs)
        return metrics


def _codebooks(config: CodecConfig) -> str:
    return f"{config.quantizer.kind} with codebooks of {', '.join(map(str, config.codebook_sizes))} codes"


def _equal(ours: Tensor, theirs: Tensor, prefix: str = "") -> dict[str, float]:
    equal = (ours == theirs).float()
    return {f"{prefix}codes_equal": float(equal.mean()), f"{prefix}semantic_equal": float(equal[:, 0].mean())}
