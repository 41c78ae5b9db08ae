"""Shipping: half precision, a card with what the run recorded, nothing from a run that is not there."""

import json

import pytest
import torch

import codec
from codec.checkpoint.store import CheckpointError
from train import checkpoint
from train.ship import ship


def make_run(folder, tokenizer):
    tokenizer.save(folder / "best")
    (folder / "config.yaml").write_text(
        "seed: 7\nmodel: {init: null}\ndata: {batch_size: 6, crop_s: 2.88}\ntrainer: {precision: auto}\n"
    )
    (folder / "starts.jsonl").write_text(
        json.dumps(
            {
                "command": ["x", "experiment=codec_small", "data.train={a:{path:/home/me/train.jsonl,weight:2}}"],
                "commit": "abc",
                "precision": "bfloat16",
            }
        )
    )
    (folder / "checkpoints").mkdir()
    checkpoint.save(folder / "checkpoints", checkpoint.Progress(step=5, batch=100), {"a": {"b": torch.ones(1)}}, 1)


def test_card_and_weights(tmp_path, tokenizer):
    make_run(tmp_path / "run", tokenizer)
    ship(tmp_path / "run", tmp_path / "out", "What it is.", "Some speech.", "A table.")
    card = (tmp_path / "out" / "README.md").read_text()
    for words in (
        "What it is.",
        "Some speech.",
        "A table.",
        "5 steps",
        "seed 7",
        "from a training in bfloat16",
        "codec_small data.train={a:{path:train.jsonl,weight:2}}",
        "`abc`",
    ):
        assert words in card, words
    shipped = codec.load(tmp_path / "out")
    assert shipped.fingerprint in card
    size = (tmp_path / "out" / "model.safetensors").stat().st_size
    assert size < 0.55 * (tmp_path / "run" / "best" / "model.safetensors").stat().st_size
    for x, y in zip(shipped.model.parameters(), tokenizer.model.parameters(), strict=True):
        torch.testing.assert_close(x, y, atol=2e-3, rtol=2e-3)


def test_a_run_without_weights_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="best"):
        ship(tmp_path, tmp_path / "out", "", "", "")
