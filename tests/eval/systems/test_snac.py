"""SNAC with a tiny random network."""

import json
import sys

import pytest
import torch
from safetensors.torch import save_file

from codec.extras import MissingDependencyError
from eval.systems.registry import make_system

package = pytest.importorskip("snac")

CONFIG = {
    "sampling_rate": 24_000,
    "encoder_dim": 4,
    "encoder_rates": [2, 4, 8, 8],
    "decoder_dim": 64,
    "decoder_rates": [8, 8, 4, 2],
    "attn_window_size": None,
    "codebook_size": 64,
    "vq_strides": [4, 2, 1],
}
FRAME = 2048  # samples: 1, 2 and 4 codes


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    save_file(package.SNAC(**CONFIG).state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


@pytest.mark.parametrize("n_samples", [FRAME, 2 * FRAME + 1])
def test_bits_and_length(folder, n_samples):
    x = 0.1 * torch.randn(n_samples)
    system = make_system(f"snac={folder}")
    coded = system.encode(x)
    assert coded.bits == -(-n_samples // FRAME) * (1 + 2 + 4) * 6
    assert coded.codes is None
    assert system.codebook_sizes == ()
    y = system.decode(coded)
    assert (y.shape, y.dtype) == (x.shape, torch.float32)
    assert y.std() > 0


def test_output_is_that_of_the_model_and_repeats(folder):
    x = 0.1 * torch.randn(FRAME)
    system = make_system(f"snac={folder}")
    before = torch.random.get_rng_state()
    y = system.decode(system.encode(x))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(system.decode(system.encode(x)), y)
    with torch.inference_mode(), torch.random.fork_rng():
        torch.manual_seed(0)
        torch.testing.assert_close(system.network.module(x[None, None])[0].flatten(), y)


def test_codebooks_are_not_left_out(folder):
    with pytest.raises(ValueError, match="leave out :2"):
        make_system(f"snac={folder}:2")


@pytest.mark.parametrize("change", [{"codebook_size": 32}, {"colour": "red"}])
def test_a_config_that_does_not_fit(folder, change):
    (folder / "config.json").write_text(json.dumps({**CONFIG, **change}))
    with pytest.raises(ValueError, match=f"{folder}: .*; expected the config and weights of a snac"):
        make_system(f"snac={folder}")


def test_without_its_package(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "snac", None)
    with pytest.raises(MissingDependencyError, match="pip install snac"):
        make_system(f"snac={folder}")
