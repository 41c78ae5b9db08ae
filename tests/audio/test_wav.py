"""A WAV header for samples that are still to come."""

import numpy as np
import pytest
import torch

from codec.audio.io import read_audio, read_comment
from codec.audio.wav import stream_header


@pytest.mark.parametrize("n_samples", [1, 24_001])
@pytest.mark.parametrize("comment", ["", "odd", "even", 600 * "é"])
@pytest.mark.parametrize("rate", [8_000, 24_000])
def test_readers_take_what_there_is(comment, n_samples, rate, tmp_path):
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, n_samples).astype("<i2")
    (tmp_path / "x.wav").write_bytes(stream_header(rate, comment) + samples.tobytes())
    expected = torch.from_numpy(samples.astype(np.float32)) / 2**15
    assert torch.equal(read_audio(tmp_path / "x.wav", None, rate), expected)
    assert read_comment(tmp_path / "x.wav") == comment
