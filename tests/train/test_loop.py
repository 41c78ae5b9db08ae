"""The order of events: bad steps, rollbacks, resuming, stopping, accumulation, averages."""

import json
import math
import os
import shutil
import signal
from itertools import count

import pytest
import torch
from torch import nn

from codec.checkpoint.store import CheckpointError
from train import checkpoint, dist
from train.dist import init_world
from train.log import RunLogger
from train.loop import Trainer, TrainingError
from train.settings.config import LoggerConfig, OptimConfig, TrainerConfig
from train.tasks.base import Validation


class LineTask:
    """Fit y = 3 x - 1; batches listed in `bad` give infinite gradients."""

    main = "line"
    best_metrics = ("estoi",)

    def __init__(self, bad=(), batch_size=4, on_batch=None):
        torch.manual_seed(0)
        self.networks = {"line": nn.Linear(1, 1)}
        self.parallel = dict(self.networks)
        self.bad, self.batch_size, self.on_batch = set(bad), batch_size, on_batch
        self.seen, self.skipped = [], []

    def batches(self, start, rank, world_size):
        for n in count(start):
            self.seen.append(n)
            if self.on_batch:
                self.on_batch(n)
            x = torch.stack([torch.randn(1, generator=torch.Generator().manual_seed(n * self.batch_size + i))
                             for i in range(self.batch_size)])  # fmt: skip
            yield x if n not in self.bad else x * math.inf

    def backward(self, batch, step, scale, generator):
        noise = torch.rand(1, generator=generator)
        loss = (self.parallel["line"](batch) - (3 * batch - 1 + 0.01 * noise)).square().mean()
        (scale * loss).backward()
        return {"loss/total": loss.detach()}

    def after_step(self, step, generator):
        return {"draw": float(torch.rand(1, generator=generator))}

    def skip_step(self):
        self.skipped.append(self.seen[-1])

    def validate(self):
        return Validation({"estoi": -float((self.networks["line"].weight.detach() - 3).abs())})

    def export(self, folder, state):
        (folder / "weight").write_text(str(float(state["weight"])))

    def compile(self):
        pass


def make(folder, task=None, optim=None, **settings):
    config = TrainerConfig(**{"steps": 20, "save_every": 4, "log_every": 1, "validate_every": 0, **settings})
    optim = optim or OptimConfig(lr=0.3, warmup_steps=0)
    return Trainer(task or LineTask(), config, optim, 0, folder, init_world("cpu"))


def fit(trainer):
    log = RunLogger(trainer.folder, LoggerConfig("none", progress=False), {}, trainer.progress.step, 20)
    try:
        return trainer.fit(log)
    finally:
        log.close()


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.task.networks["line"].parameters()])


def exported(folder, name):
    facts = json.loads((folder / name / "training.json").read_text())
    return facts | {"weight": float((folder / name / "weight").read_text())}


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_the_loss_falls_and_is_logged(tmp_path):
    assert fit(make(tmp_path)) == 0
    logged = lines(tmp_path)
    assert [line["step"] for line in logged] == list(range(1, 21))
    assert logged[-1]["loss/total"] < 0.5 * logged[0]["loss/total"]


def test_what_only_some_steps_have_is_averaged_over_these(tmp_path):
    task = LineTask()
    task.after_step = lambda step, generator: {"late": 3.0} if step >= 2 else {}
    fit(make(tmp_path, task, steps=4, log_every=4))
    assert lines(tmp_path)[-1]["late"] == 3


def test_resuming_is_exact_from_every_checkpoint(tmp_path):
    optim = OptimConfig(lr=0.1, warmup_steps=3, ema_decay=0.9)
    whole = make(tmp_path / "whole", optim=optim, keep_last=10)
    fit(whole)
    found = checkpoint.checkpoints(whole.checkpoints)
    assert [path.name for path in found] == [f"step_{n:08d}" for n in (0, 4, 8, 12, 16, 20)]
    for path in found[1:-1]:
        folder = tmp_path / path.name
        shutil.copytree(path, folder / "checkpoints" / path.name)
        resumed = make(folder, optim=optim)
        assert resumed.progress.step == int(path.name[5:])
        fit(resumed)
        assert torch.equal(weights(resumed), weights(whole))
        for name, tensor in whole.average.tensors.items():
            assert torch.equal(resumed.average.tensors[name], tensor)


