"""Entropy coding: no code changes, whatever computes the model, and layers come off the end."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.bitstream import BitstreamError, Header, Reader, TokenModel, Writer
from codec.bitstream.coding import EntropyCoding
from codec.tokenizer import load

ROOT = Path(__file__).parents[2]
SIZES, ENDS = (64, 5, 5, 5, 5), (1, 3, 5)
ORDINAL = (False, True, True, True, True)
HEADER = Header(SIZES, 1000, 100, frames_per_packet=8, layer_ends=ENDS)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "token_model.safetensors"
    model = TokenModel(SIZES, ORDINAL, ENDS, width=32, past=2, embedding=4)
    for name, weight in model.named_parameters():
        if "embeddings" not in name:
            torch.nn.init.normal_(weight.data, std=20)
    model.save(path)
    return TokenModel.load(path)


def make_codes(n_frames, seed=0):
    return np.random.default_rng(seed).integers(0, np.array(SIZES)[:, None], (len(SIZES), n_frames))


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(0, 10))
def test_codes_come_back_from_any_number_of_layers(model, n_frames, seed):
    coding, codes = EntropyCoding(HEADER, model), make_codes(n_frames, seed)
    layers = coding.encode(codes)
    assert len(layers) == len(ENDS)
    for n_layers, end in enumerate(ENDS, 1):
        np.testing.assert_array_equal(coding.decode(layers[:n_layers], n_frames), codes[:end])


def test_a_stream_by_a_model(model):
    header = Header(SIZES, 1000, 100, frames_per_packet=8, layer_ends=ENDS, token_model=model.fingerprint())
    codes, file = make_codes(20), io.BytesIO()
    writer = Writer(file, header, model)
    writer.write(codes)
    writer.close(1999)
    file.seek(0)
    reader = Reader(file, model)
    assert reader.header == header
    np.testing.assert_array_equal(np.concatenate([item.codes for item in reader], axis=1), codes)
    with pytest.raises(BitstreamError, match=f"coded with token model {model.fingerprint()}, given is none"):
        list(Reader(io.BytesIO(file.getvalue())))


@pytest.mark.parametrize("index", [0, 1], ids=["entries", "levels"])
def test_sums_are_exact_in_any_order_and_library(index):
    """One thread, many, float64, and ONNX Runtime agree to the bit, at the width that is shipped."""
    onnxruntime = pytest.importorskip("onnxruntime")
    torch.manual_seed(1)
    layer = TokenModel((1024, *[21] * 8), (False, *[True] * 8), (1, 9), width=256).layers[index]
    for name, weight in layer.requires_grad_(False).named_parameters():
        size = 10 if name == "out_bias" else 127 * weight.shape[-1] ** -0.5
        weight.copy_((torch.randn_like(weight) * size).round().clamp(-127, 127))
    x = torch.randint(-127, 128, (64, layer.first.shape[1])).float()
    expected = layer(x)
    assert expected.std() > 10, "not all clipped"
    n_threads = torch.get_num_threads()
    for n in (1, 2):
        torch.set_num_threads(n)
        assert torch.equal(layer(x), expected)
    torch.set_num_threads(n_threads)
    assert torch.equal(layer.double()(x.double()).float(), expected)
    file = io.BytesIO()
    program = torch.onnx.export(layer.float().eval(), (x,), dynamo=True, verbose=False)
    program.save(file)
    session = onnxruntime.InferenceSession(file.getvalue())
    (got,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_array_equal(got, expected.numpy())


def test_what_is_coded_by_two_threads_decodes_by_one(model):
    codes, n_threads = make_codes(8), torch.get_num_threads()
    torch.set_num_threads(2)
    layers = EntropyCoding(HEADER, model).encode(codes)
    torch.set_num_threads(1)
    np.testing.assert_array_equal(EntropyCoding(HEADER, model).decode(layers, 8), codes)
    torch.set_num_threads(n_threads)


def test_the_default_saves_a_fifth_and_one_thread_decodes_what_two_wrote():
    tokenizer = load()
    model, codes = tokenizer.token_model, tokenizer.encode(ROOT / "tests/data/kathleen.flac").codes[0].numpy()
    header = Header(model.codebook_sizes, 24_000, 1920, layer_ends=model.layer_ends, token_model=model.fingerprint())
    coding, n_threads = EntropyCoding(header, model), torch.get_num_threads()
    torch.set_num_threads(2)
    layers = coding.encode(codes)
    torch.set_num_threads(1)
    np.testing.assert_array_equal(coding.decode(layers, codes.shape[1]), codes)
    torch.set_num_threads(n_threads)
    fixed = np.log2(model.codebook_sizes).sum() * codes.shape[1]
    assert 8 * sum(map(len, layers)) < 0.8 * fixed


def test_codes_need_the_bits_that_the_model_says(model):
    codes = torch.from_numpy(make_codes(8))
    frames = torch.cat([model.padding(), codes], dim=1)
    bits = torch.cat([model.bits(frames, layer) for layer in range(3)])
    assert bits.shape == codes.shape
    assert abs(8 * len(b"".join(EntropyCoding(HEADER, model).encode(codes.numpy()))) - float(bits.sum())) < 64


def test_saved_and_loaded_it_is_the_same(model, tmp_path):
    model.save(tmp_path / "again.safetensors")
    again = TokenModel.load(tmp_path / "again.safetensors")
    assert again.fingerprint() == model.fingerprint()
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    for name in ("bad", "missing"):
        with pytest.raises(BitstreamError, match=rf"{name}\.safetensors: not a token model, or a damaged one"):
            TokenModel.load(tmp_path / f"{name}.safetensors")


def test_models_of_other_codebooks_are_refused(model):
    with pytest.raises(BitstreamError, match=r"for codebooks \(64, 5, 5, 5, 5\) in layers"):
        EntropyCoding(Header((64, 5, 5), 1000, 100), model)
    with pytest.raises(ValueError, match=r"layer_ends = \(2, 5\): codebooks 0 to 1 are of several"):
        TokenModel(SIZES, ORDINAL, (2, 5))


def test_sums_that_might_not_be_exact_are_refused():
    model = TokenModel((2**9, 2), (False, False), (1, 2), width=4, past=2**8, embedding=8)
    model.layers[0].first.data.fill_(127)
    with pytest.raises(ValueError, match=r"layers\.0\.first: its sums are not exact"):
        model.integers()
