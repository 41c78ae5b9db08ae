"""The released layout: our weights survive a trip through it, and what does not fit is refused by name."""

import json

import pytest
import safetensors.torch
import torch
from safetensors.torch import save_file
from tiny import make_codec

from codec.checkpoint.store import CheckpointError
from codec.checkpoint.voxtral import PARAMS, PREFIX, WEIGHTS, config_from_params, params_from_config
from codec.config import preset
from codec.model import MissingEncoderError
from codec.tokenizer import Tokenizer, load

WAVEFORM = torch.sin(torch.arange(20_000) * 0.05) / 2


def stages(n, **changes):
    return {
        "strides": (2,) * (n - 1) + (1,),
        "kernel_sizes": (4,) * (n - 1) + (3,),
        "windows": (32, 16, 8, 4, 2)[:n],
        "encoder_layers": (1,) * n,
        "decoder_layers": (1,) * n,
        **changes,
    }


CONFIGS = {
    "released": {},
    "no weight norm": {"proj_weight_norm": False},
    "ungrouped heads": {"n_kv_heads": 4},
    "one KV head": {"n_kv_heads": 1},
    "3 stages": stages(3),
    "5 stages": stages(5),
    "kernel per stage": stages(4, kernel_sizes=(2, 6, 4, 5)),
    "equal windows": stages(3, windows=(7, 7, 7)),
    "stride 3": stages(3, strides=(3, 2, 1), kernel_sizes=(6, 4, 2), windows=(18, 6, 3)),
    "stage without convolution": stages(3, strides=(2, 1, 1), kernel_sizes=(4, 1, 3), windows=(8, 4, 4)),
    "last stage without convolution": stages(3, kernel_sizes=(4, 4, 1)),
    "layers differ": stages(3, encoder_layers=(2, 0, 1), decoder_layers=(1, 2, 0)),
}


@pytest.fixture(scope="module")
def source():
    return Tokenizer(make_codec())


@pytest.fixture
def folder(tmp_path, source):
    source.export_voxtral(tmp_path / "model")
    return tmp_path / "model"


def edit_params(folder, **changes):
    params = json.loads((folder / PARAMS).read_text())
    args = params["multimodal"]["audio_tokenizer_args"] | changes
    params["multimodal"]["audio_tokenizer_args"] = {k: v for k, v in args.items() if v is not None}
    (folder / PARAMS).write_text(json.dumps(params))


def edit_tensors(folder, change):
    save_file(change(safetensors.torch.load((folder / WEIGHTS).read_bytes())), folder / WEIGHTS)


@pytest.mark.parametrize("name", CONFIGS)
def test_round_trip(name, tmp_path):
    source = Tokenizer(make_codec(**CONFIGS[name]))
    source.export_voxtral(tmp_path / "model")
    loaded = load(tmp_path / "model")
    config = source.config
    written = {
        f: getattr(loaded.config, f) for f in ("windows", "strides", "kernel_sizes", "decoder_layers", "norm_eps")
    }
    assert written == {f: getattr(config, f) for f in written}
    names = safetensors.torch.load((tmp_path / "model" / WEIGHTS).read_bytes()).keys()
    assert (f"{PREFIX}input_proj.conv.weight" in names) is not config.proj_weight_norm
    tokens = source.encode(WAVEFORM, config.sample_rate)
    assert torch.equal(loaded.encode(WAVEFORM, config.sample_rate).codes, tokens.codes)
    torch.testing.assert_close(loaded.decode(tokens.codes)[0], source.decode(tokens.codes)[0], atol=1e-6, rtol=1e-5)


def test_params_of_the_release():
    """What params.json of the 4B model says, and nothing else, is the preset."""
    args = params_from_config(preset("voxtral"))["multimodal"]["audio_tokenizer_args"]
    for key in [k for k in args if k.startswith("encoder_")]:
        del args[key]
    assert args["decoder_convs_kernels_str"] == "3,4,4,4"
    args |= {"voice": {"casual_female": 0}, "fp8_matmul": False}
    assert config_from_params({"multimodal": {"audio_tokenizer_args": args}}) == preset("voxtral")


