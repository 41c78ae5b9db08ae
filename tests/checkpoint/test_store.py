"""Checkpoints: exact round trips, and no damage that passes unnoticed."""

import dataclasses
import json
import shutil

import pytest
import safetensors.torch
import torch
from safetensors.torch import save_file
from tiny import make_codec

import codec
from codec import tensors
from codec.checkpoint import store
from codec.checkpoint.store import CONFIG, WEIGHTS, CheckpointError
from codec.tokenizer import Tokenizer, load

WAVEFORM = torch.sin(torch.arange(6000) * 0.05) / 2


@pytest.fixture(scope="module")
def saved(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("store") / "model"
    tokenizer.save(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy to damage."""
    return shutil.copytree(saved, tmp_path / "model")


def rewrite(folder, change):
    """Save the checkpoint with other tensors, under a checksum that fits."""
    config, state, _ = store.read_checkpoint(folder, codec.CodecConfig)
    change(state)
    store.save_checkpoint(folder, config, state)


def test_round_trip(saved, tokenizer):
    loaded = load(saved)
    assert loaded.config == tokenizer.config
    assert loaded.fingerprint == tokenizer.fingerprint
    tokens = loaded.encode(WAVEFORM, 24_000)
    assert torch.equal(tokens.codes, tokenizer.encode(WAVEFORM, 24_000).codes)
    assert torch.equal(loaded.decode(tokens)[0], tokenizer.decode(tokens)[0])
    assert sorted(f.name for f in saved.iterdir()) == [CONFIG, WEIGHTS]
    assert [f.name for f in saved.parent.iterdir()] == [saved.name]


def test_fingerprint_sees_every_part(tokenizer):
    state = tokenizer.model.state_dict()
    name = "quantizer.semantic.embedding_sum"
    nudged = state[name].clone()
    nudged[0, 0] = torch.nextafter(nudged[0, 0], torch.tensor(9.0))
    others = [
        store.fingerprint(tokenizer.config, state | {name: nudged}),
        store.fingerprint(tokenizer.config, state | {name: state[name].double()}),
        store.fingerprint(tokenizer.config, state | {name: state[name].T}),
        store.fingerprint(make_codec(norm_eps=0.5).config, state),
    ]
    assert len({tokenizer.fingerprint, *others}) == 5


def test_fingerprint_outlives_new_fields(saved):
    """A checkpoint of today loads in a library whose config has a field more."""
    kind = dataclasses.make_dataclass("Later", [("strength", float, 0.5)], bases=(codec.CodecConfig,))
    config, state, fingerprint = store.read_checkpoint(saved, kind)
    assert fingerprint == store.read_checkpoint(saved, codec.CodecConfig)[2]
    assert store.fingerprint(dataclasses.replace(config, strength=0.25), state) != fingerprint


@pytest.mark.parametrize("place", [".", "checkpoints", "checkpoints/step_00000001"])
def test_a_training_run_tells_what_to_load(saved, tmp_path, place):
    (tmp_path / "run/checkpoints/step_00000001").mkdir(parents=True)
    for name in ("best", "last"):
        shutil.copytree(saved, tmp_path / "run" / name)
        load(tmp_path / "run" / name)
    with pytest.raises(CheckpointError, match=r"training run: load .*run/best or .*run/last"):
        load(tmp_path / "run" / place)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name}: not found"):
        load(folder)


@pytest.mark.parametrize("size", [0, 5, 1000, -1])
def test_truncated_weights(folder, size):
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match=f"{WEIGHTS}: cannot be read"):
        load(folder)


def test_flipped_byte(folder):
    path = folder / WEIGHTS
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=f"{WEIGHTS}: checksum"):
        load(folder)


def test_edited_config(folder):
    path = folder / CONFIG
    fields = json.loads(path.read_text())
    path.write_text(json.dumps(fields | {"windows": [8, 8, 4, 2]}))  # every tensor still fits
    with pytest.raises(CheckpointError, match="checksum"):
        load(folder)
    for text in ("{", json.dumps(fields | {"dim": -1}), json.dumps(fields | {"new": 1})):
        path.write_text(text)
        with pytest.raises(CheckpointError, match=CONFIG):
            load(folder)
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(CheckpointError, match=CONFIG):
        load(folder)


NAME = "decoder.stack.layers.0.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop(NAME), f"missing {NAME}"),
        (lambda state: state.update(bias=torch.zeros(1)), "unexpected bias"),
        (lambda state: state.update({NAME: state[NAME][:-1].clone()}), rf"{NAME} has shape \(.*\), expected \("),
        (lambda state: [state.pop(n) for n in list(state) if n.startswith("decoder.")], "missing decoder.*and .* more"),
    ],
)
def test_tensors_that_do_not_fit(folder, change, message):
    rewrite(folder, change)
    with pytest.raises(CheckpointError, match=f"model: .*{message}"):
        load(folder)


def test_without_encoder(folder, tokenizer):
    rewrite(folder, lambda state: [state.pop(n) for n in list(state) if n.startswith("_encoder.")])
    loaded = load(folder)
    codes = torch.zeros(1, 9, 2, dtype=torch.int64)
    torch.testing.assert_close(loaded.decode(codes)[0], tokenizer.decode(codes)[0], atol=1e-5, rtol=1e-5)
    with pytest.raises(codec.MissingEncoderError, match="to encode, load"):
        loaded.encode(WAVEFORM, 24_000)


def test_failing_save_keeps_the_old_checkpoint(folder, monkeypatch):
    before = {f.name: f.read_bytes() for f in folder.iterdir()}

    def fail(content, path, metadata):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(tensors, "save_file", fail)
    for target in (folder, folder.with_name("new")):
        with pytest.raises(OSError, match="disk full"):
            Tokenizer(make_codec(seed=1)).save(target)
    assert [f.name for f in folder.parent.iterdir()] == [folder.name]
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == before


def test_saving_over_a_checkpoint_replaces_it(folder):
    other = Tokenizer(make_codec(seed=1))
    other.save(folder)
    assert load(folder).fingerprint == other.fingerprint
    assert [f.name for f in folder.parent.iterdir()] == [folder.name]


def test_pickle_is_refused(folder):
    torch.save(safetensors.torch.load((folder / WEIGHTS).read_bytes()), folder / WEIGHTS)
    with pytest.raises(CheckpointError, match=f"{WEIGHTS}: cannot be read"):
        load(folder)


def test_foreign_safetensors_is_refused(folder):
    save_file(safetensors.torch.load((folder / WEIGHTS).read_bytes()), folder / WEIGHTS)  # no fingerprint
    with pytest.raises(CheckpointError, match="checksum"):
        load(folder)


@pytest.mark.parametrize("name", ["missing", "./missing/model", "a/b/c"])
def test_no_such_folder(name):
    with pytest.raises(CheckpointError, match=f"{name}: no such folder"):
        load(name)
