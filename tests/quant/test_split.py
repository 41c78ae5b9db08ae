"""The quantizers' training behaviour: shares of samples, nested dropout, gradients."""

import torch

from codec.config import preset


def quantize(batch=4000, seed=0, train=True, **changes):
    torch.manual_seed(0)
    config = preset("tiny", quantizer=changes).quantizer
    quantizer = config.make().train(train)
    z = torch.randn(batch, 2, config.latent_dim, requires_grad=True)
    quantizer.start(z, torch.Generator().manual_seed(1))
    return config, quantizer, z, quantizer(z, torch.Generator().manual_seed(seed))


def test_shares_of_the_paper():
    """VQ on half of the samples; acoustic channels rounded on 50%, dithered on 25%, untouched on 25%."""
    config, _, z, q = quantize(dropout=0.0)
    n = config.semantic_dim
    passed = (q.z[..., :n] == z[..., :n]).all(2).all(1).float().mean()
    acoustic, bounded = q.z[..., n:], torch.tanh(z[..., n:])
    on_level = ((acoustic + 1) * 10 - ((acoustic + 1) * 10).round()).abs().flatten(1).max(1).values < 1e-4
    identical = (acoustic == bounded).flatten(1).all(1)
    assert abs(passed - 0.5) < 0.03
    assert abs(on_level.float().mean() - 0.5) < 0.03
    assert abs(identical.float().mean() - 0.25) < 0.03


def test_nested_dropout_keeps_a_prefix():
    config, _, _, q = quantize(dropout=1.0, acoustic={"levels": 20})  # an even number has no level 0
    kept = q.z[..., config.semantic_dim :].abs().amax(1) > 0
    assert torch.equal(kept.sum(1) + 1, q.n_q)
    assert torch.equal(kept, torch.arange(config.acoustic_dim) < (q.n_q - 1)[:, None])
    assert set(q.n_q.tolist()) == set(range(1, len(config.codebook_sizes)))


def test_eval_quantizes_everything():
    config, quantizer, z, q = quantize(batch=8, train=False, dropout=1.0)
    torch.testing.assert_close(q.z, quantizer.decode(q.codes), atol=1e-6, rtol=0)
    assert torch.equal(q.codes, quantizer.encode(z))
    assert q.n_q.tolist() == [len(config.codebook_sizes)] * 8


def test_only_learning_moves_the_codebook():
    _, quantizer, z, _ = quantize(batch=100)
    before = quantizer.semantic.embedding.clone()
    quantizer(z)
    assert torch.equal(quantizer.semantic.embedding, before)
    quantizer.learn(z + 1)
    assert not torch.equal(quantizer.semantic.embedding, before)


def test_nothing_passes_a_codebook_that_has_not_started():
    config = preset("tiny", quantizer={"semantic": {"quantize_prob": 1.0}}).quantizer
    quantizer = config.make().train()
    z = torch.randn(200, 2, config.latent_dim)
    n = config.semantic_dim
    q = quantizer(z)
    assert torch.equal(q.z[..., :n], z[..., :n])
    assert q.penalties["commit"] == 0
    quantizer.start(z)
    q = quantizer(z)
    torch.testing.assert_close(q.z[..., :n], quantizer.semantic.decode(q.codes[:, 0]))
    assert q.penalties["commit"] > 0


def test_commit_loss_pulls_latents_only():
    config, _, z, q = quantize(batch=50)
    q.penalties["commit"].backward()
    assert z.grad[..., : config.semantic_dim].abs().sum() > 0
    assert z.grad[..., config.semantic_dim :].abs().sum() == 0
