"""The depth head: a small causal transformer that writes a frame's codes one after the other."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.nn.norm import RMSNorm
from codec.nn.product import Linear
from codec.tts.config import TransformerConfig
from codec.tts.heads.base import AcousticHead, HeadSampling, init_past, make_layers
from codec.tts.heads.codebooks import CodeEmbedding, CodeOutput, gumbel


class DepthHead(AcousticHead):
    """p(codes | h) = product over codebooks k of p(code k | h, codes before k).

    The depth transformer of RQ-Transformer (Lee et al. 2022, "Autoregressive Image Generation using
    Residual Quantization"), which Moshi applies to speech. Position 0 reads h, position k the code of
    codebook k - 1, and each gives the distribution of its own codebook. One evaluation per codebook.
    """

    def __init__(self, config: TransformerConfig, acoustic_dim: int, n_levels: int) -> None:
        super().__init__()
        dim = config.dim
        self.config, self.acoustic_dim, self.n_levels = config, acoustic_dim, n_levels
        self.hidden_projection = Linear(dim, dim)
        self.embedding = CodeEmbedding(acoustic_dim - 1, n_levels, dim)  # the last code is never read
        self.positions = nn.Embedding(acoustic_dim, dim)
        self.layers = make_layers(config)
        self.norm = RMSNorm(dim, config.norm_eps)
        self.output = CodeOutput(acoustic_dim, n_levels, dim)

    def logits(self, h: Tensor, codes: Tensor) -> Tensor:
        """Float32 `[N, acoustic_dim, n_levels]` for hidden states `[N, dim]`, each codebook given the codes before."""
        x = torch.cat([self.hidden_projection(h)[:, None], self.embedding(codes[:, :-1])], dim=1)
        x = x + self.positions.weight
        mask = torch.ones(self.acoustic_dim, self.acoustic_dim, dtype=torch.bool, device=h.device).tril()
        for layer in self.layers:
            x, _ = layer(x, mask)
        return self.output(self.norm(x))

    def loss(self, h: Tensor, codes: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """-log p(codes | h) in nats: the sum of the codebooks' cross-entropies. Nothing is drawn."""
        return F.cross_entropy(self.logits(h, codes).transpose(1, 2), codes, reduction="none").sum(1)

    def draw(self, sampling: HeadSampling, generator: torch.Generator | None = None) -> Tensor:
        """Gumbel noise `[acoustic_dim, n_levels]`."""
        return gumbel(self.acoustic_dim, self.n_levels, generator=generator)

    def sample(self, h: Tensor, noise: Tensor, sampling: HeadSampling) -> Tensor:
        codes = torch.empty(len(h), self.acoustic_dim, dtype=torch.int64, device=h.device)
        past = init_past(self.config, h)
        for k in range(self.acoustic_dim):
            x = self.embedding(codes[:, k - 1 : k], k - 1) if k else self.hidden_projection(h)[:, None]
            x = x + self.positions.weight[k]
            for i, layer in enumerate(self.layers):
                x, past[i] = layer(x, None, past[i])
            logits = self.output(self.norm(x), k)[:, 0]
            codes[:, k] = (logits + sampling.temperature * noise[:, k]).argmax(1)
        return codes
