"""Semantic distillation from transcripts, by a linear layer and CTC."""

from __future__ import annotations

from torch import Tensor, nn

from eval.ctc import BLANK, N_SYMBOLS, ctc_losses
from eval.metrics.semantic_asr import SemanticHead

BLANK_BIAS = 4.0


class CTCHead(SemanticHead):
    """A `SemanticHead` with its initialisation and loss."""

    def __init__(self, dim: int, hop_length: int, steps_per_frame: int = 4) -> None:
        super().__init__(dim, hop_length, steps_per_frame)
        # Most steps are blank: without this bias, the embedding would grow to predict it.
        nn.init.zeros_(self.linear.bias)
        self.linear.bias.data.view(steps_per_frame, N_SYMBOLS)[:, BLANK] = BLANK_BIAS

    def forward(self, embedding: Tensor, _: Tensor, lengths: Tensor, texts: list[str]) -> Tensor:
        """Losses `[n]` of the n <= B items with enough steps for their text, see `ctc_losses`."""
        return ctc_losses(self.logits(embedding), self.n_steps(lengths, embedding.shape[1]), texts)
