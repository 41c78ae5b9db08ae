"""A batch of encoded utterances, with lengths, rates and the fingerprint of the codec."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from codec.tensors import write_tensors


@dataclass(frozen=True)
class Tokens:
    """Codes of B utterances of different lengths.

    Tensors or arrays of any integer type are converted to int64.

    Raises:
        ValueError: wrong shapes or types; the message names the field.
    """

    codes: Tensor  # [B, K, T] int64, the semantic codebook first; zeros after the end of an item
    n_samples: Tensor  # [B] int64, samples of each item at `sample_rate`
    sample_rate: int  # Hz
    hop_length: int  # samples per frame
    fingerprint: str = ""  # of the codec; "" decodes with any

    def __post_init__(self) -> None:
        object.__setattr__(self, "codes", to_integers(self.codes))
        if self.codes.ndim != 3 or not len(self.codes):
            raise ValueError(f"codes: shape {tuple(self.codes.shape)}; expected integers [B >= 1, K, T]")
        object.__setattr__(self, "n_samples", to_integers(self.n_samples, "n_samples"))
        if self.n_samples.shape != (len(self.codes),):
            shape = tuple(self.n_samples.shape)
            raise ValueError(f"n_samples: shape {shape}; expected [{len(self.codes)}], one per item")
        if self.sample_rate <= 0 or self.hop_length <= 0:
            raise ValueError(
                f"sample_rate = {self.sample_rate}, hop_length = {self.hop_length}: expected positive numbers"
            )
        if int(self.n_samples.min()) < 0:
            raise ValueError(f"n_samples: {self.n_samples.tolist()}; expected integers of at least 0")
        longest, n_frames = int(self.n_samples.max()), self.codes.shape[2]
        if longest > n_frames * self.hop_length:
            raise ValueError(f"n_samples: {longest} samples exceed {n_frames} frames")

    @classmethod
    def from_codes(cls, codes: Tensor | NDArray, sample_rate: int, hop_length: int) -> Tokens:
        """Make tokens of bare codes `[B, n_q, T]`, each item with T whole frames, for any codec."""
        codes = to_integers(codes)
        if codes.ndim != 3:
            raise ValueError(f"codes: shape {tuple(codes.shape)}; expected integers [B, n_q, T]")
        n_samples = torch.full((len(codes),), codes.shape[-1] * hop_length)
        return cls(codes, n_samples, sample_rate, hop_length)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, item: int) -> Tokens:
        """Utterance `item` as a batch of one, cut to its length."""
        item = range(len(self))[item]
        codes = self.codes[item : item + 1, :, : int(self.lengths[item])]
        return replace(self, codes=codes, n_samples=self.n_samples[item : item + 1])

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Tokens:
        """Copy to a device."""
        codes, n_samples = (x.to(device, non_blocking=non_blocking) for x in (self.codes, self.n_samples))
        return replace(self, codes=codes, n_samples=n_samples)

    def pin_memory(self) -> Tokens:
        """Copy to pinned memory; called by torch's DataLoader, so that `to` does not block."""
        return replace(self, codes=self.codes.pin_memory(), n_samples=self.n_samples.pin_memory())

    @property
    def lengths(self) -> Tensor:
        """Frames of each item, `[B]` int64."""
        return (self.n_samples + self.hop_length - 1) // self.hop_length

    @property
    def frame_rate(self) -> float:
        return self.sample_rate / self.hop_length

    @property
    def durations(self) -> Tensor:
        """Seconds of each item, `[B]` float64."""
        return self.n_samples.double() / self.sample_rate

    def prefix(self, n_q: int) -> Tokens:
        """Keep the first `n_q` codebooks, for a lower bitrate.

        Raises:
            ValueError: `n_q` is not in 1 .. K.
        """
        if not 1 <= n_q <= self.codes.shape[1]:
            raise ValueError(f"n_q = {n_q}: expected 1 to {self.codes.shape[1]}")
        return replace(self, codes=self.codes[:, :n_q])

    def crop(self, start: float = 0.0, end: float | None = None) -> Tokens:
        """Keep the frames that overlap `start` to `end` seconds of every item; fewer or none if it ends before.

        Raises:
            ValueError: not 0 <= start <= end.
        """
        end = max(start, self.codes.shape[2] / self.frame_rate) if end is None else end
        if not 0 <= start <= end:
            raise ValueError(f"crop from {start} to {end} s: expected 0 <= start <= end")
        slack = 1e-6  # so that a bound of frame / frame_rate is exact
        first = math.floor(start * self.frame_rate + slack)
        stop = math.ceil(end * self.frame_rate - slack)
        n_samples = (self.n_samples.clamp(max=stop * self.hop_length) - first * self.hop_length).clamp(min=0)
        return replace(self, codes=self.codes[:, :, first:stop], n_samples=n_samples)

    @classmethod
    def join(cls, parts: Sequence[Tokens]) -> Tokens:
        """Concatenate in time, item by item; an incomplete last frame of a part counts as a whole frame.

        Raises:
            ValueError: no parts, or parts of different batch sizes, codebook counts or codecs.
        """
        _check_same(parts, lambda p: (p.sample_rate, p.hop_length, p.fingerprint, len(p), p.codes.shape[1]))
        rows = [torch.cat([p.codes[i, :, : p.lengths[i]] for p in parts], dim=1) for i in range(len(parts[0]))]
        whole = sum(p.lengths * p.hop_length for p in parts)
        last_gap = torch.zeros_like(parts[0].n_samples)
        for p in parts:
            last_gap = torch.where(p.n_samples > 0, p.lengths * p.hop_length - p.n_samples, last_gap)
        return replace(parts[0], codes=pad_codes(rows), n_samples=whole - last_gap)

    @classmethod
    def stack(cls, parts: Sequence[Tokens]) -> Tokens:
        """Concatenate batches: the `collate_fn` of a DataLoader over Tokens.

        Raises:
            ValueError: no parts, or parts of different codebook counts or codecs.
        """
        _check_same(parts, lambda p: (p.sample_rate, p.hop_length, p.fingerprint, p.codes.shape[1]))
        rows = [p.codes[i, :, : p.lengths[i]] for p in parts for i in range(len(p))]
        return replace(parts[0], codes=pad_codes(rows), n_samples=torch.cat([p.n_samples for p in parts]))

    def save(self, path: str | Path) -> None:
        """Write a safetensors file, with codes as int16 if they fit."""
        fits = not self.codes.numel() or int(self.codes.max()) < 2**15
        codes = self.codes.to(torch.int16 if fits else torch.int32)
        tensors = {"codes": codes.cpu(), "n_samples": self.n_samples.cpu()}
        metadata = {"sample_rate": self.sample_rate, "hop_length": self.hop_length, "fingerprint": self.fingerprint}
        write_tensors(Path(path), tensors, {name: str(value) for name, value in metadata.items()})

    @classmethod
    def load(cls, path: str | Path) -> Tokens:
        """Read what `save` wrote.

        Raises:
            ValueError: the file is missing, damaged or holds something else; the message names it.
        """
        try:
            content = Path(path).read_bytes()
            tensors = load(content)
            metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
            rates = int(metadata["sample_rate"]), int(metadata["hop_length"])
            return cls(tensors["codes"], tensors["n_samples"], *rates, metadata["fingerprint"])
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ValueError(f"{path}: not a tokens file, or a damaged one ({error})") from error


