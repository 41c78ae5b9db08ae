"""bfloat16 by the machine: emulated or not, and a word where weights are asked for in it."""

import warnings

import pytest
import torch

import codec
from codec.nn.precision import emulates_bfloat16


def set_features(monkeypatch, *names):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(names, True), raising=False)


@pytest.mark.parametrize("feature", ["avx512_bf16", "amx_bf16", "bf16"])
def test_processors_that_calculate_in_it(monkeypatch, feature):
    set_features(monkeypatch, "avx2", feature)
    assert emulates_bfloat16("cpu") == ""


def test_processors_that_emulate_it(monkeypatch):
    set_features(monkeypatch, "avx2", "avx512_f")
    assert "none of avx512_bf16, amx_bf16" in emulates_bfloat16("cpu")
    monkeypatch.delattr(torch.cpu, "get_capabilities")  # as in older versions
    assert emulates_bfloat16("cpu")


def test_graphics_cards(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Turing")
    for native in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, native=native: native)
        assert bool(emulates_bfloat16("cuda")) != native


def test_a_codec_in_it_warns_where_it_is_emulated(monkeypatch, tmp_path, tokenizer):
    tokenizer.save(tmp_path)
    set_features(monkeypatch, "avx2")
    with pytest.warns(UserWarning, match="bfloat16 may be slower than float32 here: this processor has none"):
        codec.load(tmp_path, dtype=torch.bfloat16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        codec.load(tmp_path)
        set_features(monkeypatch, "avx512_bf16")
        codec.load(tmp_path, dtype=torch.bfloat16)
