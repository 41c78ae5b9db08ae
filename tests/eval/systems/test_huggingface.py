"""EnCodec, DAC and Mimi with tiny random networks."""

import json
import math
import sys

import pytest
import torch

from codec.extras import MissingDependencyError
from eval.systems.registry import make_system

hf = pytest.importorskip("transformers")

N_Q, SIZE, HOP = 4, 64, {"encodec": 320, "dac": 320, "mimi": 1920}


def tiny(family):
    torch.manual_seed(0)
    if family == "encodec":
        bandwidths = [0.9, 1.8]  # kbit/s: 2 and 4 codebooks of 6 bits at 75 Hz
        config = hf.EncodecConfig(
            num_filters=2, hidden_size=8, num_lstm_layers=1, codebook_size=SIZE, target_bandwidths=bandwidths
        )
        return hf.EncodecModel(config)
    if family == "dac":
        config = hf.DacConfig(
            sampling_rate=24_000,
            downsampling_ratios=[2, 4, 5, 8],
            encoder_hidden_size=2,
            decoder_hidden_size=32,
            n_codebooks=N_Q,
            codebook_size=SIZE,
        )
        return hf.DacModel(config)
    config = hf.MimiConfig(
        num_filters=2,
        hidden_size=16,
        upsample_groups=16,
        num_hidden_layers=1,
        intermediate_size=16,
        num_attention_heads=2,
        num_key_value_heads=2,
        codebook_size=SIZE,
        codebook_dim=8,
        vector_quantization_hidden_dimension=8,
        num_quantizers=N_Q,
    )
    return hf.MimiModel(config)


@pytest.fixture(scope="module", params=HOP)
def saved(request, tmp_path_factory):
    """Family and folder."""
    model, folder = tiny(request.param), tmp_path_factory.mktemp(request.param)
    for name, buffer in model.named_buffers():
        if name.endswith(("codebook.embed", "codebook.embed_sum")):
            buffer.normal_()  # zeros at first: all entries would be alike
    model.save_pretrained(folder)
    return request.param, folder


def noise(n_samples):
    return 0.1 * torch.randn(n_samples, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("n_samples", [1, 1919, 24_001])
def test_bits_codes_and_length(saved, n_samples):
    family, folder = saved
    system = make_system(f"{family}={folder}")
    coded = system.encode(noise(n_samples))
    frames = math.ceil(n_samples / HOP[family])
    assert coded.bits == frames * N_Q * 6
    assert (coded.codes.shape, coded.codes.dtype) == ((N_Q, frames), torch.int64)
    assert system.codebook_sizes == (SIZE,) * N_Q
    y = system.decode(coded)
    assert y.dtype == torch.float32
    # Transposed convolutions of an odd stride give a little less than whole frames.
    assert len(y) == min(n_samples, frames * HOP[family] - (8 if family == "dac" else 0))


def test_output_is_that_of_the_model(saved):
    family, folder = saved
    system, x = make_system(f"{family}={folder}"), noise(2 * 1920)
    with torch.inference_mode():
        options = {"bandwidth": 1.8} if family == "encodec" else {}
        expected = system.network.module(x[None, None], **options).audio_values.flatten()
    y = system.decode(system.encode(x))
    assert y.std() > 0
    torch.testing.assert_close(y, expected)


@pytest.mark.parametrize("n_q", [1, 3])
def test_fewer_codebooks_are_the_first_ones(saved, n_q):
    family, folder = saved
    x, name = noise(9600), f"{family}={folder}:{n_q}"
    whole, part = make_system(f"{family}={folder}"), make_system(name)
    assert (part.name, part.version, part.codebook_sizes) == (name, whole.version, (SIZE,) * n_q)
    all_codes, coded = whole.encode(x), part.encode(x)
    assert torch.equal(coded.codes, all_codes.codes[:n_q])
    assert coded.bits == all_codes.bits * n_q / N_Q
    assert not torch.allclose(part.decode(coded), whole.decode(all_codes))


def test_other_models_are_refused(saved):
    family, folder = saved
    other = {"encodec": "dac", "dac": "mimi", "mimi": "encodec"}[family]
    with pytest.raises(ValueError, match=f"{folder}: model_type is {family}; expected .* of a {other}"):
        make_system(f"{other}={folder}")


def test_weights_that_do_not_fit_are_refused(saved, tmp_path):
    family, folder = saved
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    first = sorted(tensors)[0]
    lacking = {name: tensor for name, tensor in tensors.items() if name != first}
    save_file(lacking, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"1 tensors are missing, the first is decoder\."):
        make_system(f"{family}={tmp_path}")
    save_file({**lacking, first: torch.zeros(99)}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=str(tmp_path)):
        make_system(f"{family}={tmp_path}")
    (tmp_path / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(ValueError, match=str(tmp_path)):
        make_system(f"{family}={tmp_path}")


def test_other_kinds_of_encodec_are_refused(tmp_path):
    model = tiny("encodec")
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "normalize": True}))
    with pytest.raises(ValueError, match=r"stereo, in chunks or with normalisation is not supported"):
        make_system(f"encodec={tmp_path}")


def test_without_transformers(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingDependencyError, match="pip install transformers"):
        make_system(f"{saved[0]}={saved[1]}")


def test_usual_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    ids = {"encodec": "facebook/encodec_24khz", "dac": "descript/dac_24khz", "mimi:8": "kyutai/mimi"}
    for spec, hub_id in ids.items():
        with pytest.raises(MissingDependencyError, match=f"hf download {hub_id}"):
            make_system(spec)
