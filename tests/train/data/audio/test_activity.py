"""Speech activity: high where somebody talks, low where nobody does, a number for every frame."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.extras import MissingDependencyError
from train.data.audio.activity import frame_activity, load_detector

pytest.importorskip("silero_vad")
pytest.importorskip("onnxruntime")
CLIP = Path(__file__).parents[3] / "data/kathleen.flac"
HOP = 1920


@pytest.fixture(scope="module")
def speech():
    return torch.from_numpy(soundfile.read(CLIP, dtype="float32")[0][: 30 * HOP])


def test_speech_is_told_from_silence(speech):
    silence = torch.zeros(30 * HOP)
    activity = frame_activity(torch.cat([silence, speech, silence]), 24_000, HOP)
    assert activity.shape == (90,)
    assert activity[32:58].median() > 0.9
    assert activity[:29].max() < 0.3
    assert activity[-20:].max() < 0.3


def test_a_frame_takes_the_highest_of_its_chunks(speech):
    """With frames of one chunk at its own rate the probabilities come out as they are."""
    x = speech[: 40 * 512 + 1]
    probs = load_detector().audio_forward(x.numpy(), 16_000)
    chunks = frame_activity(x, 16_000, 512)
    torch.testing.assert_close(chunks, torch.from_numpy(probs))
    for n in (2, 5):
        pooled = torch.stack([part.max() for part in chunks.split(n)])
        torch.testing.assert_close(frame_activity(x, 16_000, n * 512), pooled)
    thirds = frame_activity(x, 16_000, 512 * 3 // 2)  # frame 1 is the second half of chunk 1, and chunk 2
    torch.testing.assert_close(thirds[:2], torch.stack([chunks[:2].max(), chunks[1:3].max()]))


@settings(max_examples=30, deadline=None)
@given(
    n_samples=st.integers(1, 6_000),
    hop_length=st.integers(50, 3_000),
    sample_rate=st.sampled_from([8_000, 16_000, 22_050, 24_000, 48_000]),
)
def test_a_probability_for_every_frame(n_samples, hop_length, sample_rate):
    activity = frame_activity(torch.randn(n_samples), sample_rate, hop_length)
    assert activity.shape == (-(-n_samples // hop_length),)
    assert activity.dtype == torch.float32
    assert ((activity >= 0) & (activity <= 1)).all()


def test_threads_do_not_disturb_each_other(speech):
    parts = list(speech.split(7_001))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda x: frame_activity(x, 24_000, HOP), parts * 4))
    for part, activity in zip(parts * 4, together, strict=True):
        assert torch.equal(activity, frame_activity(part, 24_000, HOP))


def test_loading_leaves_the_threads_of_torch_alone(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "silero_vad"]:
        monkeypatch.delitem(sys.modules, name)
    torch.set_num_threads(3)
    load_detector.__wrapped__()
    assert torch.get_num_threads() == 3
    torch.set_num_threads(1)


@pytest.mark.parametrize("package", ["silero_vad", "onnxruntime"])
def test_a_missing_package_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        load_detector.__wrapped__()


@pytest.mark.parametrize("shape", [(0,), (2, 100)])
def test_what_is_no_waveform_is_refused(shape):
    with pytest.raises(ValueError, match="expected \\[L\\]"):
        frame_activity(torch.zeros(shape), 24_000, HOP)
