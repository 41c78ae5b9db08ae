"""The semantic table: labels follow the sound, numbers are shares, missing transcripts are named."""

from pathlib import Path

import pytest
import torch
from train.semantic import Spoken, read_spoken, row, sound_labels

CLIPS = Path(__file__).parents[1] / "data"


def test_labels_follow_the_sound():
    t = torch.arange(24_000 * 2) / 24_000
    low, high = 0.3 * torch.sin(2 * torch.pi * 300 * t), 0.3 * torch.sin(2 * torch.pi * 3000 * t)
    noise = 0.1 * torch.randn(24_000 * 4, generator=torch.Generator().manual_seed(0))
    (labels,) = sound_labels([torch.cat([low, high, low, high]) + 0.01 * noise.repeat(2)], [100], 24_000, 12.5)
    middle = [set(labels[i + 3 : i + 22].tolist()) for i in (0, 25, 50, 75)]
    assert not middle[0] & middle[1]
    assert not middle[2] & middle[3]
    assert middle[0] & middle[2]


def test_row_of_a_random_codec(tokenizer):
    waveforms = [0.1 * torch.randn(24_000, generator=torch.Generator().manual_seed(i)) for i in range(8)]
    spoken = Spoken(waveforms, ["hello"] * 8)
    cer, *shares = row(tokenizer, spoken, spoken)
    assert cer >= 0
    assert all(0 <= share <= 1 for share in shares)
    assert shares[0] >= shares[1] - 0.1  # a little above chance or at it


def test_transcripts_are_needed():
    with pytest.raises(ValueError, match="no transcripts"):
        read_spoken(CLIPS, 1, 24_000)
