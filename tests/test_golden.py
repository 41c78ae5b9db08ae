"""Parity with an independent implementation of the architecture; see golden/README.md for every tensor."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from codec.checkpoint.voxtral import config_from_params, from_released
from codec.model import Codec
from codec.nn.attention import alibi_slopes
from codec.quant.fsq import FSQ, FSQConfig

FOLDER = Path(__file__).parent / "golden"
PREFIX = "audio_tokenizer."


@pytest.fixture(scope="module")
def tensors():
    return load_file(FOLDER / "golden_codec_tiny.safetensors")


@pytest.fixture(scope="module")
def golden(tensors):
    return {name.removeprefix("golden."): value for name, value in tensors.items() if name.startswith("golden.")}


@pytest.fixture(scope="module")
def model(tensors):
    config = config_from_params(json.loads((FOLDER / "params_codec_tiny.json").read_text()))
    released = {name.removeprefix(PREFIX): t for name, t in tensors.items() if name.startswith(PREFIX)}
    model = Codec(config).eval()
    model.load_state_dict(from_released(released, config))
    return model.requires_grad_(False)


@pytest.mark.parametrize("case", ["", "short_"])
def test_encode(model, golden, case):
    waveform = golden[case + "waveform"].squeeze(1)
    latent = model.latents(waveform).transpose(1, 2)
    torch.testing.assert_close(latent, golden[case + "latent"], atol=1e-4, rtol=0)
    assert torch.equal(model.encode(waveform), golden[case + "codes"])


@pytest.mark.parametrize("case", ["", "short_", "random_"])
def test_decode(model, golden, case):
    waveform = model.decode(golden[case + "codes"])
    torch.testing.assert_close(waveform, golden[case + "decoded"].squeeze(1), atol=1e-4, rtol=0)


def test_dequantize(model, golden):
    latent = model.quantizer.decode(golden["random_codes"]).transpose(1, 2)
    torch.testing.assert_close(latent, golden["random_latent"], atol=1e-4, rtol=1e-6)


def test_trace(model, golden):
    """Every layer's output, so that a break names its layer."""
    expected = {
        "encode": [("input_proj", 0), *((f"encoder_blocks.{n}", i) for n, i in enumerate((2, 3, 5, 6, 8, 9, 11, 12)))],
        "decode": [*((f"decoder_blocks.{n}", i) for n, i in enumerate((0, 2, 3, 5, 6, 8, 9, 11))), ("output_proj", 12)],
    }
    outputs = {}
    for side, part in (("encode", model.encoder), ("decode", model.decoder)):
        for i, layer in enumerate(part.stack.layers):
            layer.register_forward_hook(lambda _, __, y, key=(side, i): outputs.__setitem__(key, y[0]))
    waveform = golden["waveform"].squeeze(1)[:1]
    model.latents(waveform)
    model.decode(golden["codes"][:1])
    for side, names in expected.items():
        for name, index in names:
            want = golden[f"trace.{side}.{name}"]
            got = outputs[side, index][:, : want.shape[1]]
            torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("n_heads", [4, 6, 8, 12])
def test_alibi_slopes(golden, n_heads):
    torch.testing.assert_close(alibi_slopes(n_heads), golden[f"alibi_slopes_{n_heads}"], atol=0, rtol=1e-6)


def test_acoustic_levels(golden):
    x = golden["acoustic_levels_in"][None, :, None]
    assert torch.equal(FSQ(FSQConfig(n_channels=1, levels=21)).encode(x).flatten(), golden["acoustic_levels_out"])
