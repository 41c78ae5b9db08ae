"""The codec's quantizer: a semantic VQ code and one FSQ code per acoustic channel, in every frame."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from codec.config import CodecConfig
from codec.quant.fsq import FSQ
from codec.quant.result import Quantized
from codec.quant.vq import VQ

_Draw = tuple[Tensor, Tensor, Tensor]


class SplitQuantizer(nn.Module):
    """Semantic channels first, then acoustic ones; codebook 0 is the semantic one.

    Any prefix of the codebooks can be decoded: acoustic channels without a code are 0, the middle of
    their range. Nested dropout in training makes short prefixes sound as good as they can.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.semantic = VQ(
            config.semantic_codebook_size,
            config.semantic_dim,
            decay=config.semantic_decay,
            revive_below=config.semantic_revive_below,
            kmeans=config.semantic_init == "kmeans",
        )
        self.acoustic = FSQ(config.levels)

    def _split(self, z: Tensor) -> tuple[Tensor, Tensor]:
        semantic, acoustic = z.float().split((self.config.semantic_dim, self.config.acoustic_dim), dim=2)
        return semantic, acoustic

    def encode(self, z: Tensor) -> Tensor:
        """Latents `[B, T, D]` -> codes `[B, K, T]` int64, computed in float32."""
        semantic, acoustic = self._split(z)
        codes = torch.cat([self.semantic.encode(semantic)[..., None], self.acoustic.encode(acoustic)], dim=2)
        return codes.transpose(1, 2)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes `[B, n_q, T]` of the first n_q >= 1 codebooks -> latents `[B, T, D]` float32."""
        codes = codes.transpose(1, 2)
        return torch.cat([self.semantic.decode(codes[..., 0]), self.acoustic.decode(codes[..., 1:])], dim=2)

    def forward(self, z: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """Quantize latents `[B, T, D]` for training; in eval mode everything is quantized and kept.

        Training draws for each sample whether the VQ applies, how the acoustic channels are treated,
        and how many of them are kept, all from `generator` (on the device of `z`). Nothing is changed
        here: after a good step, `learn` moves the codebook. Until it has started, no sample passes it.
        """
        semantic, acoustic = self._split(z)
        batch, draw = len(z), self._draw if self.training else self._keep_all
        use_vq, mode, n_q = draw(batch, z.device, generator)

        if self.training:
            use_vq = use_vq & self.semantic.started
        semantic_codes = self.semantic.encode(semantic.detach())
        entry = self.semantic.decode(semantic_codes)
        commit_loss = (semantic - entry).square().sum(-1).mean() * self.semantic.started
        semantic = torch.where(use_vq[:, None, None], semantic + (entry - semantic).detach(), semantic)

        acoustic, acoustic_codes = self.acoustic(acoustic, mode, generator)
        channels = torch.arange(1, self.config.num_codebooks, device=z.device)
        acoustic = acoustic * (channels < n_q[:, None])[:, None]

        codes = torch.cat([semantic_codes[..., None], acoustic_codes], dim=2).transpose(1, 2)
        return Quantized(torch.cat([semantic, acoustic], dim=2), codes, commit_loss, n_q)

    def start(self, z: Tensor, generator: torch.Generator | None = None) -> None:
        """Place the semantic codebook on latents `[B, T, D]`, many more than it has entries; also anew."""
        self.semantic.start(self._split(z.detach())[0].flatten(0, 1), generator)

    def learn(self, z: Tensor, generator: torch.Generator | None = None) -> int:
        """Move the semantic codebook towards latents `[B, T, D]`; returns how many entries were replaced.

        With several processes, give all of them the latents of all, and generators of one seed: the
        codebooks stay equal. The same holds for `start`.
        """
        semantic = self._split(z.detach())[0].flatten(0, 1)
        return self.semantic.update(semantic, self.semantic.encode(semantic), generator)

    def _draw(self, batch: int, device: torch.device, generator: torch.Generator | None) -> _Draw:
        """Per sample: whether the VQ applies, the FSQ mode, and the codebooks that are kept."""
        c = self.config
        use_vq, treatment, drop, kept = torch.rand(4, batch, generator=generator, device=device, dtype=torch.float32)
        mode = (treatment >= c.acoustic_quantize_prob).long()
        mode += treatment >= c.acoustic_quantize_prob + c.acoustic_noise_prob
        n_kept = 1 + (kept * c.acoustic_dim).long()
        n_q = torch.where(drop < c.quantizer_dropout, n_kept, c.num_codebooks)
        return use_vq < c.semantic_quantize_prob, mode, n_q

    def _keep_all(self, batch: int, device: torch.device, _: torch.Generator | None) -> _Draw:
        zeros = torch.zeros(batch, dtype=torch.int64, device=device)
        return zeros == 0, zeros, zeros + self.config.num_codebooks
