"""The folder of a run: a name for each variant, one training at a time, the same settings at every start."""

import signal

import pytest
from forks import fork_code
from omegaconf import OmegaConf
from waiting import wait_until

from codec.checkpoint.store import CheckpointError
from train.folder import check_same_settings, lock, record_start
from train.settings.compose import compose_run
from train.settings.name import default_name

SETTINGS = ["experiment=codec_small", "data.train=a.jsonl", "run_dir=runs/a", "optim.lr=1e-3"]


def changed(name, value):
    return compose_run([*SETTINGS, f"{name}={value}"])


@pytest.fixture
def run(tmp_path):
    record_start(tmp_path, compose_run(SETTINGS), precision="float32")
    (tmp_path / "checkpoints/step_00000001").mkdir(parents=True)
    return tmp_path


def test_the_same_settings_go_on(run):
    check_same_settings(run, compose_run(SETTINGS))


@pytest.mark.parametrize(
    ("name", "before", "now"),
    [
        ("model.init", "transform", "random"),
        ("model.windows", "[16, 8, 4, 2]", "[16, 8, 4, 4]"),
        ("model.quantizer.dropout", "0.25", "0.5"),
        ("data.train", "a.jsonl", "b.jsonl"),
        ("optim.lr", "0.001", "0.0005"),
        ("optim.lr_scale.codec", "unset", "2.0"),
        ("seed", "0", "1"),
        ("trainer.accumulate", "1", "2"),
    ],
)
def test_other_settings_are_refused_by_name(run, name, before, now):
    with pytest.raises(ValueError, match="other settings") as error:
        check_same_settings(run, changed(("+" if before == "unset" else "") + name, now))
    assert f"{name} = {before}, now {now}" in str(error.value)
    assert "another run_dir" in str(error.value)
    assert "resume=force" in str(error.value)
    assert str(error.value).count(", now ") == 1
    check_same_settings(run, compose_run([*SETTINGS, "seed=1", "resume=force"]))


def test_a_run_from_before_a_setting_was_there_goes_on(run):
    """In the form that all versions have recorded: Hydra's groups."""
    recorded = OmegaConf.load(run / "config.yaml")
    assert recorded.model.init == "transform"
    assert recorded.model.windows == [16, 8, 4, 2]
    del recorded.optim.ema_decay, recorded.data.made_share, recorded.model.init_encoder, recorded.trainer.freeze
    (run / "config.yaml").write_text(OmegaConf.to_yaml(recorded))
    check_same_settings(run, changed("optim.ema_decay", 0.0))
    with pytest.raises(ValueError, match=r"optim\.ema_decay = 0\.0, now 0\.99"):
        check_same_settings(run, compose_run(SETTINGS))


def test_a_setting_that_is_no_more_is_named(run):
    recorded = OmegaConf.load(run / "config.yaml")
    (run / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.merge(recorded, {"optim": {"momentum": 0.9}})))
    with pytest.raises(ValueError, match=r"config\.yaml: optim\.momentum: no such setting; .*another version"):
        check_same_settings(run, compose_run(SETTINGS))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trainer.steps", 20),
        ("trainer.minutes", 1.0),
        ("trainer.validate_every", 0),
        ("trainer.device", "cpu"),
        ("data.num_workers", 0),
        ("logger.tracker", "none"),
        ("logger.project", "mine"),
        ("run_dir", "moved/a"),
    ],
)
def test_what_may_differ_goes_on(run, name, value):
    check_same_settings(run, changed(name, value))


def test_a_start_that_trained_nothing_binds_nothing(tmp_path):
    check_same_settings(tmp_path, compose_run(SETTINGS))
    record_start(tmp_path, compose_run(SETTINGS), precision="float32")
    check_same_settings(tmp_path, changed("data.train", "b.jsonl"))


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
    assert name == default_name("a", ["loss=x", "trainer.steps=5", "seed=1", "logger=none", "experiment=a"])
    assert default_name(None, []) == "train"


HOLD = """
import sys, time
from pathlib import Path
from train.folder import lock
with lock(Path(sys.argv[1])):
    print(flush=True)
    time.sleep(600)
"""


def test_one_training_at_a_time_and_none_after_kill(tmp_path):
    folder = tmp_path / "run"
    other = fork_code(HOLD, tmp_path, folder)
    wait_until(lambda: (tmp_path / "log").is_file() and (tmp_path / "log").read_text(), "locked")
    with pytest.raises(ValueError, match=rf"another training .*process {other.pid} .*another run_dir"), lock(folder):
        pass
    other.send_signal(signal.SIGKILL)
    other.wait()
    with lock(folder):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="another run_dir"), lock(tmp_path / "file"):
        pass
