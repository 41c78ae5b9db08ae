"""The backbone against transformers' Mistral, with and without cache, and its invariances."""

import pytest
import torch
from einops import rearrange
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.tts.backbone import Backbone, State, grow
from codec.tts.config import TransformerConfig

CONFIG = TransformerConfig(dim=48, n_layers=3, n_heads=6, n_kv_heads=2, head_dim=16, hidden_dim=96)
THETA = 1e6


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return Backbone(CONFIG, THETA).requires_grad_(False)


@pytest.fixture(scope="module")
def mistral(backbone):
    """transformers' model with the weights of `backbone`."""
    transformers = pytest.importorskip("transformers")
    c = CONFIG
    model = transformers.MistralModel(
        transformers.MistralConfig(
            vocab_size=10, hidden_size=c.dim, intermediate_size=c.hidden_dim, num_hidden_layers=c.n_layers,
            num_attention_heads=c.n_heads, num_key_value_heads=c.n_kv_heads, head_dim=c.head_dim,
            rms_norm_eps=c.norm_eps, sliding_window=None,
            rope_parameters={"rope_type": "default", "rope_theta": THETA},
        )
    ).requires_grad_(False)  # fmt: skip
    for ours, theirs in zip(backbone.layers, model.layers, strict=True):
        sizes = [n * c.head_dim for n in (c.n_heads, c.n_kv_heads, c.n_kv_heads)]
        q, k, v = ours.attention.qkv.weight.split(sizes)
        halves = "(h i two) d -> (h two i) d"  # pairs of neighbours there are channels i and i + head_dim / 2
        theirs.self_attn.q_proj.weight.copy_(rearrange(q, halves, two=2, i=c.head_dim // 2))
        theirs.self_attn.k_proj.weight.copy_(rearrange(k, halves, two=2, i=c.head_dim // 2))
        theirs.self_attn.v_proj.weight.copy_(v)
        theirs.self_attn.o_proj.weight.copy_(ours.attention.out.weight)
        gate, up = ours.feed_forward.gate_up.weight.chunk(2)
        theirs.mlp.gate_proj.weight.copy_(gate)
        theirs.mlp.up_proj.weight.copy_(up)
        theirs.mlp.down_proj.weight.copy_(ours.feed_forward.down.weight)
    return model


def chunked(backbone, x, sizes, capacity=64):
    state = backbone.init_state(len(x), capacity)
    outputs = []
    for chunk in x.split(sizes, dim=1):
        h, state = backbone.step(chunk, state)
        outputs.append(h)
    return torch.cat(outputs, dim=1), state


@pytest.mark.parametrize("cached", [False, True])
def test_hidden_states_are_those_of_mistral(backbone, mistral, cached):
    x = torch.randn(2, 20, CONFIG.dim)
    expected = mistral(inputs_embeds=x).last_hidden_state
    h = chunked(backbone, x, [7, 1, 1, 11])[0] if cached else backbone(x)
    torch.testing.assert_close(h, expected, atol=1e-4, rtol=0)


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_chunks_make_the_whole(backbone, sizes):
    x = torch.randn(2, sum(sizes), CONFIG.dim)
    torch.testing.assert_close(chunked(backbone, x, sizes)[0], backbone(x), atol=1e-5, rtol=0)


def test_packed_sequences_do_not_see_each_other(backbone):
    a, b = torch.randn(1, 5, CONFIG.dim), torch.randn(1, 8, CONFIG.dim)
    positions = torch.cat([torch.arange(5), torch.arange(8)])[None]
    h = backbone(torch.cat([a, b], dim=1), positions)
    torch.testing.assert_close(h, torch.cat([backbone(a), backbone(b)], dim=1), atol=1e-5, rtol=0)


def test_streams_of_different_lengths_are_as_alone(backbone):
    x = torch.randn(2, 9, CONFIG.dim)
    lengths = torch.tensor([4, 9])
    state = backbone.init_state(2, 32)
    _, state = backbone.step(x, state, lengths)
    assert state.length.tolist() == [4, 9]
    more = torch.randn(2, 2, CONFIG.dim)
    h, _ = backbone.step(more, state)
    for row, n in enumerate(lengths):
        alone = backbone(torch.cat([x[row : row + 1, :n], more[row : row + 1]], dim=1))
        torch.testing.assert_close(h[row], alone[0, -2:], atol=1e-5, rtol=0)


def test_a_grown_state_goes_on(backbone):
    x = torch.randn(1, 12, CONFIG.dim)
    state = backbone.init_state(1, 8)
    _, state = backbone.step(x[:, :8], state)
    h, _ = backbone.step(x[:, 8:], State(state.length, grow(state.kv, 16)))
    torch.testing.assert_close(h, backbone(x)[:, 8:], atol=1e-5, rtol=0)


def test_later_steps_change_nothing_before(backbone):
    x = torch.randn(1, 10, CONFIG.dim)
    changed = x.clone()
    changed[:, 6:] = 0
    assert torch.equal(backbone(x)[:, :6], backbone(changed)[:, :6])
