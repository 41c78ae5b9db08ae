"""Random crops of recordings: an endless dataset whose item i depends on the seed and i alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.audio.io import AudioError
from codec.recordings.media import open_recording
from codec.recordings.utterance import Utterance
from codec.settings import AtLeast1, NonNegativeInt, Seconds, Settings, require
from train.data.audio.augment import AugmentConfig, augment, change_speed
from train.data.audio.companions import HOPS_PER_SECOND, companion_path, read_companion, require_companions
from train.data.sources import Sources
from train.losses.teacher import TeacherStates

MAX_ATTEMPTS = 20


@dataclass
class DataConfig(Settings):
    """Recordings to train on and how to crop them; paths are manifests, folders or tar shards."""

    train: Sources  # training data: a path, or {NAME: {path: PATH, weight: 1}, ...} for several sources
    valid: str | None = None  # validation data, a path; null: no validation
    crop_s: Seconds = 2.88  # seconds of a clip, rounded to whole frames
    batch_size: AtLeast1 = 8  # clips over all ranks, before accumulation
    num_workers: NonNegativeInt = 1  # processes per rank; 0 reads in the training process
    companions: str = ""  # folder of pitch and Whisper states, see `train.data.audio.companions`
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.train), "train", self.train, "a manifest, a folder or a tar shard, or several by name")

    def crop_length(self, sample_rate: int, hop_length: int) -> int:
        """Length of a clip in samples.

        Raises:
            ValueError: less than a frame.
        """
        n_frames = round(self.crop_s * sample_rate / hop_length)
        require(n_frames > 0, "crop_s", self.crop_s, f"at least one frame, {hop_length / sample_rate} s")
        return n_frames * hop_length


@dataclass(frozen=True)
class Clip:
    waveform: NDArray[np.float32]  # [length], not padded
    text: str | None  # transcript, if the clip is the whole utterance
    n_skipped: int  # unusable files that it replaces
    f0: NDArray[np.float32] | None = None  # [hops] Hz in the middle of each 10 ms, 0 where unvoiced
    teacher_states: TeacherStates | None = None


@dataclass
class Batch:
    waveform: Tensor  # [B, L] float32, zeros after each clip's end
    lengths: Tensor  # [B] int64, in samples
    texts: list[str | None]  # [B]
    n_skipped: int
    f0: Tensor | None = None  # [B, hops] Hz in the middle of each 10 ms, 0 where unvoiced; None without companions
    teacher_states: list[TeacherStates | None] | None = None  # of each clip; None without companions

    def to(self, device: torch.device | str) -> Batch:
        return self._map(lambda x: x.to(device, non_blocking=True), lambda states: states.to(device))

    def pin_memory(self) -> Batch:
        """Called by torch's loader, so that `to` does not block."""
        return self._map(Tensor.pin_memory, TeacherStates.pin_memory)

    def _map(self, tensor: Callable[[Tensor], Tensor], states: Callable[[TeacherStates], TeacherStates]) -> Batch:
        return replace(
            self,
            waveform=tensor(self.waveform),
            lengths=tensor(self.lengths),
            f0=None if self.f0 is None else tensor(self.f0),
            teacher_states=self.teacher_states and [item and states(item) for item in self.teacher_states],
        )


