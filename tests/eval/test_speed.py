"""Speed by a clock that each reading moves on: what is counted, against what, and what is left out."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from tiny import make_codec

import eval.speed
from codec.tokenizer import Tokenizer
from eval.speed import FirstAudio, FrameLatency, Latency, first_audio, frame_latency, main, real_time_factor, timed


@pytest.fixture
def clock(monkeypatch):
    """Every reading is a millisecond later."""
    readings = itertools.count()
    monkeypatch.setattr(eval.speed, "time", SimpleNamespace(perf_counter=lambda: next(readings) / 1000))
    monkeypatch.setattr(eval.speed, "WARM_UP", 3)


def test_what_is_timed_is_called_and_its_result_kept() -> None:
    seconds, result = timed("cpu", divmod, 7, 2)
    assert result == (3, 1)
    assert seconds >= 0


def test_a_frame_takes_an_encode_and_a_decode(tokenizer, clock) -> None:
    one, two = Latency(pytest.approx(1), pytest.approx(1)), Latency(pytest.approx(2), pytest.approx(2))
    assert frame_latency(tokenizer, 5) == FrameLatency(one, one, two)


def test_frames_of_the_warm_up_do_not_count(tokenizer, monkeypatch) -> None:
    seconds = itertools.chain([9.0] * 6, [1e-3, 5e-3, 3e-3, 5e-3, 2e-3, 4e-3])
    monkeypatch.setattr(eval.speed, "timed", lambda _, function, *args: (next(seconds), function(*args)))
    monkeypatch.setattr(eval.speed, "WARM_UP", 3)
    found = frame_latency(tokenizer, 3)
    assert (found.encode.median, found.decode.median, found.both.median) == pytest.approx((2, 5, 6))
    assert found.encode.p95 == pytest.approx(2.9)
    assert found.both.p95 == pytest.approx(7.8)


@pytest.mark.parametrize("name", ["12.5 Hz", "50 Hz"])
def test_the_first_audio_waits_for_the_first_frames(name, clock) -> None:
    """At 50 Hz a stream holds back two frames before its first output; only the push that ends the wait counts."""
    tokenizer = Tokenizer(make_codec(name))
    c = tokenizer.config
    found = first_audio(tokenizer, 2)
    assert found == FirstAudio(1000 * c.lead_frames / c.frame_rate, pytest.approx(1))
    assert (c.lead_frames > 1) == (name == "50 Hz")


def test_real_time_factor_is_per_audio_of_the_whole_batch(tokenizer, clock) -> None:
    found = real_time_factor(tokenizer, 4, seconds=0.5)
    assert (found.encode, found.decode) == pytest.approx((0.001 / 2, 0.001 / 2))


def test_best_round_counts(tokenizer, monkeypatch) -> None:
    seconds = iter([3.0, 8.0, 2.0, 7.0, 4.0, 9.0])
    monkeypatch.setattr(eval.speed, "timed", lambda _, function, *args: (next(seconds), function(*args)))
    found = real_time_factor(tokenizer, 1, seconds=1.0)
    assert (found.encode, found.decode) == (2.0, 7.0)


def test_the_table(tokenizer, clock, tmp_path, capsys) -> None:
    tokenizer.save(tmp_path / "model")
    assert main([f"{tmp_path}/model", f"{tmp_path}/none", "--frames", "2", "--seconds", "0.5"]) == 1
    output = capsys.readouterr()
    assert f"PyTorch {torch.__version__}" in output.out
    assert output.out.splitlines()[-1] == (
        f"| {tmp_path}/model | 1.0 / 1.0 | 1.0 / 1.0 | 2.0 / 2.0 | 80 + 1.0 | 0.0020 / 0.0020 | 0.0005 / 0.0005 "
        "| 0.0001 / 0.0001 |"
    )
    assert f"{tmp_path}/none" in output.err
