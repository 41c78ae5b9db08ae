"""ViSQOL, with a fake program on PATH that writes scores as the real one does."""

import numpy as np
import pytest
import soundfile

from codec.extras import MissingDependencyError
from eval.metrics.base import Pair
from eval.metrics.visqol import make_visqol

# Keeps its arguments and files; the score is 4.5 unless the test asks for another end.
FAKE = """#!/bin/sh
folder=$(dirname "$0")
echo "$@" > "$folder/arguments"
while [ $# -gt 0 ]; do
  case "$1" in
    --reference_file) cp "$2" "$folder"; reference=$2;;
    --degraded_file) cp "$2" "$folder"; output=$2;;
    --results_csv) scores=$2;;
  esac
  shift
done
{end}
"""
SCORE = 'printf "reference,degraded,moslqo\\n%s,%s,4.5\\n" "$reference" "$output" > "$scores"'


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a `visqol` on PATH that ends in a way."""

    def make(end=SCORE):
        (tmp_path / "visqol").write_text(FAKE.replace("{end}", end))
        (tmp_path / "visqol").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return tmp_path

    return make


def test_the_program_gets_both_at_16_khz(program, speech, noise):
    folder = program()
    output = speech + noise
    metric = make_visqol("")
    assert metric.measure(Pair(speech, output)) == [4.5]
    assert (folder / "arguments").read_text().startswith("--use_speech_mode --results_csv ")
    for name, x in (("reference", speech), ("output", output)):
        samples, rate = soundfile.read(folder / f"{name}.wav")
        assert (rate, soundfile.info(folder / f"{name}.wav").subtype) == (16_000, "PCM_16")
        assert len(samples) == pytest.approx(len(x) * 2 / 3, abs=1)
        assert np.std(samples) == pytest.approx(np.std(x), rel=0.3)


def test_a_model_is_handed_on(program, speech):
    folder = program()
    model = folder / "lattice.tflite"
    with pytest.raises(MissingDependencyError, match=f"model {model} not found"):
        make_visqol(str(model))
    model.touch()
    metric = make_visqol(str(model))
    metric.measure(Pair(speech, speech))
    assert f"--similarity_to_quality_model {model} " in (folder / "arguments").read_text()


@pytest.mark.parametrize(
    ("end", "message"),
    [("echo starting; echo no model >&2; exit 1", "visqol failed with status 1: no model"), (":", "ViSQOL: no score")],
)
def test_a_program_that_gives_no_score(end, message, program, speech):
    program(end)
    with pytest.raises(ValueError, match=message):
        make_visqol("").measure(Pair(speech, speech))


def test_silence_has_no_score(program, speech):
    program()
    with pytest.raises(ValueError, match="output: silent"):
        make_visqol("").measure(Pair(speech, 0 * speech))


def test_without_the_program(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingDependencyError, match="visqol not found: build https://"):
        make_visqol("")