def test_a_run_goes_on_on_a_machine_with_another_precision(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(dist, "emulates_bfloat16", lambda device: "")
    trainer = make(
        tmp_path, LineTask(on_batch=lambda n: setattr(trainer, "stop", signal.SIGTERM * (n == 7))), precision="auto"
    )
    assert fit(trainer) == signal.SIGTERM
    assert "precision: bfloat16" in capsys.readouterr().err
    monkeypatch.setattr(dist, "emulates_bfloat16", lambda device: "no instructions for it")
    resumed = make(tmp_path, precision="auto")
    assert resumed.progress.step == 8
    assert fit(resumed) == 0
    assert "precision: float32: no instructions for it" in capsys.readouterr().err
    assert torch.isfinite(weights(resumed)).all()


def test_accumulation_equals_larger_batches(tmp_path):
    class Exact(LineTask):
        def backward(self, batch, step, scale, generator):
            return super().backward(batch, step, scale, torch.Generator().manual_seed(0))

    whole = make(tmp_path / "a", Exact(batch_size=8))
    parts = make(tmp_path / "b", Exact(batch_size=4), accumulate=2)
    fit(whole)
    fit(parts)
    torch.testing.assert_close(weights(whole), weights(parts))
    assert parts.progress.batch == 2 * whole.progress.batch


def test_a_bad_step_is_skipped_and_counted(tmp_path):
    trainer = make(tmp_path, LineTask(bad=[6]))
    assert fit(trainer) == 0
    assert torch.isfinite(weights(trainer)).all()
    assert trainer.progress.n_bad_steps == 1
    assert trainer.task.skipped == [6]
    assert 7 not in [line["step"] for line in lines(tmp_path)]


def test_many_bad_steps_in_a_row_go_back_to_the_last_checkpoint(tmp_path, capsys):
    trainer = make(tmp_path, LineTask(bad=[9, 10, 11]), max_bad_steps=3)
    assert fit(trainer) == 0
    assert trainer.progress.n_rollbacks == 1
    assert trainer.progress.step == 20
    assert trainer.progress.batch == 20 + 4  # went back from step 12 to step 8, and read on
    assert "back to step 8" in capsys.readouterr().err


def test_the_best_outlives_going_back(tmp_path):
    """What was exported after the last checkpoint is not replaced by what is worse."""
    task = LineTask(bad=[9, 10])
    values = iter([9.0, 5.0, 3.0])  # of step 9, of step 9 again, and of the last
    task.validate = lambda: Validation({"estoi": next(values)})
    trainer = make(tmp_path, task, steps=12, validate_every=9, save_every=8, max_bad_steps=2)
    assert fit(trainer) == 0
    assert trainer.progress.n_rollbacks == 1
    assert exported(tmp_path, "best")["metrics"]["estoi"] == trainer.progress.best == 9


def test_a_hopeless_run_ends_with_advice(tmp_path):
    with pytest.raises(TrainingError, match=r"lower optim\.lr"):
        fit(make(tmp_path, LineTask(bad=range(5, 1000)), max_bad_steps=2))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends(tmp_path, number):
    before = signal.getsignal(number)
    task = LineTask(on_batch=lambda n: os.kill(os.getpid(), number) if n == 6 else None)
    trainer = make(tmp_path, task)
    assert fit(trainer) == number
    assert trainer.progress.step == exported(tmp_path, "last")["step"] == 7
    assert signal.getsignal(number) == before
    resumed = make(tmp_path)
    assert resumed.progress.step == 7
    assert fit(resumed) == 0
    whole = make(tmp_path / "whole")
    fit(whole)
    assert torch.equal(weights(resumed), weights(whole))
    assert [line["step"] for line in lines(tmp_path)] == list(range(1, 21))


def test_a_run_can_be_given_minutes(tmp_path):
    limits = {"steps": 10**9, "minutes": 0.01, "validate_every": 10**9}
    trainer = make(tmp_path, **limits)
    assert fit(trainer) == 0
    assert 0 < trainer.progress.step < 10**9
    assert exported(tmp_path, "best") == exported(tmp_path, "last") | exported(tmp_path, "best")
    rates = [line["lr"] for line in lines(tmp_path) if "lr" in line]
    assert rates[0] == pytest.approx(0.3, rel=0.1)
    assert rates[-1] < 0.1 * rates[0]  # in time
    again = make(tmp_path, **limits)
    assert again.progress.seconds >= 0.6
    assert fit(again) == 0
    assert again.progress.step == trainer.progress.step  # nothing is left of its time


def test_validation_uses_the_average_and_keeps_the_best(tmp_path):
    trainer = make(tmp_path, None, OptimConfig(lr=0.1, warmup_steps=0, ema_decay=0.5), validate_every=5)
    fit(trainer)
    logged = {line["step"]: line["valid/estoi"] for line in lines(tmp_path) if "valid/estoi" in line}
    assert list(logged) == [5, 10, 15, 20]
    best, last = exported(tmp_path, "best"), exported(tmp_path, "last")
    assert best["step"] == max(logged, key=logged.get)
    assert best["judged_by"] == "estoi"
    assert best["metrics"]["estoi"] == trainer.progress.best == pytest.approx(-abs(best["weight"] - 3), rel=1e-5)
    assert last["step"] == 20
    assert last["weight"] == pytest.approx(float(trainer.average.tensors["weight"]))


def test_values_of_another_metric_are_not_compared(tmp_path):
    """A run that goes on, judged by another metric, has no best yet."""
    fit(make(tmp_path, steps=4, validate_every=4))
    task = LineTask()
    task.best_metrics = ("low",)
    task.validate = lambda: Validation({"low": -1e9})
    fit(make(tmp_path, task, steps=8, validate_every=8, best="low"))
    assert exported(tmp_path, "best")["judged_by"] == "low"


def test_without_a_value_to_judge_by_it_is_said_and_last_is_there(tmp_path, capsys):
    task = LineTask()
    task.validate = lambda: Validation({})
    assert fit(make(tmp_path, task, validate_every=20)) == 0
    assert "validation has no estoi" in capsys.readouterr().err
    assert not (tmp_path / "best").exists()
    assert exported(tmp_path, "last")["step"] == 20


def test_weights_to_load_are_there_from_the_start(tmp_path):
    """Whatever ends a run, even before its first save."""
    task = LineTask(on_batch=lambda n: exported(tmp_path, "last"))
    fit(make(tmp_path, task, steps=1))


def test_unknown_names_are_refused_at_the_start(tmp_path):
    with pytest.raises(ValueError, match=r"trainer\.best: no 'estio'; there are estoi, none"):
        make(tmp_path, best="estio")
    with pytest.raises(ValueError, match=r"optim\.lr_scale: no 'lien'; there are line"):
        make(tmp_path, optim=OptimConfig(lr_scale={"lien": 2.0}))
    assert not list(tmp_path.iterdir())


def test_a_run_of_bad_steps_fails(tmp_path):
    """At its first start and at the next."""
    for _ in range(2):
        with pytest.raises(TrainingError, match=r"4 of 4 steps .* lower optim\.lr"):
            fit(make(tmp_path, LineTask(bad=range(100)), steps=4))


def test_weights_that_are_not_finite_fail(tmp_path):
    class Bursting(LineTask):
        def after_step(self, step, generator):
            if step == 6:
                self.networks["line"].weight.data.fill_(math.inf)
            return {}

    with pytest.raises(TrainingError, match=r"step 7: network\.line has NaN or infinite weights.*not saved.*optim\.lr"):
        fit(make(tmp_path, Bursting(), steps=7))
    assert exported(tmp_path, "last")["step"] == 4
    assert make(tmp_path).progress.step == 4


def test_a_complete_run_says_so_and_stays(tmp_path, capsys):
    fit(make(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert fit(make(tmp_path)) == 0
    assert "is complete at step 20" in (said := capsys.readouterr().err)
    assert "trainer.steps" in said
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == before
    assert fit(make(tmp_path, steps=24)) == 0
    assert exported(tmp_path, "last")["step"] == 24


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:10])


@pytest.mark.parametrize("damage", [flip_a_byte, cut, lambda path: path.unlink()], ids=["flipped", "cut", "gone"])
@pytest.mark.parametrize("name", [checkpoint.TENSORS, checkpoint.PROGRESS])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, damage, name):
    whole = make(tmp_path / "whole")
    fit(whole)
    run = tmp_path / "run"
    shutil.copytree(whole.checkpoints, run / "checkpoints")
    damage(run / "checkpoints/step_00000020" / name)
    with pytest.warns(UserWarning, match=r"step_00000020.*DAMAGED"):
        resumed = make(run)
    assert resumed.progress.step == 16
    fit(resumed)
    assert torch.equal(weights(resumed), weights(whole))


