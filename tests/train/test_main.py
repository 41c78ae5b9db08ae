"""The command itself: it learns, survives being killed, and is the same on one process and two."""

import json
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from forks import ROOT, Fork, run_ranks
from safetensors.torch import load_file

import codec
from codec.checkpoint.store import save_checkpoint
from codec.config import preset
from codec.model import Codec
from train.__main__ import start

# Every part that has state takes part: discriminators, averages, the codebook, several data workers.
SHORT = [
    "experiment=codec_tiny_cpu",
    "trainer.validate_every=0",
    "trainer.log_every=1",
    "data.crop_s=0.64",
    "data.num_workers=1",
    "data.augment.polarity_prob=0.5",
    "loss.fft_sizes=[512,128]",
    "loss.terms.feature.weight=1.0",
    "loss.terms.feature.start=2",
    "loss.discriminator.channels=2",
    "loss.discriminator.fft_sizes=[126,76]",
    "loss.vq_starts=[7]",
    "loss.vq_frames=128",
    "optim.ema_decay=0.9",
    "optim.warmup_steps=2",
]
# One process and two draw different noise; without any, they must agree.
EXACT = [
    "data.num_workers=0",
    "model.quantizer.semantic.quantize_prob=1.0",
    "model.quantizer.acoustic.round_prob=1.0",
    "model.quantizer.acoustic.noise_prob=0.0",
    "model.quantizer.dropout=0.0",
    "trainer.steps=6",
    "loss.vq_starts=[2]",
]


def begin(folder, *settings):
    return Fork("train", f"run_dir={folder}", *settings, log=Path(f"{folder}.log"))


def log_of(folder):
    return Path(f"{folder}.log").read_text()


def wait_for(condition):
    deadline = time.monotonic() + 600
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def attempt(folder, *settings, processes=1):
    Path(f"{folder}.log").unlink(missing_ok=True)
    status = run_ranks(processes, "train", f"run_dir={folder}", *settings, log=Path(f"{folder}.log"))
    return SimpleNamespace(returncode=status, stderr=log_of(folder))


def train(folder, *settings, processes=1):
    result = attempt(folder, *settings, processes=processes)
    assert result.returncode == 0, result.stderr[-2000:]
    return [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]


def last_tensors(folder):
    return load_file(sorted((folder / "checkpoints").glob("step_*"))[-1] / "tensors.safetensors")


def test_tiny_learns_and_leaves_everything_behind(tmp_path):
    run = tmp_path / "run"
    settings = ["experiment=codec_tiny_cpu", "trainer.steps=60", "trainer.validate_every=60", "optim.warmup_steps=10"]
    settings += ["trainer.validate_clips=1", "loss.vq_starts=[40]", "data.crop_s=0.64"]
    lines = train(run, *settings, "logger=wandb")
    losses = [line["loss/log_mel"] for line in lines if "loss/log_mel" in line]
    assert losses[-1] < 0.9 * losses[0]  # means of 20 steps
    assert {"valid/pesq_wb", "valid/estoi", "valid/mel", "valid/stft"} <= lines[-1].keys()
    for name in ("config.yaml", "starts.jsonl", "samples", "wandb", "last/config.json"):
        assert (run / name).exists(), name
    assert {p.suffix for p in (run / "samples").iterdir()} == {".wav", ".png"}
    assert json.loads((run / "starts.jsonl").read_text())["data"].endswith(" h")
    tokenizer = codec.load(run / "last")
    assert tokenizer.decode(tokenizer.encode(ROOT / "tests/data/kathleen.flac"))[0].isfinite().all()


