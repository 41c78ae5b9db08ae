"""However weights are stored for streams, they are the same weights."""

import copy
import pickle

import pytest
import torch
from tiny import in_halves, make_codec

from codec.nn.product import MOST_ROWS, Linear, Product, can_pack, store_for_streams
from codec.tokenizer import Tokenizer, load

packs = pytest.mark.skipif(not can_pack(), reason="needs a processor that packs float16 weights")


@pytest.mark.parametrize("halves", [False, True])
def test_values_outputs_and_files_stay(tmp_path, halves):
    codec, twin = make_codec(), make_codec()
    if halves:
        in_halves(codec), in_halves(twin)
    store_for_streams(twin)
    for ours, theirs in zip(codec.parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    waveform = torch.randn(1, 20_000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(twin.latents(waveform), codec.latents(waveform), atol=1e-5, rtol=1e-5)
    codes = codec.encode(waveform)
    torch.testing.assert_close(twin.decode(codes), codec.decode(codes), atol=1e-5, rtol=1e-5)
    Tokenizer(twin).save(tmp_path / "twin")
    assert load(tmp_path / "twin").fingerprint == Tokenizer(codec).fingerprint


def test_numbers_that_float16_rounds_are_stored_by_columns():
    codec = make_codec()
    store_for_streams(codec)
    matrices = [layer.matrix for layer in codec.modules() if isinstance(layer, Product)]
    assert matrices
    assert not any(matrix.is_contiguous() for matrix in matrices if min(matrix.shape) > 1)


def test_other_types_are_left_alone():
    codec = make_codec().double()
    store_for_streams(codec)
    assert all(p.is_contiguous() for p in codec.decoder.stack.parameters() if p.dtype == torch.float64)


@packs
@pytest.mark.parametrize("n_rows", [1, 6, MOST_ROWS, MOST_ROWS + 1])
def test_a_packed_product_is_the_product(n_rows):
    layer = in_halves(Linear(40, 24))
    x = torch.randn(2, n_rows, 40, generator=torch.Generator().manual_seed(0))
    wanted = layer(x)
    store_for_streams(layer)
    torch.testing.assert_close(layer(x), wanted, atol=1e-5, rtol=0)
    torch.testing.assert_close(layer(x.mT.contiguous().mT), wanted, atol=1e-5, rtol=0)
    torch.testing.assert_close(pickle.loads(pickle.dumps(copy.deepcopy(layer)))(x), wanted, atol=1e-5, rtol=0)


@packs
@pytest.mark.parametrize("change", ["in place", "loaded", "cast"])
def test_a_changed_weight_is_read_itself(change):
    layer = in_halves(Linear(8, 8))
    store_for_streams(layer)
    x = torch.ones(1, 8)
    before = layer(x)
    match change:
        case "in place":
            layer.weight.mul_(2)
        case "loaded":
            layer.load_state_dict({"weight": 2 * layer.weight})
        case "cast":
            layer.double()
            layer.weight.data *= 2
            layer.float()
    torch.testing.assert_close(layer(x), 2 * before)


@packs
def test_gradients_flow():
    layer = in_halves(Linear(8, 8))
    store_for_streams(layer)
    x = torch.ones(1, 8, requires_grad=True)
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad[0], layer.weight.sum(0))
    layer.requires_grad_(True)
    layer(x.detach()).sum().backward()
    assert layer.weight.grad is not None