class CropDataset:
    """Endless dataset of clips: item i is a random crop, or a whole utterance if it is short enough.

    Every epoch has a new order, with each utterance about once per crop length of its duration.
    """

    def __init__(
        self, utterances: Sequence[Utterance], sample_rate: int, hop_length: int, config: DataConfig, seed: int
    ):
        self.crop_length = config.crop_length(sample_rate, hop_length)
        require(len(utterances) > 0, "utterances", utterances, "at least one")
        require(seed >= 0, "seed", seed, "0 or more")
        crop_s = self.crop_length / sample_rate
        counts = [max(1, round((utterance.duration_s or 0) / crop_s)) for utterance in utterances]
        self.units = np.repeat(np.arange(len(utterances)), counts)  # [epoch length], one utterance each
        if config.companions:
            require_companions(config.companions, utterances)
        self.utterances, self.sample_rate, self.augment, self.seed = utterances, sample_rate, config.augment, seed
        self.companions = config.companions
        self._epoch, self._order = -1, self.units
        self._warned: set[str] = set()

    @property
    def epoch_length(self) -> int:
        return len(self.units)

    @property
    def hours(self) -> float:
        """Total duration of the utterances."""
        return sum(utterance.duration_s or 0.0 for utterance in self.utterances) / 3600

    def __getitem__(self, i: int) -> Clip:
        """Read clip i.

        Raises:
            AudioError: `MAX_ATTEMPTS` files in a row are unusable.
        """
        reasons: dict[str, AudioError] = {}
        for attempt in range(MAX_ATTEMPTS):
            rng = np.random.default_rng((self.seed, i, attempt))
            # An unusable file is replaced by a random one, so the order of the epoch stays the same.
            utterance = self.utterances[
                self.units[rng.integers(self.epoch_length)] if attempt else self.utterance_index(i)
            ]
            try:
                cut = self._read(utterance, rng)
            except AudioError as error:
                self._warn(utterance.path, error)
                reasons.setdefault(utterance.path, error)
                continue
            waveform = augment(cut.waveform, self.sample_rate, self.augment, rng)
            text = utterance.text if cut.is_whole else None
            return Clip(waveform, text, attempt, *self._crop_companion(utterance, cut))
        bad = "; ".join(map(str, list(reasons.values())[:3]))
        raise AudioError(f"item {i}: {MAX_ATTEMPTS} files in a row are unusable (such as {bad}); check the data")

    def collate(self, clips: Sequence[Clip]) -> Batch:
        """Stack clips to a batch `[B, crop_length]`, padded with zeros."""
        waveform = torch.zeros(len(clips), self.crop_length)
        for row, clip in zip(waveform, clips, strict=True):
            row[: len(clip.waveform)] = torch.from_numpy(clip.waveform)
        lengths = torch.tensor([len(clip.waveform) for clip in clips])
        batch = Batch(waveform, lengths, [clip.text for clip in clips], sum(clip.n_skipped for clip in clips))
        if not self.companions:
            return batch
        f0 = torch.zeros(len(clips), -(-self.crop_length * HOPS_PER_SECOND // self.sample_rate))
        for row, clip in zip(f0, clips, strict=True):
            assert clip.f0 is not None
            row[: len(clip.f0)] = torch.from_numpy(clip.f0)
        return replace(batch, f0=f0, teacher_states=_share_memory([clip.teacher_states for clip in clips]))

    def utterance_index(self, i: int) -> int:
        """Index of the utterance of item i."""
        epoch, position = divmod(i, self.epoch_length)
        if epoch != self._epoch:
            self._order = np.random.default_rng((self.seed, epoch)).permutation(self.units)
            self._epoch = epoch
        return int(self._order[position])

    def _read(self, utterance: Utterance, rng: np.random.Generator) -> _Cut:
        with open_recording(utterance.path, self.sample_rate) as recording:
            speed = rng.uniform(*self.augment.speed)
            length = round(self.crop_length * speed)
            spare = recording.n_samples - length
            start = int(rng.integers(spare + 1)) if spare > 0 else 0
            x = recording.read(start, min(length, recording.n_samples))
            if not x.any():  # nothing to learn, and no level to scale to
                first, last = start / self.sample_rate, (start + len(x)) / self.sample_rate
                raise AudioError(f"silent: all samples from {first:.2f} to {last:.2f} s are 0")
        return _Cut(change_speed(x, speed, self.sample_rate)[: self.crop_length], start, speed, spare <= 0)

    def _crop_companion(
        self, utterance: Utterance, cut: _Cut
    ) -> tuple[NDArray[np.float32] | None, TeacherStates | None]:
        """Pitch `[hops]` and teacher states of a clip, if there are companions."""
        if not self.companions:
            return None, None
        companion = read_companion(companion_path(self.companions, utterance))
        clip = companion.crop(cut.start / self.sample_rate, len(cut.waveform) / self.sample_rate, cut.speed)
        return clip.f0, clip.teacher_states

    def _warn(self, path: str, error: AudioError) -> None:
        if path not in self._warned:
            self._warned.add(path)
            warnings.warn(f"skipped {error}", stacklevel=2)


class _Cut(NamedTuple):
    """A crop before augmentation."""

    waveform: NDArray[np.float32]  # [length], at `speed`
    start: int  # samples into the recording
    speed: float
    is_whole: bool


def _share_memory(items: Sequence[TeacherStates | None]) -> list[TeacherStates | None]:
    """Copy items to three blocks of memory: a worker sends each block as an open file, whose number is limited."""
    there = [item for item in items if item]
    if not there:
        return list(items)
    tokens = torch.cat([item.tokens for item in there]).split([len(item.tokens) for item in there])
    states = torch.cat([item.states for item in there]).split([len(item.states) for item in there])
    flat = torch.cat([item.attention.flatten() for item in there]).split([item.attention.numel() for item in there])
    shared = (TeacherStates(t, s, a.view(len(t), -1)) for t, s, a in zip(tokens, states, flat, strict=True))
    return [item and next(shared) for item in items]
