"""ViSQOL: quality from the similarity of spectrograms, by Google's program `visqol`.

https://github.com/google/visqol has it in source; version 3.3 is what the options are of.
"""

from __future__ import annotations

import csv
import shutil
import tempfile
from pathlib import Path

import soundfile

from eval.metrics.base import Column, Metric, MissingBackendError, Pair
from eval.metrics.rate import at_rate
from eval.systems.base import run_program

RATE = 16_000  # Hz, of the speech mode
COLUMNS = (Column("visqol", "ViSQOL", True, 2),)


def make_visqol(option: str) -> Metric:
    """Listening scores of 1 to 5 in speech mode: 16 kHz, where the reference has speech.

    Args:
        option: path of the model that maps similarity to quality (a .tflite file in the program's sources);
            empty: the program looks in `model` of the working folder.

    Raises:
        MissingBackendError: the program is not on PATH, or there is no such model. `measure` raises ValueError
            for a silent waveform, and where the program fails or gives no score.
    """
    if shutil.which("visqol") is None:
        raise MissingBackendError("visqol not found: build https://github.com/google/visqol and put it on PATH")
    if option and not Path(option).is_file():
        raise MissingBackendError(
            f"visqol: model {option} not found; its sources have one in model/, ending in .tflite"
        )
    model = ["--similarity_to_quality_model", option] if option else []

    def measure(pair: Pair) -> list[float]:
        with tempfile.TemporaryDirectory() as name:
            reference, output, scores = (Path(name) / file for file in ("reference.wav", "output.wav", "scores.csv"))
            for path, waveform in ((reference, pair.reference), (output, pair.output)):
                x = at_rate(waveform, pair.sample_rate, RATE, path.stem)
                soundfile.write(path, x, RATE, subtype="PCM_16")  # all it reads
            command = ["visqol", "--use_speech_mode", *model, "--results_csv", str(scores)]
            try:
                run_program([*command, "--reference_file", reference, "--degraded_file", output])
            except RuntimeError as error:
                raise ValueError(str(error)) from error
            if not scores.exists():  # it ends well even if it could not judge
                raise ValueError("ViSQOL: no score; it needs some seconds of speech")
            with scores.open(newline="") as file:
                return [float(row["moslqo"]) for row in csv.DictReader(file)]

    return Metric(f"visqol:{option}" if option else "visqol", COLUMNS, measure)
