"""The token model learns what is regular in tokens, and saves what the fixed rate wastes on it."""

import sys

import torch

from codec.bitstream import TokenModel
from codec.dataset.folder import write_index
from train.data.tokens.shards import TokenSet, TokenUtterance, write_shard
from train.token_model import TokenModelConfig, bits, entropies, fit, main

SIZES = (16, 5, 5, 5, 5, 5)


def write_tokens(folder, seed):
    """Codes of which each is the one before it, most of the time, plus one."""
    generator = torch.Generator().manual_seed(seed)
    sizes, utterances = torch.tensor(SIZES), []
    for i in range(8):
        steps = (torch.rand(len(SIZES), 60, generator=generator) < 0.9).long().cumsum(1)
        codes = ((steps + torch.randint(16, (1,), generator=generator)) % sizes[:, None]).to(torch.int16)
        activity = torch.full((60,), 255, dtype=torch.uint8)
        utterances.append(TokenUtterance(str(i), None, None, None, 1.0, codes, activity))
    write_shard(folder, 0, utterances, len(SIZES))
    index = {"codec": "x", "fingerprint": "", "codebook_sizes": SIZES, "frame_rate": 12.5, "n_shards": 1}
    write_index(folder, index | {"ordinal": [False, *[True] * (len(SIZES) - 1)]})
    return TokenSet(folder)


def test_what_is_regular_is_learned(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "valid").mkdir()
    train, valid = write_tokens(tmp_path / "train", 0), write_tokens(tmp_path / "valid", 1)
    out, config = tmp_path / "token_model.safetensors", TokenModelConfig(steps=120, width=32, embedding=8)
    found = fit([train], valid, out, config)
    fixed = torch.tensor(SIZES).float().log2().sum().item()
    assert found.sum() < 0.6 * fixed
    model = TokenModel.load(out)
    frames = torch.cat([model.padding(), valid[0].codes.long()], dim=1)
    assert sum(float(bits(model, frames, layer).sum()) for layer in range(3)) < 0.6 * fixed
    assert abs(entropies(frames, model).sum() - fixed) < 1
    again = fit([train], valid, tmp_path / "again.safetensors", config)
    assert torch.equal(again, found)


def test_command(tmp_path, monkeypatch, capsys):
    for name, seed in (("train", 0), ("valid", 1)):
        (tmp_path / name).mkdir()
        write_tokens(tmp_path / name, seed)
    monkeypatch.chdir(tmp_path)
    command = ["token_model", "train", "--valid", "valid", "--out", "model.safetensors", "--width", "8"]
    monkeypatch.setattr(sys, "argv", [*command, "--steps", "2"])
    assert main() == 0
    assert "| saved | 0.0% |" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [*command[:-4], "--out", "model.safetensors", "--valid", "missing"])
    assert main() == 2
    assert "missing" in capsys.readouterr().err