def test_what_lies_ahead_of_a_run_is_deleted_and_nothing_else(tmp_path):
    """With one checkpoint to keep, a damaged one does not push out what is saved before it comes round again."""
    fit(make(tmp_path, steps=12))
    cut(tmp_path / "checkpoints/step_00000012" / checkpoint.TENSORS)
    with pytest.warns(UserWarning, match="DAMAGED"):
        fit(make(tmp_path, steps=10, keep_last=1))
    assert [path.name for path in checkpoint.checkpoints(tmp_path / "checkpoints")] == ["step_00000010"]


@pytest.mark.filterwarnings("ignore:.*DAMAGED")
def test_without_a_readable_checkpoint_nothing_trains(tmp_path):
    fit(make(tmp_path))
    for path in checkpoint.checkpoints(tmp_path / "checkpoints"):
        cut(path / checkpoint.TENSORS)
    with pytest.raises(CheckpointError, match="no checkpoint can be read; choose another run_dir"):
        make(tmp_path)


def test_checkpoint_of_another_network_is_refused(tmp_path):
    fit(make(tmp_path))
    task = LineTask()
    task.networks = {"line": nn.Linear(1, 2)}
    with pytest.raises(CheckpointError, match=r"line: .*weight has shape \(1, 1\), expected \(2, 1\)"):
        make(tmp_path, task)


