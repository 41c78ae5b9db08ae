"""The folder of a run: a name for each variant, one training at a time, the same settings at every start."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest

from codec.checkpoint.store import CheckpointError
from train.folder import check_same, default_name, lock, record

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "task": "codec",
    "seed": 0,
    "resume": "auto",
    "run_dir": "runs/a",
    "model": {"init": "transform", "windows": [32, 16], "layer_scale_init": 5e-4},
    "data": {"train": "a.jsonl", "num_workers": 2},
    "optim": {"lr": 1e-3, "lr_scale": {}},
    "trainer": {"steps": 10, "minutes": 0.0, "validate_every": 5, "device": "auto", "accumulate": 1},
    "logger": {"wandb": "disabled"},
}


def changed(name, value):
    settings = copy.deepcopy(SETTINGS)
    *groups, last = name.split(".")
    place = settings
    for group in groups:
        place = place[group]
    place[last] = value
    return settings


@pytest.fixture
def run(tmp_path):
    record(tmp_path, SETTINGS, "float32")
    (tmp_path / "checkpoints/step_00000001").mkdir(parents=True)
    return tmp_path


def test_the_same_settings_go_on(run):
    check_same(run, SETTINGS)


@pytest.mark.parametrize(
    ("name", "before", "now"),
    [
        ("model.init", "transform", "random"),
        ("model.windows", "[32, 16]", [32, 8]),
        ("data.train", "a.jsonl", "b.jsonl"),
        ("optim.lr", "0.001", 5e-4),
        ("optim.lr_scale.codec", "unset", 2.0),
        ("seed", "0", 1),
        ("task", "codec", "tts"),
        ("trainer.accumulate", "1", 2),
    ],
)
def test_other_settings_are_refused_by_name(run, name, before, now):
    with pytest.raises(ValueError, match="other settings") as error:
        check_same(run, changed(name, now))
    assert f"{name} = {before}, now {now}" in str(error.value)
    assert "another run_dir" in str(error.value)
    assert "resume=force" in str(error.value)
    assert str(error.value).count(", now ") == 1
    check_same(run, changed(name, now) | {"resume": "force"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trainer.steps", 20),
        ("trainer.minutes", 1.0),
        ("trainer.validate_every", 0),
        ("trainer.device", "cpu"),
        ("data.num_workers", 0),
        ("logger.wandb", "online"),
        ("logger.project", "mine"),
        ("run_dir", "moved/a"),
    ],
)
def test_what_may_differ_goes_on(run, name, value):
    check_same(run, changed(name, value))


def test_a_start_that_trained_nothing_binds_nothing(tmp_path):
    check_same(tmp_path, SETTINGS)
    record(tmp_path, SETTINGS, "float32")
    check_same(tmp_path, changed("data.train", "b.jsonl"))


def test_names_tell_variants_apart():
    variants = [
        [],
        ["data.train=/data/a/train.jsonl"],
        ["data.train=/data/b/train.jsonl"],
        ["data.train=train.jsonl", "loss=adversarial", "model.windows=[32,16,8,4]"],
        ["data.train=train.jsonl", "loss.distill.kind=none"],
        ["data.train=train.jsonl", "model.init=codec/weights"],
        ["data.train=train.jsonl", "+data.made_share=0.5"],
        ["data.train=train.jsonl", *(f"model.field_{i}=1" for i in range(50))],
    ]
    names = [default_name("codec_small", ["experiment=codec_small", *v]) for v in variants]
    assert names[0] == "codec_small"
    assert names[3].startswith("codec_small-train_train.jsonl-loss_adversarial-windows_32_16_8_4-")
    assert len(set(names)) == len(names)
    assert all(name.startswith("codec_small") and len(name) < 100 for name in names)
    assert not any(set(name) & set("/,=[] ") for name in names)  # Hydra takes them as they are, in model.init=runs/...


def test_names_do_not_depend_on_what_may_differ():
    name = default_name("a", ["experiment=a", "seed=1", "loss=x"])
    assert name == default_name("a", ["loss=x", "trainer.steps=5", "seed=1", "logger=disabled", "experiment=a"])
    assert default_name(None, []) == "train"


HOLD = """
import sys
from pathlib import Path
from train.folder import lock
with lock(Path(sys.argv[1])):
    print(flush=True)
    input()
"""


def test_one_training_at_a_time_and_none_after_kill(tmp_path):
    folder = tmp_path / "run"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    other.stdout.readline()
    with pytest.raises(ValueError, match=rf"another training .*process {other.pid} .*another run_dir"), lock(folder):
        pass
    other.kill()
    other.wait()
    with lock(folder):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="another run_dir"), lock(tmp_path / "file"):
        pass