def test_killed_at_any_moment_it_goes_on_to_the_same_bits(tmp_path):
    settings = [*SHORT, "trainer.steps=12", "trainer.save_every=3"]
    whole = train(tmp_path / "whole", *settings)
    killed = tmp_path / "killed"
    process = begin(killed, *settings)
    wait_for((killed / "checkpoints" / "step_00000006").exists)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = train(killed, *settings)
    a, b = last_tensors(tmp_path / "whole"), last_tensors(killed)
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []
    losses = [[(line["step"], line["loss/total"]) for line in lines] for lines in (whole, resumed)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_what_can_be_loaded_and_is_no_success(tmp_path, number, status):
    run = tmp_path / "run"
    process = begin(run, *SHORT, "trainer.steps=100000", "trainer.save_every=100000")
    wait_for((run / "metrics.jsonl").exists)
    time.sleep(1)
    process.send_signal(number)
    assert process.wait() == status, log_of(run)[-2000:]
    assert "the same command resumes from here" in log_of(run)
    assert (sorted((run / "checkpoints").glob("step_*"))[-1] / "progress.json").exists()
    codec.load(run / "last")  # before the first validation


def test_best_and_last_of_equal_weights_are_equal_files(tmp_path):
    """Validated at the last step, and that is the best there is."""
    run = tmp_path / "run"
    settings = [*SHORT, "trainer.steps=2", "trainer.validate_every=2", "trainer.validate_clips=1"]
    train(run, *settings)
    best, last = (run / name for name in ("best", "last"))
    for name in ("model.safetensors", "config.json", "ctc.safetensors"):
        assert (best / name).read_bytes() == (last / name).read_bytes(), name
    assert json.loads((best / "training.json").read_text())["judged_by"] == "estoi"
    again = attempt(run, *settings)
    assert again.returncode == 0
    assert "is complete at step 2" in again.stderr
    other = attempt(run, *settings, "optim.lr=1e-4", "seed=1")
    assert other.returncode == 1
    assert "optim.lr = 0.003, now 0.0001; seed = 0, now 1" in other.stderr


def test_two_trainings_of_one_folder(tmp_path):
    """By default they are in the folder that is named after their settings."""
    settings = [
        *SHORT,
        "trainer.steps=100000",
        f"hydra.run.dir={tmp_path}",
        "hydra.job.chdir=true",
        f"data.train={ROOT / 'tests/data'}",
    ]
    first = Fork("train", *settings, log=tmp_path / "log")
    try:
        wait_for(lambda: list(tmp_path.glob("runs/*/metrics.jsonl")))
        (found,) = tmp_path.glob("runs/*/metrics.jsonl")
        assert found.parent.name.startswith("codec_tiny_cpu-polarity_prob_0.5-")
        second = attempt(found.parent, *settings)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert second.returncode == 1
    assert f"another training runs here (process {first.pid}" in second.stderr


def test_a_batch_that_cannot_be_shared_is_told_first(tmp_path):
    run, torchrun = tmp_path / "run", ("torch.distributed.run", "--standalone", "--nproc-per-node=2")
    command = [*torchrun, "-m", "train", f"run_dir={run}", *SHORT, "data.batch_size=3"]
    assert Fork(*command, log=tmp_path / "log", PYTHONPATH=str(ROOT)).wait() != 0
    assert "data.batch_size = 3: expected a multiple of the 2 processes" in (tmp_path / "log").read_text()
    assert not list(run.glob("checkpoints/*"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process logs, and leaves behind."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    return train(folder, *SHORT, *EXACT), last_tensors(folder)


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_two_processes_train_like_one(tmp_path, alone, mode):
    settings = [*SHORT, *EXACT, f"trainer.parallel={mode}"]
    one, a = alone
    two = train(tmp_path / "two", *settings, processes=2)
    names = ("loss/total", "loss/discriminator", "loss/feature", "loss/commit", "grad_norm/codec")
    for line, other in zip(one, two, strict=True):
        for name in names:
            assert line.get(name, 0.0) == pytest.approx(other.get(name, 0.0), rel=2e-3, abs=1e-5), (line["step"], name)
    b = last_tensors(tmp_path / "two")
    assert {name: t.shape for name, t in a.items()} == {name: t.shape for name, t in b.items()}
    resumed = train(tmp_path / "two", *settings, "trainer.steps=8", processes=2)
    assert [line["step"] for line in resumed] == list(range(1, 9))


@pytest.mark.parametrize(("mode", "part"), [("ddp", "encoder"), ("fsdp", "encoder"), ("fsdp", "decoder")])
def test_two_processes_train_a_part(tmp_path, mode, part):
    """The encoder learns from pairs that the decoder makes, too."""
    torch.manual_seed(0)
    start = Codec(preset("tiny"))
    save_checkpoint(tmp_path / "init", start.config, start.state_dict())
    others = {"encoder", "quantizer", "decoder"} - {part}
    settings = [*SHORT, f"trainer.freeze=[{','.join(others)}]", f"model.init={tmp_path / 'init'}"]
    settings += [f"trainer.parallel={mode}", "trainer.steps=4", "optim.lr=1e-3"]
    settings += ["+data.made_share=0.5", "loss.terms.codes.weight=0.1"] if part == "encoder" else []
    lines = train(tmp_path / "run", *settings, processes=2)
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert all(("loss/codes" in line) == (part == "encoder") for line in lines)
    after = last_tensors(tmp_path / "run")
    for name, tensor in start.state_dict().items():
        learns = name.removeprefix("_").startswith(part)
        assert torch.equal(after[f"network.codec/{name}"], tensor) != learns, name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["experiment=codec_small"], r"data.train"),
        (["experiment=codec_tiny_cpu", "data.train=nowhere"], "nowhere"),
        (["experiment=codec_tiny_cpu", "trainer.device=cuda"], "no GPU is visible"),
        (["experiment=codec_tiny_cpu", "trainer.device=gpu"], "trainer.device = 'gpu': not available, use cpu, cuda"),
        (
            ["experiment=codec_tiny_cpu", "trainer.stpes=10"],
            "trainer.stpes: no such setting; did you mean trainer.steps",
        ),
        (["experiment=codec_tiny_cpu", "trainer.best=estio"], "no 'estio'; there are pesq_wb, stoi, estoi, "),
        (["experiment=codec_tiny_cpu", "resume=yes"], "resume = 'yes': expected auto or force"),
        (["experiment=codec_tiny_cpu", "optim.lr=-1"], "lr = -1"),
        (["experiment=codec_tiny_cpu", "optim.lr=inf"], "optim.lr = inf: expected a finite number"),
        (["experiment=codec_tiny_cpu", "loss.terms.log_mel.weight=nan"], "loss.terms.log_mel.weight = nan: expected"),
        (["experiment=codec_tiny_cpu", "optim.betas=[0.9,inf]"], "optim.betas"),
        (["experiment=codec_tiny_cpu", "task=poems"], "task = 'poems': expected one of codec"),
        (["experiment=codec_tiny_cpu", "model.init=nowhere"], "nowhere"),
        (["experiment=codec_tiny_cpu", "trainer.freeze=[encodr]"], "the parts of the network are encoder, quantizer"),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, monkeypatch, settings, message):
    if "trainer.device=cuda" in settings and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["train", f"run_dir={tmp_path}", *settings])
    with pytest.raises(SystemExit) as stop:
        start()
    assert message in str(stop.value.code)
    assert "Traceback" not in str(stop.value.code)
