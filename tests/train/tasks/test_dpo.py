"""Preference training: what a step changes, what stays, and that a run goes on after it was stopped."""

import json
import math
from pathlib import Path

import pytest
import torch
from forks import run_ranks
from tiny import make_codec
from tiny_tts import write_random_pairs, write_tokens, write_tts
from tts_tokens import align_evenly

from codec.tokenizer import Tokenizer
from codec.tokens.layout import END
from codec.tts.checkpoint import load_tts
from codec.tts.config import SequenceConfig
from train.__main__ import train
from train.data.pairs.dataset import PreferenceDataConfig
from train.losses.config import DPOLossConfig
from train.settings.compose import compose_run
from train.tasks.dpo import DPOTask

ROOT = Path(__file__).parents[3]
N_PAIRS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer):
    """A model, tokens and pairs."""
    folder = tmp_path_factory.mktemp("dpo")
    tokenizer.save(folder / "codec")
    write_tts(folder / "model", tokenizer)
    write_tokens(folder / "tokens", tokenizer, folder / "codec")
    write_random_pairs(folder / "pairs", tokenizer, N_PAIRS)
    return folder


def make(folder, model="model", pairs="pairs", **loss):
    data = PreferenceDataConfig(
        str(folder / "tokens"), row_steps=40, batch_size=2, num_workers=0, pairs=str(folder / pairs)
    )
    task = DPOTask(data, DPOLossConfig(**loss), 0, str(folder / model), n_valid=0)
    task.model.train()
    return task


def step(task, number=0, lr=0.0):
    """One step of plain descent on batch `number`, always with the same random numbers."""
    batch = next(iter(task.batches(number, 0, 1)))
    task.model.zero_grad()
    metrics = task.backward(batch, 0, 1.0, torch.Generator().manual_seed(number))
    with torch.no_grad():
        for p in task.model.parameters():
            p -= lr * p.grad
    return {name: float(value) for name, value in metrics.items()}


def gradients(task, **loss):
    for name, value in loss.items():
        setattr(task.loss, name, value)
    step(task)
    return {name: p.grad.clone() for name, p in task.model.named_parameters()}


def test_before_the_first_step_the_model_is_its_reference(folder):
    metrics = step(make(folder))
    for part in ("semantic", "acoustic"):
        assert metrics[f"loss/preference_{part}"] == pytest.approx(math.log(2), rel=1e-4)
        assert metrics[f"reward/margin_{part}"] == pytest.approx(0, abs=1e-5)
    parts = 1.0 * metrics["loss/semantic"] + 0.3 * metrics["loss/acoustic"]
    assert metrics["loss/total"] == pytest.approx(parts + 2 * math.log(2), rel=1e-5)


@pytest.mark.parametrize(("part", "other"), [("semantic", "acoustic"), ("acoustic", "semantic")])
def test_a_step_prefers_winners(folder, part, other):
    """With the other beta at 0 the margin can only come from this part's own loss."""
    task = make(folder, pretraining=0.0, **{f"{other}_beta": 0.0})
    first, second = step(task, lr=1e-2), step(task)
    assert abs(first[f"reward/margin_{part}"]) < 1e-5 < second[f"reward/margin_{part}"]
    assert second[f"loss/preference_{part}"] < first[f"loss/preference_{part}"]
    assert second[f"reward/accuracy_{part}"] == 1
    assert second[f"loss/preference_{other}"] == pytest.approx(math.log(2))


def test_winners_get_likelier_and_closer_than_losers(folder):
    """What margins stand for, from probabilities and velocities."""
    task = make(folder, pretraining=0.0)
    batch = task.preferences.collate([task.preferences[0]])

    def measured():
        model = task.model.eval()
        h = model.backbone(model.embed(batch.pairs.text, batch.pairs.frames), batch.pairs.positions)
        h = h.flatten(0, 1)[batch.pairs.target_positions]
        log_p = model.semantic_logits(h).log_softmax(1).gather(1, batch.pairs.targets[:, :1])[:, 0]
        codes = (batch.pairs.targets[:, 1:] - 2).clamp(min=0)
        path = model.acoustic_head.draw_path(codes, torch.Generator().manual_seed(3))
        errors = path.error(model.acoustic_head.velocity(path.x, path.t, h)) * (batch.pairs.targets[:, 0] != END)
        winner = batch.utterance == 0
        return [float(x[winner].sum() - x[~winner].sum()) for x in (log_p, errors)]

    with torch.no_grad():
        before = measured()
    task.model.train()
    for i in range(3):
        task.model.zero_grad()
        task.backward(batch, 0, 1.0, torch.Generator().manual_seed(i))
        with torch.no_grad():
            for p in task.model.parameters():
                p -= 3e-3 * p.grad
    with torch.no_grad():
        after = measured()
    assert after[0] > before[0], "log p of the winner against that of the loser"
    assert after[1] < before[1], "velocity error of the winner against that of the loser"


def test_pairs_and_pretraining_add_up(folder):
    task = make(folder)
    both = gradients(task)
    pairs = gradients(task, pretraining=0.0)
    rows = gradients(task, pretraining=2.0, semantic_beta=0.0, acoustic_beta=0.0)
    for name, gradient in both.items():
        torch.testing.assert_close(gradient, pairs[name] + rows[name] / 2, atol=1e-5, rtol=1e-4)
    assert all(gradient.any() for gradient in both.values())


