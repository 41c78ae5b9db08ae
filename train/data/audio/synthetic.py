"""Random codes for synthetic pairs of codes and speech, see `train.tasks.synthetic`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from codec.dataset.folder import read_index
from codec.settings import Share, require
from train.data.audio.crops import DataConfig
from train.data.pairs.dataset import PairSet
from train.data.tokens.shards import COMMAND, TokenSet, TokenUtterance

WALK = 0.5  # largest step of a random walk, as a share of the range of levels
CHANGE = 0.5  # probability that the semantic code changes from frame to frame


@dataclass
class SyntheticDataConfig(DataConfig):
    """Recordings and, as a share of every batch, synthetic pairs: codes and speech by the decoder of `model.init`.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    made_share: float = 0.0  # share of synthetic clips in a batch
    made_tokens: str = ""  # token shards or a voice model's pairs to cut their codes from; empty: random walks
    made_mix: Share = 0.2  # share of codebooks with codes from another place in the shards

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.made_share < 1, "made_share", self.made_share, "a number from 0 to below 1")
        if self.made_share and not 0 < self.n_synthetic < self.batch_size:
            raise ValueError(
                f"made_share = {self.made_share}: {self.n_synthetic} of batch_size = {self.batch_size} clips; give a "
                "share that leaves both kinds, or a larger batch_size"
            )

    @property
    def n_synthetic(self) -> int:
        """Synthetic clips of a batch, over all ranks."""
        return round(self.made_share * self.batch_size)


class CodeSource(Protocol):
    """A source of random codes."""

    def draw(self, n: int, n_frames: int, generator: torch.Generator) -> Tensor:
        """Draw codes `[n, K, n_frames]` int64 with a CPU generator."""
        ...


class Spoken(NamedTuple):
    """What a voice model spoke."""

    codes: Tensor  # [K, T] int16


class TokenCodes:
    """Spans of codes of speech, with some codebooks exchanged between spans.

    So codes change over time as in speech, but their combinations are new.

    Args:
        folder: token shards of any codec with these codebooks, or pairs that a voice model spoke.
        codebook_sizes: `[K]`.
        mix: share of codebooks from another span.

    Raises:
        ValueError: unusable shards, or other codebooks.
    """

    def __init__(self, folder: str, codebook_sizes: Sequence[int], mix: float) -> None:
        index = read_index(Path(folder), COMMAND)
        found = tuple(index.get("codebook_sizes", ()))
        if found != tuple(codebook_sizes):
            raise ValueError(
                f"data.made_tokens = {folder!r}: codebooks {found}, the codec has {tuple(codebook_sizes)}; give tokens "
                "for its decoder"
            )
        self.mix = mix
        self.utterances: Sequence[TokenUtterance | Spoken]
        if "measures" in index:
            self.utterances = [Spoken(codes) for pair in PairSet(folder) for codes in (pair.winner, pair.loser)]
        else:
            self.utterances = TokenSet(folder)

    def draw(self, n: int, n_frames: int, generator: torch.Generator) -> Tensor:
        spans = torch.stack([self._span(n_frames, generator) for _ in range(2 * n)]).long()
        mixed = torch.rand(n, spans.shape[1], 1, generator=generator) < self.mix
        return torch.where(mixed, spans[n:], spans[:n])

    def _span(self, n_frames: int, generator: torch.Generator) -> Tensor:
        """Codes `[K, n_frames]` of random utterances, joined."""
        parts, missing = [], n_frames
        while missing:
            codes = self.utterances[_below(len(self.utterances), generator)].codes
            start = _below(max(0, codes.shape[1] - missing) + 1, generator)
            parts.append(codes[:, start : start + missing])
            missing -= parts[-1].shape[1]
        return torch.cat(parts, dim=1)


class RandomCodes:
    """Random walks over uniformly frequent levels; semantic codes drawn by usage and held for some frames.

    Args:
        usage: `[N]`, weights of the semantic entries.
        levels: of each acoustic channel.
    """

    def __init__(self, usage: Tensor, levels: Sequence[int]) -> None:
        self.usage, self.levels = usage.cpu(), torch.tensor(levels)

    def draw(self, n: int, n_frames: int, generator: torch.Generator) -> Tensor:
        step = WALK * torch.rand(n, 1, 1, generator=generator)  # another for each clip
        walk = step * torch.randn(n, len(self.levels), n_frames, generator=generator)
        walk[..., 0] = 2 * torch.rand(n, len(self.levels), generator=generator)
        folded = 1 - (1 - walk.cumsum(2) % 2).abs()  # reflects at both ends, so levels stay uniform
        acoustic = torch.minimum((folded * self.levels[:, None]).long(), self.levels[:, None] - 1)
        drawn = torch.multinomial(self.usage, n * n_frames, replacement=True, generator=generator).view(n, n_frames)
        changes = torch.rand(n, n_frames, generator=generator) < CHANGE
        latest = (changes * torch.arange(n_frames)).cummax(1).values
        return torch.cat([drawn.gather(1, latest)[:, None], acoustic], dim=1)


def _below(n: int, generator: torch.Generator) -> int:
    return int(torch.randint(n, (), generator=generator))
