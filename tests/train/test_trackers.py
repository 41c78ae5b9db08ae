"""Every tracker gets metrics, clips and pictures, without a network."""

import sys

import pytest
import torch
from matplotlib.figure import Figure

from codec.extras import MissingDependencyError
from train.log import RunLogger
from train.settings.config import LoggerConfig
from train.tasks.base import Validation
from train.trackers import make_tracker


def log(folder, tracker, start=0):
    """Log a step and a validation, as a training does."""
    logger = RunLogger(folder, LoggerConfig(tracker, progress=False), {"seed": 1}, start, 2)
    logger.log(start + 1, {"loss/total": 0.5})
    figure = Figure(figsize=(1, 1))
    figure.subplots().plot([0, 1])
    logger.log_validation(start + 1, Validation({"estoi": 0.25}, {"clip": torch.zeros(240)}, {"clip": figure}, 24_000))
    logger.close()


def test_tensorboard(tmp_path):
    """A resumed run goes on in the same place."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log(tmp_path, "tensorboard")
    log(tmp_path, "tensorboard", start=1)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss/total")] == [(1, 0.5), (2, 0.5)]
    assert [e.value for e in events.Scalars("valid/estoi")] == [0.25, 0.25]
    assert events.Tags()["audio"] == ["audio/clip"]
    assert events.Tags()["images"] == ["spectrogram/clip"]


def test_trackio(tmp_path, monkeypatch):
    pytest.importorskip("trackio")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    for name in [name for name in sys.modules if name.partition(".")[0] == "trackio"]:
        monkeypatch.delitem(sys.modules, name)  # it reads the variable once
    log(tmp_path, "trackio")
    log(tmp_path, "trackio", start=1)
    from trackio.sqlite_storage import SQLiteStorage

    (run,) = SQLiteStorage.get_runs("codec37")
    rows = SQLiteStorage.get_logs("codec37", run)
    assert [(row["step"], row["loss/total"]) for row in rows if "loss/total" in row] == [(1, 0.5), (2, 0.5)]


def test_none_leaves_metrics_and_samples_in_the_folder(tmp_path):
    log(tmp_path, "none")
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"metrics.jsonl", "clip.wav", "clip.png"}


@pytest.mark.parametrize("name", ["wandb", "trackio", "tensorboard"])
def test_what_is_not_installed_is_named(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard" if name == "tensorboard" else name, None)
    with pytest.raises(MissingDependencyError, match=rf"logger.tracker = {name} needs {name}: pip install {name}"):
        make_tracker(LoggerConfig(name), tmp_path, {}, 0)
