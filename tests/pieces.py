"""Nine recordings of different lengths."""

import itertools
from pathlib import Path

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
