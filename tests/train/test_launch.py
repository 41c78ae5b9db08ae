"""Studies on a cluster: trainings are jobs of Hydra's launchers, here of those that stay on this machine."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from train.ablate import job, launch


@dataclass
class Training:
    """Stands in for a run: all they do is to print the help; those are complete whose log has `expected`."""

    name: str
    folder: Path
    expected: str
    overrides: tuple[str, ...] = ("--help",)

    @property
    def is_complete(self) -> bool:
        log = self.folder / job.LOG
        return self.expected in (log.read_text() if log.exists() else "")


@pytest.fixture
def trainings(tmp_path):
    """Three trainings, one of them complete from the beginning, and one never."""
    expected = {"complete": "", "plain": "trainer.steps", "broken": "nowhere"}
    return [Training(f"{name}/0", tmp_path / f'out, "1"/{name}/0', text) for name, text in expected.items()]


@pytest.mark.parametrize(
    ("launcher", "package"), [("joblib", "hydra_joblib_launcher"), ("submitit_local", "hydra_submitit_launcher")]
)
def test_what_is_incomplete_runs_as_jobs(trainings, tmp_path, launcher, package):
    pytest.importorskip(f"hydra_plugins.{package}")
    overrides = [f"hydra/launcher={launcher}", *(["hydra.launcher.n_jobs=2"] if launcher == "joblib" else [])]
    failures = launch.launch_all(trainings, overrides, tmp_path / 'out, "1"')
    assert list(failures) == ["broken/0"]
    assert failures["broken/0"].startswith("training failed with status 0: ")
    assert [t.is_complete for t in trainings] == [True, True, False]
    assert not (trainings[0].folder / job.LOG).exists()
    assert launch.launch_all(trainings[:2], overrides, tmp_path) == {}


def test_a_lost_job_is_an_error_that_says_what_to_do(trainings, tmp_path, monkeypatch):
    def run(trainings, config):
        raise RuntimeError("time limit")

    monkeypatch.setattr(job, "run", run)
    with pytest.raises(ValueError, match="a job was lost: time limit; when no job is left, the same command resumes"):
        launch.launch_all(trainings, ["hydra/launcher=basic"], tmp_path)


def test_jobs_start_without_torch():
    """Hydra sends them all that it has registered."""
    code = "import sys, train.ablate.job, train.settings.name; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=job.ROOT)


def test_unknown_launchers_and_settings(trainings, tmp_path):
    for overrides in (["hydra/launcher=cloud"], ["hydra/launcher=basic", "hydra.launcher.speed=1"]):
        with pytest.raises(ValueError, match=overrides[-1].partition("=")[0].replace(".", r"\.")):
            launch.launch_all(trainings, overrides, tmp_path)
    assert not any((t.folder / job.LOG).exists() for t in trainings)
