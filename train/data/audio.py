"""Random crops of recordings: item i of an endless dataset, a function of the seed and i alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.audio.io import AudioError
from eval.testsets import Utterance
from train.data.augment import AugmentConfig, augment, change_speed
from train.data.media import open_recording

MAX_ATTEMPTS = 20


@dataclass
class DataConfig:
    """What to train on and how it is cut; sources are manifests, folders or tar shards."""

    train: str
    valid: str | None = None
    crop_s: float = 2.88
    batch_size: int = 8  # clips over all ranks, before accumulation
    num_workers: int = 1  # processes per rank; 0 reads in the training process
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        if not self.train:
            raise ValueError(f"train = {self.train!r}: expected a manifest, a folder or a tar shard")
        if not 0 < self.crop_s < np.inf:
            raise ValueError(f"crop_s = {self.crop_s}: expected seconds above 0")
        if self.batch_size < 1:
            raise ValueError(f"batch_size = {self.batch_size}: expected at least 1")
        if self.num_workers < 0:
            raise ValueError(f"num_workers = {self.num_workers}: expected 0 or more")


@dataclass(frozen=True)
class Clip:
    waveform: NDArray[np.float32]  # [length], not padded
    text: str | None  # what is said, if the clip is the whole utterance
    n_skipped: int  # unusable files met on the way


@dataclass
class Batch:
    waveform: Tensor  # [B, L] float32, zeros after each clip's end
    lengths: Tensor  # [B] int64, in samples
    texts: list[str | None]  # [B]
    n_skipped: int

    def to(self, device: torch.device | str) -> Batch:
        waveform, lengths = (x.to(device, non_blocking=True) for x in (self.waveform, self.lengths))
        return replace(self, waveform=waveform, lengths=lengths)

    def pin_memory(self) -> Batch:
        """Called by torch's loader, so that `to` need not wait."""
        return replace(self, waveform=self.waveform.pin_memory(), lengths=self.lengths.pin_memory())


class CropDataset:
    """Endless clips: `dataset[i]` is a random crop, or a whole utterance if that fits.

    Every epoch visits each utterance about once per crop length of its duration, in a new order.
    """

    def __init__(
        self, utterances: Sequence[Utterance], sample_rate: int, hop_length: int, config: DataConfig, seed: int
    ):
        self.crop_length = round(config.crop_s * sample_rate / hop_length) * hop_length  # in samples
        if not self.crop_length:
            raise ValueError(f"crop_s = {config.crop_s}: expected at least one frame, {hop_length / sample_rate} s")
        if not utterances:
            raise ValueError("utterances = []: expected at least one")
        if seed < 0:
            raise ValueError(f"seed = {seed}: expected 0 or more")
        crop_s = self.crop_length / sample_rate
        counts = [max(1, round((utterance.duration_s or 0) / crop_s)) for utterance in utterances]
        self.units = np.repeat(np.arange(len(utterances)), counts)  # [epoch length], one utterance each
        self.utterances, self.sample_rate, self.augment, self.seed = utterances, sample_rate, config.augment, seed
        self._epoch, self._order = -1, self.units
        self._warned: set[str] = set()

    @property
    def epoch_length(self) -> int:
        return len(self.units)

    def __getitem__(self, i: int) -> Clip:
        """Clip i of the endless sequence.

        Raises:
            AudioError: `MAX_ATTEMPTS` files in a row cannot be used.
        """
        for attempt in range(MAX_ATTEMPTS):
            rng = np.random.default_rng((self.seed, i, attempt))
            # A file that cannot be used is replaced by any other: the order of the epoch stays as it is.
            utterance = self.utterances[self.units[rng.integers(self.epoch_length)] if attempt else self.unit(i)]
            try:
                waveform, is_whole = self._read(utterance, rng)
            except AudioError as error:
                self._warn(utterance.path, error)
                continue
            waveform = augment(waveform, self.sample_rate, self.augment, rng)
            return Clip(waveform, utterance.text if is_whole else None, attempt)
        bad = ", ".join(sorted(self._warned)[:3])
        raise AudioError(f"item {i}: {MAX_ATTEMPTS} files in a row cannot be used (such as {bad}); check the data")

    def collate(self, clips: Sequence[Clip]) -> Batch:
        """Clips as one batch `[B, crop_length]`, short ones followed by zeros."""
        waveform = torch.zeros(len(clips), self.crop_length)
        for row, clip in zip(waveform, clips, strict=True):
            row[: len(clip.waveform)] = torch.from_numpy(clip.waveform)
        lengths = torch.tensor([len(clip.waveform) for clip in clips])
        return Batch(waveform, lengths, [clip.text for clip in clips], sum(clip.n_skipped for clip in clips))

    def unit(self, i: int) -> int:
        """Which utterance item i is taken from."""
        epoch, position = divmod(i, self.epoch_length)
        if epoch != self._epoch:
            self._order = np.random.default_rng((self.seed, epoch)).permutation(self.units)
            self._epoch = epoch
        return int(self._order[position])

    def _read(self, utterance: Utterance, rng: np.random.Generator) -> tuple[NDArray[np.float32], bool]:
        with open_recording(utterance.path, self.sample_rate) as recording:
            speed = rng.uniform(*self.augment.speed)
            length = round(self.crop_length * speed)
            spare = recording.n_samples - length
            start = int(rng.integers(spare + 1)) if spare > 0 else 0
            x = recording.read(start, min(length, recording.n_samples))
        return change_speed(x, speed, self.sample_rate)[: self.crop_length], spare <= 0

    def _warn(self, path: str, error: AudioError) -> None:
        if path not in self._warned:
            self._warned.add(path)
            warnings.warn(f"skipped {error}", stacklevel=2)