def test_without_encoder(folder, source):
    def drop(tensors):
        return {n: t for n, t in tensors.items() if "encoder_blocks" not in n and "input_proj" not in n}

    edit_tensors(folder, drop)
    loaded = load(folder)
    codes = source.encode(WAVEFORM, 24_000).codes
    torch.testing.assert_close(loaded.decode(codes)[0], source.decode(codes)[0], atol=1e-6, rtol=1e-5)
    with pytest.raises(MissingEncoderError, match="Decoding works; to encode, load a checkpoint trained with"):
        loaded.encode("any.wav")
    loaded.save(folder.with_name("ours"))
    assert torch.equal(load(folder.with_name("ours")).decode(codes)[0], loaded.decode(codes)[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantizer": {"acoustic": {"levels": (5, 8, 3), "n_channels": 3}}}, r"quantizer\.acoustic\.levels"),
        ({"quantizer": {"kind": "fsq"}}, r"quantizer\.kind"),
        ({"quantizer": {"acoustic": {"kind": "residual_vq"}}}, r"quantizer\.kind"),
        ({"front": "spectrum"}, "front"),
        ({"head": "source_filter"}, "head"),
        ({"windows": (16, 9, 4, 2)}, "windows"),
        ({"windows": (16, 8, 4, 4)}, "windows"),
    ],
)
def test_what_the_layout_cannot_say(changes, message, tmp_path):
    tokenizer = Tokenizer(make_codec(**changes))
    with pytest.raises(ValueError, match=f"{message} = .*the released layout supports"):
        tokenizer.export_voxtral(tmp_path / "model")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 2}, "channels = 2 is not supported"),
        ({"causal": False}, "causal = False"),
        ({"qk_norm": False}, "qk_norm = False"),
        ({"use_biases": True}, "use_biases = True"),
        ({"layer_scale": False}, "layer_scale = False"),
        ({"decoder_convs_strides_str": "1,2,2,4"}, "must mirror"),
        ({"decoder_convs_kernels_str": "3,4,4,2"}, "must mirror"),
        ({"dim": None}, "key 'dim' is missing"),
        ({"decoder_transformer_lengths_str": None}, "'decoder_transformer_lengths_str' is missing"),
        ({"decoder_transformer_lengths_str": "1,1"}, "decoder_layers"),
        ({"decoder_convs_strides_str": [1, 2, 2, 2]}, "expected a string of comma-separated integers"),
        ({"decoder_convs_strides_str": "1,x"}, "'1,x': expected a string of comma-separated integers"),
        ({"attn_sliding_window_size": "16"}, ""),
        ({"head_dim": 0}, "head_dim"),
    ],
)
def test_unsupported_params(changes, message, folder):
    edit_params(folder, **changes)
    with pytest.raises(CheckpointError, match=f"{PARAMS}: .*{message}"):
        load(folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"multimodal": {}}', '{"multimodal": null}'])
def test_params_of_something_else(text, folder):
    (folder / PARAMS).write_text(text)
    with pytest.raises(CheckpointError, match=PARAMS):
        load(folder)


@pytest.mark.parametrize(
    "name",
    [
        "quantizer.semantic_codebook.cluster_usage",
        "encoder_blocks.0.layers.0.attention.wq.weight",
        "decoder_blocks.0.conv.parametrizations.weight.original0",
        "decoder_blocks.1.layers.0.ffn_scale",
        "output_proj.conv.parametrizations.weight.original1",
    ],
)
def test_missing_tensor_is_named(name, folder):
    def drop(tensors):
        del tensors[PREFIX + name]
        return tensors

    edit_tensors(folder, drop)
    with pytest.raises(CheckpointError, match=f"{WEIGHTS}: tensor {PREFIX}{name} is missing"):
        load(folder)


@pytest.mark.parametrize(
    "name", ["decoder_blocks.0.conv.parametrizations.weight.original1", "decoder_blocks.1.layers.0.attention.wk.weight"]
)
def test_misshapen_tensor_is_refused(name, folder):
    def cut(tensors):
        tensors[PREFIX + name] = tensors[PREFIX + name][:-1].clone()
        return tensors

    edit_tensors(folder, cut)
    with pytest.raises(CheckpointError, match=r"shape|size"):
        load(folder)


@pytest.mark.parametrize("name", [WEIGHTS, PARAMS])
def test_missing_or_cut_file(name, folder):
    path = folder / name
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=f"{name}: cannot be read"):
        load(folder)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"not found|cannot be read"):
        load(folder)


def test_tensors_of_the_language_model_are_ignored(folder, source):
    edit_tensors(
        folder, lambda tensors: tensors | {"norm.weight": torch.ones(4), "layers.0.wq.weight": torch.ones(4, 4)}
    )
    codes = source.encode(WAVEFORM, 24_000).codes
    torch.testing.assert_close(load(folder).decode(codes)[0], source.decode(codes)[0], atol=1e-6, rtol=1e-5)


def test_bfloat16_tensors(folder, source):
    edit_tensors(folder, lambda tensors: {name: t.bfloat16() for name, t in tensors.items()})
    loaded = load(folder)
    assert all(t.dtype == torch.float32 for t in loaded.model.parameters())
    codes = source.encode(WAVEFORM, 24_000).codes
    expected, got = source.decode(codes)[0], loaded.decode(codes)[0]
    assert (got - expected).norm() < 0.1 * expected.norm()