def test_moves_take_part_in_both_passes(tmp_path, folder, tokenizer):
    """DDP waits for the gradients of all parameters."""
    sequence = SequenceConfig("aligned")
    write_tts(tmp_path / "model", tokenizer, sequence=sequence)
    align_evenly(write_tokens(tmp_path / "tokens", tokenizer, folder / "codec"))
    write_random_pairs(tmp_path / "pairs", tokenizer, 2, sequence.max_move)
    task, passes = make(tmp_path), []
    task.model.move_head.weight.register_hook(lambda gradient: passes.append(bool(gradient.any())))
    step(task)
    assert passes == [True, False]


def test_the_reference_stays_and_the_mode_too(folder):
    task = make(folder)
    step(task, lr=0.1)
    start = load_tts(folder / "model")[0].state_dict()
    assert all(torch.equal(t, start[name]) for name, t in task.reference.state_dict().items())
    assert not any(p.requires_grad or p.grad is not None for p in task.reference.parameters())
    assert task.model.training
    assert "reference" not in task.networks


def test_hidden_states_of_pairs_are_not_dropped(folder, monkeypatch):
    asked = []

    def drop_all(h, generator):
        asked.append(len(h))
        return 0 * h

    monkeypatch.setattr("codec.tts.heads.flow.drop_hidden", drop_all)
    task = make(folder)
    batch = next(iter(task.batches(0, 0, 1)))
    task.backward(batch, 0, 1.0, torch.Generator().manual_seed(0))
    assert asked == [len(batch.speech.target_positions)]


def test_other_heads_are_refused(tmp_path, folder, tokenizer):
    write_tts(tmp_path / "depth", tokenizer, head="depth")
    with pytest.raises(ValueError, match="head = depth; preference training supports the flow head only"):
        make(folder, model=tmp_path / "depth")


def test_pairs_and_models_of_another_codec_are_refused(tmp_path, folder):
    write_random_pairs(tmp_path / "pairs", Tokenizer(make_codec(seed=1)), 2)
    with pytest.raises(ValueError, match="give pairs and tokens of one codec"):
        make(folder, pairs=tmp_path / "pairs")
    write_tts(tmp_path / "model", Tokenizer(make_codec(seed=1)))
    with pytest.raises(ValueError, match=r"data\.train: tokens of codec .*model speaks through .*; give tokens of the"):
        make(folder, model=tmp_path / "model")


def test_bad_weights_are_named():
    for name in ("semantic_beta", "acoustic_beta", "pretraining", "acoustic"):
        with pytest.raises(ValueError, match=f"{name} = -1: expected 0 or more"):
            DPOLossConfig(**{name: -1})


def overrides(folder, run, *more):
    """Of the command `python -m train`."""
    given = {
        "experiment": "dpo_small",
        "model.init": folder / "model",
        "data.train": folder / "tokens",
        "data.valid": folder / "tokens",
        "data.pairs": folder / "pairs",
        "data.row_steps": 40,
        "data.batch_size": 2,
        "data.num_workers": 0,
        "logger.tracker": "none",
        "trainer.validate_clips": 0,
        "trainer.log_every": 1,
        "run_dir": run,
    }
    return [*(f"{name}={value}" for name, value in given.items()), *more]


def run(*args):
    return compose_run(overrides(*args))


def logged(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_of_one_epoch_goes_on_after_it_stopped(tmp_path, folder):
    more = ["trainer.validate_every=3", "optim.lr=1e-4", "optim.warmup_steps=1"]
    assert train(run(folder, tmp_path / "whole", *more, "trainer.steps=3")) == 0
    assert train(run(folder, tmp_path / "parts", *more, "trainer.steps=2")) == 0
    assert train(run(folder, tmp_path / "parts", *more, "trainer.steps=3")) == 0
    whole, parts = (load_tts(tmp_path / run / "last")[0].state_dict() for run in ("whole", "parts"))
    assert all(torch.equal(t, parts[name]) for name, t in whole.items())
    lines = logged(tmp_path / "whole")
    assert abs(lines[0]["reward/margin_semantic"]) < 1e-5 < abs(lines[2]["reward/margin_semantic"])
    assert "valid/semantic" in lines[-1]
    assert not (tmp_path / "whole/best").exists(), "no validation says which is best"


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_two_processes_train_like_one(tmp_path, folder, mode):
    """Each step has two passes back. Without acoustic losses and dropout nothing is drawn at random."""
    same = ["loss.acoustic=0", "loss.acoustic_beta=0", "loss.dropout=0", "trainer.steps=1", "trainer.validate_every=1"]
    assert train(run(folder, tmp_path / "one", *same)) == 0
    two = overrides(folder, tmp_path / "two", *same, f"trainer.parallel={mode}")
    log = tmp_path / "log"
    assert run_ranks(2, "train", *two, log=log) == 0, log.read_text()[-2000:]
    (a, a_valid), (b, b_valid) = logged(tmp_path / "one"), logged(tmp_path / "two")
    for name in ("loss/total", "grad_norm/tts"):
        assert a[name] == pytest.approx(b[name], rel=1e-4), name
    for name in ("valid/semantic", "valid/acoustic", "valid/explained"):
        assert a_valid[name] == pytest.approx(b_valid[name], rel=1e-4), name


def test_more_than_an_epoch_is_refused(tmp_path, folder):
    with pytest.raises(ValueError, match=r"trainer\.steps = 4: one epoch over 6 pairs, 2 a step, has 3; give at most"):
        train(run(folder, tmp_path / "run", "trainer.steps=4"))
    with pytest.raises(ValueError, match="4 a step, has 1"):
        train(run(folder, tmp_path / "run", "trainer.steps=2", "trainer.accumulate=2"))


def test_the_paper_recipe(folder):
    paper = run(folder, "x")
    assert paper.optim.lr == 8e-8
    assert (paper.loss.semantic_beta, paper.loss.acoustic_beta) == (0.1, 0.5)
    assert paper.trainer.precision == "float32"
