"""Trials of listening tests, with recordings of a run under opaque names."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import fftconvolve, firwin

from codec.audio.io import read_audio
from eval.digest import digest
from eval.listen.key import Key, Kind, Trial
from eval.report.anchors import LOWPASS
from eval.results import Results
from eval.store import REFERENCE, file_of
from eval.systems.base import SAMPLE_RATE

LOW_ANCHOR = "lowpass-3.5k"  # of ITU-R BS.1534
PASS_HZ, STOP_HZ = 3500, 4000
N_TAPS = 255  # at 24 kHz: within 0.1 dB up to the one, at least 50 dB down from the other
N_TRIALS: dict[Kind, int] = {"mushra": 10, "abx": 16}


@dataclass(frozen=True)
class ListeningTest:
    """Data and sounds of a page, without names of systems, and the key to them."""

    key: Key
    data: dict[str, Any]
    sounds: dict[str, bytes]  # 16-bit FLAC by opaque name, in the order of the names


def make_test(
    folder: Path, kind: Kind, systems: Sequence[str], n_trials: int | None = None, seed: int = 0
) -> ListeningTest:
    """Make a test of some systems of a run, the same for the same seed.

    MUSHRA rates them, a hidden reference and, unless `lowpass-8k` is among them, BS.1534's low anchor, with each
    recording once. ABX asks which of two systems X is, and repeats recordings if need be.

    Args:
        folder: of a run of `python -m eval`.
        kind: of test.
        systems: names as in the run; in ABX also `reference`.
        n_trials: by default `N_TRIALS`, in MUSHRA no more than there are recordings.
        seed: of the choice of recordings and of all names.

    Raises:
        ValueError: systems that the run lacks, too many or too few, or too few recordings.
    """
    maker = _Maker(folder, systems, random.Random(seed))
    known = [s.system for s in maker.results.systems]
    if absent := [s for s in systems if s not in known and (kind, s) != ("abx", REFERENCE)]:
        raise ValueError(f"{folder}: no system {absent[0]}; there are {' '.join(known)}")
    if len(set(systems)) < len(systems):
        raise ValueError(f"systems {' '.join(systems)}: one is given twice")
    if kind == "abx" and len(systems) != 2:
        raise ValueError(f"systems {' '.join(systems)}: an ABX test compares two")
    recordings = maker.recordings(n_trials, kind)
    make = maker.mushra if kind == "mushra" else maker.abx
    trials = [make(f"t{i + 1}", recording) for i, recording in enumerate(recordings)]
    sounds = dict(sorted(maker.sounds.items()))
    test = digest(f"{kind} {seed}", *sounds.values())
    data = {"kind": kind, "test": test, "trials": [shown for _, shown in trials]}
    return ListeningTest(Key(kind, test, tuple(trial for trial, _ in trials)), data, sounds)


class _Maker:
    """Makes trials and the data that the page gets of each, and collects their sounds."""

    def __init__(self, folder: Path, systems: Sequence[str], rng: random.Random) -> None:
        self.folder, self.systems, self.rng = folder, systems, rng
        self.results = Results.load(folder)
        self.sounds: dict[str, bytes] = {}

    def recordings(self, n_trials: int | None, kind: Kind) -> list[str]:
        """Choose among the recordings whose audio was kept for all systems."""
        wanted = [REFERENCE, *self.systems]
        kept = [r.id for r in self.results.recordings if all(self._file(s, r.id).is_file() for s in wanted)]
        once = kind == "mushra"
        n = n_trials
        if n is None:
            n = min(N_TRIALS[kind], len(kept)) if once else N_TRIALS[kind]
        if not kept or n < 1 or (once and n > len(kept)):
            there = f"{self.folder} keeps the audio of {len(kept)} recordings for all systems"
            raise ValueError(f"{n} trials: {there}; ask for at least 1, in mushra at most as many as these")
        self.rng.shuffle(kept)
        return [kept[i % len(kept)] for i in range(n)]

    def mushra(self, name: str, recording: str) -> tuple[Trial, dict[str, Any]]:
        original = self._read(REFERENCE, recording)
        stimuli = {self._add(self._read(s, recording)): s for s in self.systems}
        stimuli[self._add(original)] = REFERENCE
        if LOWPASS[0] not in self.systems:
            stimuli[self._add(low_anchor(original, SAMPLE_RATE))] = LOW_ANCHOR
        shown = {"id": name, "reference": self._add(original), "stimuli": sorted(stimuli)}
        return Trial(name, recording, stimuli), shown

    def abx(self, name: str, recording: str) -> tuple[Trial, dict[str, Any]]:
        stimuli = {self._add(self._read(s, recording)): s for s in self.systems}
        answer = self.rng.choice(list(stimuli))
        shown = {"id": name, "stimuli": sorted(stimuli), "x": self._add(self._read(stimuli[answer], recording))}
        return Trial(name, recording, stimuli, answer), shown

    def _add(self, waveform: NDArray[np.float32]) -> str:
        name = f"{self.rng.getrandbits(64):016x}"
        self.sounds[name] = flac(waveform)
        return name

    def _read(self, system: str, recording: str) -> NDArray[np.float32]:
        return read_audio(self._file(system, recording), None, SAMPLE_RATE).numpy()

    def _file(self, system: str, recording: str) -> Path:
        return file_of(self.folder, "audio", system, recording)


def flac(waveform: NDArray[np.float32]) -> bytes:
    """24 kHz samples `[L]` as 16-bit FLAC."""
    file = io.BytesIO()
    soundfile.write(file, waveform.clip(-1, 1), SAMPLE_RATE, "PCM_16", format="FLAC")
    return file.getvalue()


def low_anchor(waveform: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """The low anchor of ITU-R BS.1534: `[L]` low-passed without delay, at a sample rate in Hz up to 24 kHz."""
    taps = firwin(N_TAPS, (PASS_HZ + STOP_HZ) / 2, window=("kaiser", 6.0), fs=sample_rate)
    padded = np.pad(waveform, N_TAPS // 2)
    return fftconvolve(padded, taps, mode="valid").astype(np.float32)