def to_integers(values: Tensor | NDArray, name: str = "codes") -> Tensor:
    """Convert a tensor or array of any integer type and byte order to int64.

    Raises:
        ValueError: another type; the message names it.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        return torch.from_numpy(values.astype(np.int64))
    if not isinstance(values, Tensor):
        what = f"array of {values.dtype}" if isinstance(values, np.ndarray) else type(values).__name__
        remedy = "use torch.tensor for a list of numbers, Tokens.stack for a list of Tokens"
        raise ValueError(f"{name}: {what}; expected a tensor or array of integers: {remedy}")
    if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
        raise ValueError(f"{name}: {values.dtype} {tuple(values.shape)}; expected integers")
    return values.long()


def pad_codes(rows: Sequence[Tensor]) -> Tensor:
    """Stack codes `[K, t_i]` of different lengths to `[B, K, max t_i]`, padded with zeros."""
    longest = max(row.shape[1] for row in rows)
    return torch.stack([torch.nn.functional.pad(row, (0, longest - row.shape[1])) for row in rows])


def check_codes(codes: Tensor | NDArray, codebook_sizes: Sequence[int]) -> Tensor:
    """Check codes `[B, n_q, T]` against the sizes of their codebooks; returns int64.

    Raises:
        ValueError: not integers, an impossible number of codebooks, or a code out of range.
    """
    codes = check_shape(codes, codebook_sizes)
    n_q = codes.shape[1]
    sizes = torch.tensor(codebook_sizes[:n_q], device=codes.device)[:, None]
    bad = (codes < 0) | (codes >= sizes)
    if bool(bad.any()):
        item, book, frame = bad.nonzero()[0].tolist()
        raise ValueError(
            f"codes[{item}, {book}, {frame}] = {int(codes[item, book, frame])}: codebook {book} has codes 0 to "
            f"{codebook_sizes[book] - 1}; convert ids by IdLayout.from_ids first"
        )
    return codes


def check_shape(codes: Tensor | NDArray, codebook_sizes: Sequence[int]) -> Tensor:
    """Check type and shape of codes or ids `[B, n_q, T]`, not their values; returns int64.

    Raises:
        ValueError: not integers, or an impossible number of codebooks.
    """
    codes = to_integers(codes)
    if codes.ndim != 3:
        raise ValueError(f"codes: shape {tuple(codes.shape)}; expected integers [B, n_q, T]")
    n_q = codes.shape[1]
    if not 1 <= n_q <= len(codebook_sizes):
        raise ValueError(f"codes: {n_q} codebooks; this codec takes 1 to {len(codebook_sizes)}")
    return codes


def _check_same(parts: Sequence[Tokens], key: Callable[[Tokens], object]) -> None:
    if not parts:
        raise ValueError("parts: empty; give at least one Tokens")
    for part in parts[1:]:
        if key(part) != key(parts[0]):
            raise ValueError(f"parts do not match: {key(parts[0])} and {key(part)}")
