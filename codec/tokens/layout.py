"""Conversion between codes and ids of a language model."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import torch
from einops import rearrange
from torch import Tensor

from codec.tokens.tokens import check_codes, check_shape

EMPTY, END = 0, 1  # the released model's special codes, first in every codebook


@dataclass(frozen=True)
class IdLayout:
    """One id space for all codebooks: id = offset of the codebook + `n_special` + code.

    The defaults are the released model's: two special codes at the start of each codebook, and
    codebooks without gaps between them. With `shared=False`, the ids of every codebook start at 0.
    """

    codebook_sizes: tuple[int, ...]
    n_special: int = 2
    shared: bool = True

    @property
    def offsets(self) -> tuple[int, ...]:
        """First id of each codebook."""
        if not self.shared:
            return (0,) * len(self.codebook_sizes)
        return (0, *accumulate(size + self.n_special for size in self.codebook_sizes[:-1]))

    @property
    def vocab_size(self) -> int:
        sizes = [size + self.n_special for size in self.codebook_sizes]
        return sum(sizes) if self.shared else max(sizes)

    def to_ids(self, codes: Tensor, lengths: Tensor | None = None, end: bool = False) -> Tensor:
        """Convert codes to ids.

        Args:
            codes: `[B, n_q, T]`.
            lengths: `[B]` frames of each item; later frames become EMPTY. None: T.
            end: append a frame (END, EMPTY, EMPTY, ...) to each item.

        Returns:
            `[B, n_q, T]` int64, or T + 1 frames with `end`.

        Raises:
            ValueError: codes out of range, or `n_special` too small.
        """
        codes = check_shape(codes, self.codebook_sizes)
        batch, n_q, n_frames = codes.shape
        lengths = codes.new_full((batch,), n_frames) if lengths is None else lengths
        needed = 2 if end else int(bool((lengths < n_frames).any()))
        if self.n_special < needed:
            raise ValueError(f"n_special = {self.n_special}: padding needs 1 special code, an END frame 2")
        frames = torch.arange(n_frames + end, device=codes.device)
        past = (frames >= lengths[:, None])[:, None]  # [B, 1, T]
        codes = torch.nn.functional.pad(codes, (0, int(end))).masked_fill(past, 0)
        check_codes(codes, self.codebook_sizes)
        ids = (codes + self.n_special).masked_fill(past, EMPTY)
        if end:
            ids[:, 0] = torch.where(frames == lengths[:, None], END, ids[:, 0])
        return ids + self._offsets(n_q, codes)

    def from_ids(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Convert ids `[B, n_q, T]` to codes `[B, n_q, T]` and lengths `[B]`.

        An item ends at its first special semantic id; codes after that are 0.

        Raises:
            ValueError: an id belongs to another codebook, or is special within an item.
        """
        ids = check_shape(ids, self.codebook_sizes)
        codes = ids - self._offsets(ids.shape[1], ids) - self.n_special
        special = (codes[:, 0] < 0) & (codes[:, 0] >= -self.n_special)
        ended = special.cumsum(1) > 0
        codes = codes.masked_fill(ended[:, None], 0)
        check_codes(codes, self.codebook_sizes)
        return codes, (~ended).sum(1)

    def flatten(self, ids: Tensor) -> Tensor:
        """`[B, n_q, T]` -> `[B, T * n_q]`, frame by frame."""
        return rearrange(ids, "b k t -> b (t k)")

    def unflatten(self, ids: Tensor, n_q: int | None = None) -> Tensor:
        """`[B, T * n_q]` -> `[B, n_q, T]`; `n_q` is the number of codebooks unless given.

        Raises:
            ValueError: the length is not a multiple of `n_q`.
        """
        n_q = len(self.codebook_sizes) if n_q is None else n_q
        if ids.shape[1] % n_q:
            raise ValueError(f"ids: length {ids.shape[1]} is not a multiple of {n_q} codebooks")
        return rearrange(ids, "b (t k) -> b k t", k=n_q)

    def _offsets(self, n_q: int, like: Tensor) -> Tensor:
        return torch.tensor(self.offsets[:n_q], device=like.device)[:, None]
