"""Compiled streams give what the others give, and compile each side once."""

from functools import partial

import pytest
import torch
from stream_mix import assert_equal_in_any_mix
from tiny import SMALL_GRAPHS, in_halves, make_codec

from codec.compiled import CompiledStreams
from codec.nn.product import Linear, can_pack
from codec.stream import DecoderStream
from codec.tokenizer import Tokenizer


def make_pair(name="12.5 Hz", **changes):
    """The same codec twice, with weights that float16 holds."""
    return [in_halves(make_codec(name, **changes)) for _ in range(2)]


def test_any_mix_of_streams(monkeypatch):
    pair = make_pair(**SMALL_GRAPHS["source filter"] | {"encoder_layers": (0, 1)})
    compiled = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, options, **kwargs: compiled(f, backend="aot_eager", **kwargs))
    torch._dynamo.utils.counters.clear()
    streams = CompiledStreams(Tokenizer(pair[1]))
    for seed in range(4):
        assert_equal_in_any_mix(pair[0], streams, 2, seed)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2


def test_a_decoder_in_machine_code():
    pair = make_pair("50 Hz", decoder_layers=(1, 0))
    codes = torch.stack([torch.randint(size, (1, 6)) for size in pair[0].config.codebook_sizes], dim=1)
    streams = DecoderStream(pair[0]), CompiledStreams(Tokenizer(pair[1])).decoder_stream()
    wanted, found = (torch.cat([stream.push(c)[0] for c in codes.split(1, dim=2)]) for stream in streams)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


@pytest.mark.skipif(not can_pack(), reason="needs a processor that packs float16 weights")
def test_only_frozen_weights_are_compiled_packed():
    layer, x = in_halves(Linear(8, 8)), torch.ones(1, 8)
    programs = []
    for is_frozen in (False, True):
        layer.store_for_streams()
        if is_frozen:
            layer.freeze_for_streams()
        torch._dynamo.reset()
        torch.compile(layer, backend=partial(note, programs))(x)
    assert ["fbgemm" in program for program in programs] == [False, True]


def note(programs, program, inputs):
    programs.append(str(program.graph))
    return program
