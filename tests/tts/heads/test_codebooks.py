"""Tables and outputs of their own for each codebook, and noise that draws from a distribution."""

import torch

from codec.tts.heads.codebooks import CodeEmbedding, CodeOutput, gumbel


def test_each_codebook_has_its_own_table():
    embedding = CodeEmbedding(3, 4, 2)
    tables = embedding.weight.view(3, 4, 2)
    codes = torch.tensor([[0, 3, 1], [2, 2, 2]])
    expected = torch.stack([tables[k, codes[:, k]] for k in range(3)], dim=1)
    assert torch.equal(embedding(codes), expected)
    assert torch.equal(embedding(codes[:, 1:2], 1), expected[:, 1:2])


def test_each_codebook_has_its_own_output():
    output = CodeOutput(3, 4, 2)
    weights = output.weight.view(3, 4, 2)
    x = torch.randn(5, 3, 2)
    expected = torch.stack([x[:, k] @ weights[k].T for k in range(3)], dim=1)
    torch.testing.assert_close(output(x), expected)
    torch.testing.assert_close(output(x[:, 2:], 2), expected[:, 2:])


def test_the_maximum_with_gumbel_noise_draws_from_the_softmax():
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0])
    noise = gumbel(50_000, 4, generator=torch.Generator().manual_seed(0))
    assert noise.isfinite().all()
    for temperature in (0.5, 1.0, 2.0):
        shares = (logits + temperature * noise).argmax(1).bincount() / len(noise)
        torch.testing.assert_close(shares, (logits / temperature).softmax(0), atol=0.01, rtol=0)
