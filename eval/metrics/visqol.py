"""ViSQOL: quality from the similarity of spectrograms, by Google's program `visqol`.

Its source is https://github.com/google/visqol; the options are those of version 3.3.
"""

from __future__ import annotations

import csv
import shutil
import tempfile
from pathlib import Path

import soundfile

from codec.extras import MissingDependencyError
from eval.metrics.base import Column, Metric, Pair, at_rate
from eval.systems.programs import run_program

RATE = 16_000  # Hz, of the speech mode
COLUMNS = (Column("visqol", "ViSQOL", True, 2),)


def make_visqol(option: str) -> Metric:
    """Make the metric: scores of 1 to 5 in speech mode, at 16 kHz, over the parts where the reference has speech.

    Args:
        option: path of the model that maps similarity to quality (a .tflite file in the program's sources);
            empty: the program looks in `model` of the working folder.

    Raises:
        MissingDependencyError: the program is not on PATH, or there is no such model. `measure` raises ValueError
            for a silent waveform, and where the program fails or gives no score.
    """
    if shutil.which("visqol") is None:
        raise MissingDependencyError("visqol not found: build https://github.com/google/visqol and put it on PATH")
    if option and not Path(option).is_file():
        raise MissingDependencyError(
            f"visqol: model {option} not found; its sources have one in model/, ending in .tflite"
        )
    model = ["--similarity_to_quality_model", option] if option else []

    def measure(pair: Pair) -> list[float]:
        with tempfile.TemporaryDirectory() as name:
            reference, output, scores = (Path(name) / file for file in ("reference.wav", "output.wav", "scores.csv"))
            for path, waveform in ((reference, pair.reference), (output, pair.output)):
                x = at_rate(waveform, pair.sample_rate, RATE, path.stem)
                soundfile.write(path, x, RATE, subtype="PCM_16")  # the only format that it reads
            command = ["visqol", "--use_speech_mode", *model, "--results_csv", str(scores)]
            try:
                run_program([*command, "--reference_file", reference, "--degraded_file", output])
            except RuntimeError as error:
                raise ValueError(str(error)) from error
            if not scores.exists():  # its exit status is 0 even then
                raise ValueError("ViSQOL: no score; it needs some seconds of speech")
            with scores.open(newline="") as file:
                return [float(row["moslqo"]) for row in csv.DictReader(file)]

    return Metric(COLUMNS, measure)
