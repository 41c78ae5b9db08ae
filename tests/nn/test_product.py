"""Weights by columns are the same weights."""

import torch
from tiny import make_codec

from codec.nn.layout import by_columns
from codec.tokenizer import Tokenizer, load


def test_values_outputs_and_files_stay(tmp_path):
    codec, twin = make_codec(), make_codec()
    by_columns(twin)
    for ours, theirs in zip(codec.parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    matrices = [p for name, p in twin.named_parameters() if name.endswith("weight") and p.ndim > 1]
    assert matrices
    assert not any(p.is_contiguous() for p in matrices if min(p.shape) > 1)
    waveform = torch.randn(1, 20_000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(twin.latents(waveform), codec.latents(waveform), atol=1e-5, rtol=1e-5)
    codes = codec.encode(waveform)
    torch.testing.assert_close(twin.decode(codes), codec.decode(codes), atol=1e-5, rtol=1e-5)
    Tokenizer(twin).save(tmp_path / "twin")
    assert load(tmp_path / "twin").fingerprint == Tokenizer(codec).fingerprint


def test_other_types_are_left_alone():
    codec = make_codec().double()
    by_columns(codec)
    assert all(p.is_contiguous() for p in codec.decoder.stack.parameters() if p.dtype == torch.float64)
