"""The load benchmark: late packets by hand, request files, and a run with a tiny voice model."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from forks import Fork
from tiny_tts import write_tts

SCRIPT = Path(__file__).parents[2] / "benchmarks/serve_load.py"


@pytest.fixture(scope="module")
def serve_load():
    spec = importlib.util.spec_from_file_location("serve_load", SCRIPT)
    module = sys.modules["serve_load"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_packet_is_late_once_all_before_it_was_played(serve_load):
    packets = [(1.0, 0.5), (1.2, 0.5), (2.5, 0.1), (2.6, 1.0), (3.0, 1.0)]  # played: 1.0-2.0, a gap, 2.5-4.6
    speech = serve_load.Speech(10, packets, 3.0)
    assert speech.gaps() == pytest.approx([0.5])
    result = serve_load.summary(serve_load.Load([speech, serve_load.Speech(20, [(0.5, 2.0)], 0.5)], 4.0, 2.55))
    assert result["late_packets"] == 1
    assert result["total_packets"] == 6
    assert result["audio_continuity_ok_rate"] == 0.5
    assert result["char_throughput"] == 30 / 4.0
    assert result["processor_rtf"] == pytest.approx(2.55 / 5.1)
    assert result["median_audio_ttfp_ms"] == 750
    assert result["median_audio_rtf"] == pytest.approx((3.0 / 3.1 + 0.5 / 2.0) / 2)


@pytest.mark.parametrize("content", ["", "\n", "[]", '{"text": "One."}', "One."])
def test_request_files_that_are_none(serve_load, content, tmp_path):
    (tmp_path / "requests.jsonl").write_text(content)
    with pytest.raises(ValueError, match=r"requests.jsonl: .*(prompt|write one)"):
        serve_load.read_prompts(tmp_path / "requests.jsonl")


def test_a_run(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "codec")
    write_tts(tmp_path / "tiny", tokenizer, codec=str(tmp_path / "codec"))
    (tmp_path / "requests.jsonl").write_text('{"prompt": "One two."}\n{"prompt": "Three."}\n')
    files = ["--model", tmp_path / "tiny", "--dataset-path", tmp_path / "requests.jsonl", "--out", tmp_path]
    sizes = ["--slots", "2", "--max-concurrency", "1", "3", "--num-prompts", "2", "--threads", "1"]
    log = tmp_path / "log"
    assert Fork("serve_load", *files, *sizes, log=log, cwd=SCRIPT.parent).wait() == 0, log.read_text()
    assert "| clients | slots | first packet p50, ms |" in log.read_text()
    runs = json.loads((tmp_path / "serve_load_tiny_cpu_float32.json").read_text())["runs"]
    assert [(run["max_concurrency"], run["slots"], run["completed"]) for run in runs] == [(1, 2, 2), (3, 2, 3)]
    assert all(run["median_audio_ttfp_ms"] > 0 and run["total_audio_duration_s"] > 0 for run in runs)
