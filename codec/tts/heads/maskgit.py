"""The MaskGIT head: fills in a frame's codes over a few rounds, the surest ones first."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.nn.norm import RMSNorm
from codec.nn.product import Linear
from codec.tts.config import TransformerConfig
from codec.tts.heads.base import AcousticHead, HeadSampling, drop_hidden, make_layers
from codec.tts.heads.codebooks import CodeEmbedding, CodeOutput, gumbel


class MaskGITHead(AcousticHead):
    """Learns masked codes from the others and h; samples by revealing codes from a frame that is all masked.

    After Chang et al. 2022, "MaskGIT: Masked Generative Image Transformer". The network reads h and the
    `acoustic_dim` codes, attends to all of them, and gives a distribution for each codebook. The share of
    masked codes is cos(pi / 2 * r): r is uniform in [0, 1) in training, and grows evenly to 1 in sampling.
    Code `n_levels` stands for a masked one.
    """

    def __init__(self, config: TransformerConfig, acoustic_dim: int, n_levels: int) -> None:
        super().__init__()
        dim = config.dim
        self.acoustic_dim, self.n_levels = acoustic_dim, n_levels
        self.hidden_projection = Linear(dim, dim)
        self.embedding = CodeEmbedding(acoustic_dim, n_levels + 1, dim)
        self.positions = nn.Embedding(acoustic_dim, dim)
        self.layers = make_layers(config)
        self.norm = RMSNorm(dim, config.norm_eps)
        self.output = CodeOutput(acoustic_dim, n_levels, dim)

    def logits(self, h: Tensor, codes: Tensor) -> Tensor:
        """Float32 `[N, acoustic_dim, n_levels]` for hidden states `[N, dim]` and codes, some of them masked.

        Zeros in place of a hidden state give the unconditional logits.
        """
        x = self.embedding(codes) + self.positions.weight
        x = torch.cat([self.hidden_projection(h)[:, None], x], dim=1)
        for layer in self.layers:
            x, _ = layer(x)
        return self.output(self.norm(x[:, 1:]))

    def loss(self, h: Tensor, codes: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Mean cross-entropy of the masked codes times `acoustic_dim`: nats a frame.

        In training mode, h is dropped at times.
        """
        h = drop_hidden(h, generator) if self.training else h
        masked = self.draw_mask(len(h), h.device, generator)
        logits = self.logits(h, codes.masked_fill(masked, self.n_levels))
        errors = F.cross_entropy(logits.transpose(1, 2), codes, reduction="none") * masked
        return errors.sum(1) * (self.acoustic_dim / masked.sum(1))

    def draw_mask(self, n_frames: int, device: torch.device, generator: torch.Generator | None = None) -> Tensor:
        """Which codes of frames to mask, `[n_frames, acoustic_dim]` bool; at least one of each frame."""
        share = torch.cos(math.pi / 2 * torch.rand(n_frames, 1, generator=generator, device=device))
        n_masked = torch.ceil(share * self.acoustic_dim).clamp(min=1)
        order = torch.rand(n_frames, self.acoustic_dim, generator=generator, device=device).argsort(dim=1)
        return order < n_masked

    def draw(self, sampling: HeadSampling, generator: torch.Generator | None = None) -> Tensor:
        """Gumbel noise `[n_steps, acoustic_dim, n_levels + 1]`: of the codes, and last of their confidence."""
        return gumbel(sampling.n_steps, self.acoustic_dim, self.n_levels + 1, generator=generator)

    def sample(self, h: Tensor, noise: Tensor, sampling: HeadSampling) -> Tensor:
        codes = torch.full((len(h), self.acoustic_dim), self.n_levels, device=h.device)
        for i in range(sampling.n_steps):
            progress = (i + 1) / sampling.n_steps
            n_masked = math.floor(self.acoustic_dim * math.cos(math.pi / 2 * progress))
            logits = self._guided(h, codes, sampling.cfg_scale)
            codes = self.reveal(codes, logits, noise[:, i], n_masked, sampling.temperature, 1 - progress)
        return codes

    def reveal(
        self, codes: Tensor, logits: Tensor, noise: Tensor, n_masked: int, temperature: float, doubt: float
    ) -> Tensor:
        """Draw the masked codes and keep the surest; codes that were there stay as they are.

        Args:
            codes: `[N, acoustic_dim]`, some masked.
            logits: `[N, acoustic_dim, n_levels]` float32.
            noise: `[N, acoustic_dim, n_levels + 1]`, see `draw`.
            n_masked: codes of each frame that stay masked; no more than are.
            temperature: of the codes.
            doubt: noise in the confidence, in units of `temperature`; 0 goes by the log-probability alone.
        """
        drawn = (logits + temperature * noise[..., :-1]).argmax(-1)
        sure = logits.log_softmax(-1).gather(-1, drawn[..., None])[..., 0] + temperature * doubt * noise[..., -1]
        masked = codes == self.n_levels
        codes = torch.where(masked, drawn, codes)
        least = sure.masked_fill(~masked, torch.inf).topk(n_masked, dim=1, largest=False).indices
        return codes.scatter(1, least, self.n_levels)

    def _guided(self, h: Tensor, codes: Tensor, scale: float) -> Tensor:
        """scale * logits(h) + (1 - scale) * logits(0), both in one pass."""
        both = torch.cat([h, torch.zeros_like(h)])
        logits, logits0 = self.logits(both, torch.cat([codes, codes])).chunk(2)
        return scale * logits + (1 - scale) * logits0
