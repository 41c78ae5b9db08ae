"""A run of two systems over recordings whose ids are no file names."""

import pytest
import soundfile

from eval.metrics.base import Column
from eval.results import Recording, Results, SystemResult
from eval.store import REFERENCE, file_of, make_folder

RATE = 24_000
IDS = {"a/1.wav": "One  two.", "b 2": "Three\nfour."}


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    speech = soundfile.read("tests/data/kathleen.flac", dtype="float32")[0]
    for system, gain in ((REFERENCE, 1.0), ("opus-9", 0.5), ("runs/mine@0", 0.25)):
        for number, name in enumerate(IDS):
            path = make_folder(file_of(folder, "audio", system, name))
            soundfile.write(path, gain * speech[: RATE + number], RATE, subtype="PCM_24")
    recordings = [Recording(name, 1.0, text=text) for name, text in IDS.items()]
    systems = [SystemResult(name, values={"stoi": {"b 2": 0.5}}) for name in ("opus-9", "runs/mine@0")]
    Results(recordings, [Column("stoi", "STOI", True, 3)], systems).save(folder)
    return folder
