"""Token shards: codes of recordings, written by `python -m train.data.tokens.tokenize` to train TTS on.

A folder holds `index.json` and, for each shard, `00000.safetensors` with `codes` int16 `[K, T]` and `activity`
uint8 `[T]` of its utterances, concatenated, and `00000.jsonl` with a line per utterance.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from codec.dataset.folder import INDEX, read_index, shard_path
from codec.files import write_json_lines
from codec.tensors import write_tensors

COMMAND = "python -m train.data.tokens.tokenize"


@dataclass(frozen=True)
class TokenInfo:
    """The codec of the codes."""

    codec: str  # name or path, as given
    fingerprint: str
    codebook_sizes: tuple[int, ...]  # [K]
    ordinal: tuple[bool, ...]  # [K], whether codes are ordered levels or entries
    frame_rate: float  # Hz


@dataclass(frozen=True)
class TokenLine:
    """Metadata of an utterance."""

    id: str  # of the recording; the same at all speeds
    start: int  # its first frame in the shard
    n_frames: int
    text: str | None
    speaker: str | None  # differs between speeds
    language: str | None
    speed: float


@dataclass(frozen=True)
class TokenUtterance:
    """An utterance with its codes; the tensors are copies."""

    id: str
    text: str | None
    speaker: str | None
    language: str | None
    speed: float
    codes: Tensor  # [K, T] int16
    activity: Tensor  # [T] uint8, the probability of speech times 255


class TokenSet(Sequence[TokenUtterance]):
    """Utterances of a folder of token shards, read from disk on access.

    Works in workers of any start method: forked ones share the memory, others open the folder again.

    Raises:
        ValueError: the folder is missing, unfinished, damaged or empty; the message says what to do.
    """

    info: TokenInfo
    lines: list[TokenLine]  # in the order of the utterances
    shard_edges: list[int]  # first utterance of each shard, then the number of utterances

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        index = read_index(self.folder, COMMAND)
        try:
            sizes, ordinal = tuple(index["codebook_sizes"]), tuple(index["ordinal"])
            self.info = TokenInfo(index["codec"], index["fingerprint"], sizes, ordinal, index["frame_rate"])
            n_shards = int(index["n_shards"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{self.folder / INDEX}: damaged ({error!r}); write it again with {COMMAND}") from error
        check_complete(self.folder, n_shards)
        self._mapped: dict[int, tuple[Tensor, Tensor]] = {}
        self.lines, self.shard_edges = [], [0]
        for number in range(n_shards):
            lines = read_lines(self.folder, number)
            self._check_shard(number, lines)
            self.lines += lines
            self.shard_edges.append(len(self.lines))
        if not self.lines:
            raise ValueError(f"{folder}: no utterances in its {n_shards} shards")

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index: int) -> TokenUtterance:  # type: ignore[override]
        index = range(len(self))[index]
        line = self.lines[index]
        codes, activity = self._shard(bisect_right(self.shard_edges, index) - 1)
        frames = slice(line.start, line.start + line.n_frames)
        # Clones: sending a view to another process would send the whole shard.
        about = (line.id, line.text, line.speaker, line.language, line.speed)
        return TokenUtterance(*about, codes[:, frames].clone(), activity[frames].clone())

    def __reduce__(self) -> tuple[type[TokenSet], tuple[Path]]:
        return TokenSet, (self.folder,)

    def _shard(self, number: int) -> tuple[Tensor, Tensor]:
        """Codes and activity of a shard, memory-mapped on first access."""
        if number not in self._mapped:
            with safe_open(shard_path(self.folder, number, ".safetensors"), framework="pt") as file:
                self._mapped[number] = file.get_tensor("codes"), file.get_tensor("activity")
        return self._mapped[number]

    def _check_shard(self, number: int, lines: list[TokenLine]) -> None:
        path = shard_path(self.folder, number, ".safetensors")
        n_frames = sum(line.n_frames for line in lines)
        expected = {"codes": ("I16", [len(self.info.codebook_sizes), n_frames]), "activity": ("U8", [n_frames])}
        try:
            with safe_open(path, framework="pt") as file:
                parts = {name: file.get_slice(name) for name in expected}
                found = {name: (part.get_dtype(), part.get_shape()) for name, part in parts.items()}
        except (OSError, SafetensorError) as error:
            raise ValueError(f"{path}: damaged ({error}); delete it and run {COMMAND} again") from error
        starts = [0, *accumulate(line.n_frames for line in lines)][:-1]
        if found != expected or starts != [line.start for line in lines]:
            raise ValueError(f"{path}: holds {found}, its .jsonl says {expected}; delete both and run {COMMAND} again")


def has_shard(folder: Path, number: int) -> bool:
    return all(shard_path(folder, number, suffix).is_file() for suffix in (".jsonl", ".safetensors"))


def check_complete(folder: Path, n_shards: int, command: str = COMMAND) -> None:
    """Check that a folder has all its shards.

    Raises:
        ValueError: some are missing.
    """
    n_there = sum(has_shard(folder, number) for number in range(n_shards))
    if n_there < n_shards:
        raise ValueError(f"{folder}: {n_there} of {n_shards} shards are there; run {command} again to finish it")


def write_shard(folder: Path, number: int, utterances: Sequence[TokenUtterance], n_codebooks: int) -> None:
    """Write a shard, which may be empty."""
    starts = accumulate((len(u.activity) for u in utterances), initial=0)
    lines = (
        TokenLine(u.id, start, len(u.activity), u.text, u.speaker, u.language, u.speed)
        for u, start in zip(utterances, starts, strict=False)
    )
    write_json_lines(shard_path(folder, number, ".jsonl"), map(asdict, lines))
    nothing = torch.zeros(n_codebooks, 0, dtype=torch.int16), torch.zeros(0, dtype=torch.uint8)
    codes = torch.cat([nothing[0], *(u.codes for u in utterances)], dim=1)
    activity = torch.cat([nothing[1], *(u.activity for u in utterances)])
    # Written last: it marks the shard as complete.
    write_tensors(shard_path(folder, number, ".safetensors"), {"codes": codes, "activity": activity}, {})


def read_lines(folder: Path, number: int, kind: type[Any] = TokenLine, command: str = COMMAND) -> list[Any]:
    """Read the lines of a shard, each as a `kind`.

    Raises:
        ValueError: the file is damaged.
    """
    path = shard_path(folder, number, ".jsonl")
    try:
        with path.open(encoding="utf-8") as file:
            return [kind(**json.loads(line)) for line in file]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete it and run {command} again") from error