def test_networks_without_weights_are_no_trouble(tmp_path):
    def task():
        made = LineTask()
        made.networks["none"] = nn.Identity()
        return made

    assert fit(make(tmp_path, task(), steps=4)) == 0
    resumed = make(tmp_path, task())
    assert resumed.progress.step == 4
    assert fit(resumed) == 0


def big_task():
    task = LineTask()
    task.networks["none"] = nn.Linear(1000, 100, bias=False).requires_grad_(False)  # 400 kB
    return task


def test_full_disk_is_told_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**7, 10**7, 10**6))
    with pytest.raises(CheckpointError, match=r"1 MB are free, checkpoints need 6 MB; .*keep_last"):
        make(tmp_path, big_task())


def test_a_disk_that_is_full_later_is_told(tmp_path):
    task = LineTask()
    task.export = lambda folder, state: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    with pytest.raises(CheckpointError, match=r"last: cannot be written \(.*No space left.*free some space and resume"):
        fit(make(tmp_path, task))
    assert not list(tmp_path.glob(".new-*"))


def test_checkpoints_that_are_there_take_no_more_room(tmp_path, monkeypatch):
    fit(make(tmp_path, big_task()))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**7, 10**7, 5_200_000))
    with pytest.raises(CheckpointError, match="keep_last"):
        make(tmp_path / "new", big_task())
    assert make(tmp_path, big_task()).progress.step == 20


def test_unwritable_folder_is_told_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="run_dir"):
        make(tmp_path / "file")
