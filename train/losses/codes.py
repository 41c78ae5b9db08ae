"""Loss of latents that should be quantized to given codes by a frozen quantizer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.quant.base import Quantizer
from train.losses.terms import Setup, Term

SHARPNESS = 2.0  # nats between an entry and its nearest neighbour, for a latent on the entry
N_MEASURED = 1024  # entries to measure the distance of nearest neighbours on


def make(setup: Setup) -> Term:
    loss = setup.synthetic
    if loss is None:
        raise ValueError(
            "loss.terms.codes.weight: there are no synthetic pairs; give data.made_share, or set the weight to 0"
        )
    return Term(("codes",), lambda x: {"codes": loss(x)}, full_precision=False)


class CodesLoss(nn.Module):
    """Semantic loss plus mean acoustic loss of latents, each in nats.

    Semantic: the cross-entropy of the entry under softmax_j(-|z - e_j|^2 / t); t is such that a latent on an entry is
    `SHARPNESS` nats more likely than at the nearest neighbour.

    Acoustic: the value x before the tanh should lie between the rounding borders a and b of its level:
    softplus((x - b) / s) + softplus((a - x) / s). This is the cross-entropy of the level if logistic noise of scale s,
    half the distance of levels, is added to x. The outermost levels have one border.

    Raises:
        ValueError: the quantizer is not a semantic codebook with acoustic levels.
    """

    entries: Tensor  # [N, D]
    half_norms: Tensor  # [N]
    steps: Tensor  # [acoustic_dim]

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__()
        c = quantizer.config
        if c.ordinal != (False,) + (True,) * c.acoustic_dim or not c.semantic_dim:
            raise ValueError(
                f"data.made_share: needs a semantic codebook and levels of every acoustic channel; "
                f"model.quantizer.kind = {c.kind!r} has other codebooks, give data.made_share=0"
            )
        entries = quantizer.books[0].embedding.detach().clone()
        some = entries[:N_MEASURED]
        distances = torch.cdist(some, entries).fill_diagonal_(float("inf"))
        self.temperature = float(distances.amin(1).square().median().clamp(min=1e-6)) / SHARPNESS
        self.register_buffer("entries", entries, persistent=False)
        self.register_buffer("half_norms", entries.square().sum(1) / 2, persistent=False)
        self.register_buffer("steps", torch.tensor(c.codebook_sizes[1:], dtype=torch.float32) - 1, persistent=False)

    def forward(self, latents: Tensor, codes: Tensor) -> Tensor:
        """Scalar loss of latents `[B, T, D]` float32 for codes `[B, K, T]`."""
        semantic, acoustic = latents.split([self.entries.shape[1], len(self.steps)], dim=2)
        logits = (F.linear(semantic, self.entries) - self.half_norms) * (2 / self.temperature)
        semantic_loss = F.cross_entropy(logits.flatten(0, 1), codes[:, 0].flatten())
        value, scale = codes[:, 1:].mT * 2 / self.steps - 1, 1 / self.steps
        above = (value + scale).clamp(max=1).atanh()  # infinite beyond the highest level
        below = (value - scale).clamp(min=-1).atanh()
        outside = F.softplus((acoustic - above) / scale) + F.softplus((below - acoustic) / scale)
        return semantic_loss + outside.mean()
