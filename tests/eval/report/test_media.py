"""Sounds and codes that a page carries."""

import io

import numpy as np
import pytest
import soundfile

from eval.metrics.signal import mel_distance
from eval.report.media import media, opus
from eval.report.runs import gather
from eval.store import file_of

CLIP = "tests/data/kathleen.flac"


def test_opus_is_small_and_close():
    original = soundfile.read(CLIP, dtype="float32")[0]
    file = opus(CLIP)
    copy, rate = soundfile.read(io.BytesIO(file), dtype="float32")
    assert (len(copy), rate) == (len(original), 24_000)
    assert mel_distance(original, copy, rate) < 0.25
    assert 30_000 < 8 * len(file) / (len(original) / rate) < 60_000


def test_all_that_is_kept(run):
    file_of(run, "audio", "model", "ü").unlink()
    blobs = dict(media(gather([run])))
    names = {f"audio-{s}-{r}" for s in ("reference", *range(6)) for r in range(4)} - {"audio-2-2"}
    assert blobs.keys() == names | {f"codes-{s}-{r}" for s in (1, 2) for r in range(4)}
    codes = np.frombuffer(blobs["codes-2-1"], "<u2").reshape(3, -1)
    np.testing.assert_array_equal(codes, np.load(file_of(run, "codes", "model", "b/1")))


def test_codes_beyond_16_bits(run):
    path = file_of(run, "codes", "model", "a")
    np.save(path, np.full((3, 13), 65_536, np.int32))
    with pytest.raises(ValueError, match=r"a\.npy: codes from 65536"):
        list(media(gather([run])))


def test_damaged_audio_is_named(run):
    file_of(run, "audio", "model", "a").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"model/a\.flac"):
        list(media(gather([run])))
