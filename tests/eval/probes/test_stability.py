"""An exact codec keeps its codes, one that is not is found out, and frames are held against the right ones."""

from pathlib import Path

import pytest
import soundfile
import torch
from tiny import make_codec

import eval.probes.stability
from codec.audio.io import write_audio
from codec.tokenizer import Tokenizer
from eval.probes.stability import CHUNKS_MS, SHIFTS, main, stability

CLIPS = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def exact() -> Tokenizer:
    """In float64, so that equal codes do not hinge on rounding."""
    return Tokenizer(make_codec().cast(torch.float64))


@pytest.fixture(scope="module")
def speech() -> torch.Tensor:
    return torch.from_numpy(soundfile.read(CLIPS / "kathleen.flac", dtype="float32")[0])


def test_an_exact_codec_keeps_its_codes(exact: Tokenizer, speech: torch.Tensor) -> None:
    hop, n_books = exact.config.hop_length, exact.config.num_codebooks
    found = stability(exact, [speech, speech[5000:]], [777, hop, 48_000], [hop, 3 * hop])
    assert list(found.streamed) == [777, hop, 48_000]
    assert list(found.shifted) == [hop, 3 * hop]
    for share in (*found.streamed.values(), *found.shifted.values()):
        assert share.tolist() == [1.0] * n_books


def test_frames_are_held_against_the_nearest(exact: Tokenizer) -> None:
    """Of a signal so slow that a few samples are nothing to it, and half a frame is something."""
    hop = exact.config.hop_length
    slow = torch.sin(torch.cumsum(torch.linspace(0, 1e-3, 10 * 24_000), 0))
    found = stability(exact, [slow], [], [8, hop - 8, hop + 8, 3 * hop // 2]).shifted
    *near, half = (float(share.mean()) for share in found.values())
    assert min(near) > 0.95
    assert half < min(near) - 0.1


def test_a_stream_that_differs_is_found_out(exact: Tokenizer, speech: torch.Tensor, monkeypatch) -> None:
    push = type(exact.encoder_stream()).push

    def push_quietly(stream, samples):
        return push(stream, 0.5 * samples)

    monkeypatch.setattr(type(exact.encoder_stream()), "push", push_quietly)
    assert stability(exact, [speech], [960], []).streamed[960].mean() < 0.9


def test_what_cannot_be_measured_is_named(exact: Tokenizer, speech: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="longer recordings"):
        stability(exact, [speech[:24_000]], [], [480])
    with pytest.raises(ValueError, match=r"shifts = \[0\]: expected numbers of samples, at least 1"):
        stability(exact, [speech], [], [0])


def test_the_table(exact: Tokenizer, speech: torch.Tensor, tmp_path: Path, capsys) -> None:
    exact.save(tmp_path / "model")
    write_audio(tmp_path / "clip.flac", speech, 24_000)
    assert main([str(tmp_path), f"{tmp_path}/model", f"{tmp_path}/none"]) == 1
    output = capsys.readouterr()
    *_, line = output.out.splitlines()
    assert line.startswith(f"| {tmp_path}/model | ")
    assert line.count(" / ") == len(CHUNKS_MS) + len(SHIFTS)
    assert f"{tmp_path}/none" in output.err


def test_recordings_are_read_once_for_each_sample_rate(exact, speech, tmp_path, monkeypatch) -> None:
    models = [str(tmp_path / name) for name in ("a", "b", "c")]
    for model, codec in zip(models, (exact, Tokenizer(make_codec("16 kHz")), exact), strict=True):
        codec.save(model)
    (tmp_path / "clips").mkdir()
    write_audio(tmp_path / "clips" / "clip.flac", speech, 24_000)
    read, read_recording = [], eval.probes.stability.read_recording

    def count(path, sample_rate):
        read.append(sample_rate)
        return read_recording(path, sample_rate)

    monkeypatch.setattr(eval.probes.stability, "read_recording", count)
    assert main([str(tmp_path / "clips"), *models]) == 0
    assert read == [24_000, 16_000]
