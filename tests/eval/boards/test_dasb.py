"""A codec under DASB's names: batches with relative lengths, at the rate of a recipe."""

import pytest
import torch

from eval.boards.dasb import DASBTokenizer


def test_tokens_and_back(tokenizer):
    hop, sizes = tokenizer.config.hop_length, tokenizer.config.codebook_sizes
    codec = DASBTokenizer(tokenizer, 24_000)
    assert (codec.num_codebooks, codec.vocab_size) == (len(sizes), max(sizes))
    sig = 0.1 * torch.randn(2, 4 * hop)
    length = torch.tensor([1, 0.5])
    toks = codec.sig_to_toks(sig, length)
    assert toks.shape == (2, 4, len(sizes))
    assert not toks[1, 2:].any()
    assert torch.equal(toks[1, :2].T, tokenizer.encode(sig[1, : 2 * hop], 24_000).codes[0]), "padding is not heard"
    back = codec.toks_to_sig(toks, length)
    assert back.shape == sig.shape
    assert not back[1, 2 * hop :].any()
    torch.testing.assert_close(back[1, : 2 * hop], tokenizer.decode(toks[1:, :2].transpose(1, 2))[0])
    assert codec.tokens_to_sig(toks).shape == sig.shape


def test_the_rate_and_codebooks_of_a_recipe(tokenizer):
    codec = DASBTokenizer(tokenizer, 16_000, num_codebooks=2)
    sig = 0.1 * torch.randn(1, 16_000)
    toks = codec.sig_to_toks(sig)
    assert toks.shape[2] == 2
    seconds = toks.shape[1] * tokenizer.config.hop_length / tokenizer.config.sample_rate
    assert codec.toks_to_sig(toks).shape[1] == pytest.approx(16_000 * seconds, abs=1)
    assert torch.equal(codec.sig_to_tokens(sig, torch.ones(1), num_codebooks=1), toks[..., :1])
