"""Pitch-synchronous time: frames begin with a cycle, whatever the phase of the recording, and nothing else changes."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from train.data.pitch import fundamental_phase, lock_pitch

CLIPS = sorted((Path(__file__).parents[2] / "data").glob("*.flac"))
RATE, HOP = 24_000, 1920


def voice(f0, phase=0.0):
    """Six falling harmonics of a pitch `[L]` in Hz."""
    cycles = phase + np.cumsum(f0) / RATE
    return sum(np.cos(2 * np.pi * k * cycles) / k for k in range(1, 7)).astype(np.float32) / 5


def glide(start, end, seconds=2.0):
    return np.linspace(start, end, int(seconds * RATE))


def inner_frames(x):
    """`[T, HOP]`, without those at the ends, where the voice sets in."""
    return x.reshape(-1, HOP)[2:-3]


@pytest.mark.parametrize("f0", [glide(110, 110), glide(205, 205), glide(100, 150), glide(280, 190)])
def test_frames_begin_with_a_cycle(f0):
    y = lock_pitch(voice(f0), RATE, HOP)
    cycles, is_voiced = fundamental_phase(y, RATE)
    starts = np.arange(2, len(y) // HOP - 2) * HOP
    assert is_voiced[starts].all()
    assert np.abs(cycles[starts] - cycles[starts].round()).max() < 0.05


def test_the_phase_of_a_recording_does_not_matter():
    f0 = glide(205, 205)
    one, other = (inner_frames(lock_pitch(voice(f0, phase), RATE, HOP)) for phase in (0.0, 0.4))
    unlocked = [inner_frames(voice(f0, phase)[: len(f0) // HOP * HOP]) for phase in (0.0, 0.4)]
    assert np.abs(one - other).max() < 0.05
    assert np.abs(unlocked[0] - unlocked[1]).max() > 0.5


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.stem)
def test_speech_keeps_its_length_and_sound(clip):
    x, rate = soundfile.read(clip, dtype="float32")
    y = lock_pitch(x, rate, HOP)
    assert len(y) % HOP == 0
    assert len(y) == pytest.approx(len(x), rel=0.02, abs=2 * HOP)
    assert np.sqrt(np.mean(y**2)) == pytest.approx(np.sqrt(np.mean(x**2)), rel=0.1)
    assert np.abs(y).max() < 1.05 * np.abs(x).max()


@pytest.mark.parametrize("length", [1, 700, 48_000])
def test_without_a_voice_only_whole_frames_are_made(length):
    for x in (np.zeros(length, np.float32), np.random.default_rng(0).normal(0, 0.1, length).astype(np.float32)):
        y = lock_pitch(x, RATE, HOP)
        assert len(y) == -(-length // HOP) * HOP
        if not x.any():
            assert not y.any()
