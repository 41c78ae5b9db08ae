"""Semantic distillation from transcripts: the frames must spell the text, by a linear layer and CTC."""

from __future__ import annotations

from torch import Tensor, nn

from eval.spelling import BLANK, N_SYMBOLS, ctc_losses, greedy_decode

BLANK_BIAS = 4.0


class CTCHead(nn.Module):
    """A linear layer from the semantic embedding `[B, T, D]` to `steps_per_frame` CTC steps per frame.

    It is linear, without context, so that the embedding itself must hold what was said.
    """

    needs_text = True

    def __init__(self, dim: int, hop_length: int, steps_per_frame: int = 4) -> None:
        super().__init__()
        self.hop_length, self.steps_per_frame = hop_length, steps_per_frame
        self.linear = nn.Linear(dim, steps_per_frame * N_SYMBOLS)
        # Most steps are blank. If the bias did not say so from the start, the embedding would grow to say it.
        nn.init.zeros_(self.linear.bias)
        self.linear.bias.data.view(steps_per_frame, N_SYMBOLS)[:, BLANK] = BLANK_BIAS

    def n_steps(self, lengths: Tensor, n_frames: int) -> Tensor:
        """Lengths `[B]` in samples -> CTC steps `[B]`; a frame begun is a frame."""
        return (lengths.add(self.hop_length - 1) // self.hop_length).clamp(max=n_frames) * self.steps_per_frame

    def logits(self, embedding: Tensor) -> Tensor:
        """`[B, T, D]` -> `[B, T * steps_per_frame, N_SYMBOLS]`."""
        return self.linear(embedding).unflatten(-1, (self.steps_per_frame, N_SYMBOLS)).flatten(1, 2)

    def decode(self, logits: Tensor, lengths: Tensor) -> list[str]:
        """What the first `lengths` `[B]` samples spell, best symbol by symbol."""
        return greedy_decode(logits, self.n_steps(lengths, logits.shape[1] // self.steps_per_frame))

    def forward(self, embedding: Tensor, _: Tensor, lengths: Tensor, texts: list[str]) -> Tensor:
        """Losses `[n]` of the n <= B items that can be spelled; see `ctc_losses`."""
        return ctc_losses(self.logits(embedding), self.n_steps(lengths, embedding.shape[1]), texts)
