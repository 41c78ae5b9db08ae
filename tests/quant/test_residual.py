"""Residual vector quantization: what each codebook codes, how it starts and learns, prefixes, dropout."""

import pytest
import torch

from codec.quant.residual import ResidualVQ, ResidualVQConfig


def make(**changes):
    torch.manual_seed(0)
    return ResidualVQ(ResidualVQConfig(**{"n_q": 4, "codebook_size": 16, "dim": 6, **changes}))


@pytest.fixture
def started():
    quantizer, z = make(), torch.randn(100, 8, 6)
    quantizer.start(z, torch.Generator().manual_seed(1))
    return quantizer, z


def test_each_codebook_codes_what_is_left(started):
    quantizer, z = started
    codes, rest = quantizer.encode(z), z
    for k, book in enumerate(quantizer.books):
        assert torch.equal(codes[:, k], torch.cdist(rest.flatten(0, 1), book.embedding).argmin(1).view(100, 8))
        rest = rest - book.embedding[codes[:, k]]
    torch.testing.assert_close(quantizer.decode(codes), z - rest)


def test_longer_prefixes_are_nearer(started):
    quantizer, z = started
    codes = quantizer.encode(z)
    errors = [float((quantizer.decode(codes[:, :n]) - z).square().mean()) for n in range(5)]
    assert errors == sorted(errors, reverse=True)
    assert errors[4] < 0.25 * errors[0]
    assert not quantizer.decode(codes[:, :0]).any()


def test_nothing_passes_codebooks_that_have_not_started():
    quantizer, z = make().train(), torch.randn(20, 8, 6)
    assert not quantizer.started
    q = quantizer(z)
    assert torch.equal(q.z, z)
    assert q.penalties["commit"] == 0
    quantizer.start(z)
    assert quantizer.started
    assert not torch.equal(quantizer(z).z, z)


def test_dropout_keeps_a_prefix_with_a_straight_through_gradient(started):
    quantizer, z = started
    quantizer.config.dropout = 1.0
    z = z.requires_grad_()
    q = quantizer.train()(z, torch.Generator().manual_seed(0))
    assert set(q.n_q.tolist()) == {1, 2, 3}
    for i in range(20):
        torch.testing.assert_close(q.z[i], quantizer.decode(q.codes[i : i + 1, : q.n_q[i]])[0])
    q.z.sum().backward()
    assert torch.equal(z.grad, torch.ones_like(z))


def test_commit_pulls_latents_to_the_entries_of_kept_codebooks(started):
    quantizer, z = started
    z = z.requires_grad_()
    q = quantizer.eval()(z)
    expected, rest = 0.0, z.detach()
    for k, book in enumerate(quantizer.books):
        rest = rest - book.decode(q.codes[:, k])
        expected += float(rest.square().sum(-1).mean()) / 4
    assert float(q.penalties["commit"].detach()) == pytest.approx(expected, rel=1e-5)
    q.penalties["commit"].backward()
    assert (z.grad * (z.detach() - quantizer.decode(q.codes))).sum() > 0
    fewer = quantizer.quantize(z, torch.full((100,), 2), None).penalties["commit"]
    assert 0 < float(fewer.detach()) < expected


def test_learning_moves_towards_the_data_and_revives(started):
    quantizer, z = started
    moved = z + 1
    before = float((quantizer.decode(quantizer.encode(moved)) - moved).square().mean())
    quantizer.layers[2].cluster_usage[3] = 0.0
    assert quantizer.learn(moved, torch.Generator().manual_seed(0)) >= 1
    for _ in range(100):
        quantizer.learn(moved, torch.Generator().manual_seed(0))
    assert float((quantizer.decode(quantizer.encode(moved)) - moved).square().mean()) < before


def test_a_frozen_codebook_stays(started):
    quantizer, z = started
    quantizer.layers[0].frozen = True
    before = [book.embedding.clone() for book in quantizer.books]
    quantizer.learn(z + 1)
    quantizer.start(z + 1)
    same = [torch.equal(a, book.embedding) for a, book in zip(before, quantizer.books, strict=True)]
    assert same == [True, False, False, False]
