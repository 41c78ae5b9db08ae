"""Nine recordings of different lengths, and some of other rates."""

import itertools
from pathlib import Path

import numpy as np
import soundfile

CLIPS = sorted((Path(__file__).parent / "data").glob("*.flac"))


def write_pieces(folder):
    """Write pieces of the clips to files; returns the clip, the length in samples and the file's name of each."""
    pieces = []
    for clip, n_samples in itertools.product(CLIPS, (30_000, 9_001, 20_000)):
        name = f"{clip.stem}{n_samples}.wav"
        soundfile.write(folder / name, soundfile.read(clip, dtype="float32", frames=n_samples)[0], 24_000)
        pieces.append((clip, n_samples, name))
    return pieces


def write_rates(folder):
    """Write noise at 16 and 44.1 kHz to files; returns their paths."""
    paths = []
    for rate in (16_000, 44_100):
        paths.append(folder / f"{rate}.wav")
        soundfile.write(paths[-1], np.random.default_rng(rate).uniform(-0.5, 0.5, rate + 1), rate)
    return paths
