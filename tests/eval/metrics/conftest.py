"""A recording of speech, and noise as long."""

import numpy as np
import pytest
import soundfile


@pytest.fixture(scope="package")
def speech():
    return soundfile.read("tests/data/kathleen.flac", dtype="float32")[0]


@pytest.fixture(scope="package")
def noise(speech):
    return 0.1 * np.random.default_rng(0).standard_normal(len(speech), dtype=np.float32)
