"""The semantic codebook: nearest neighbours, running means, start, revival."""

import pytest
import torch

from codec.quant import vq
from codec.quant.vq import VQ, VQConfig, codebook_stats


def make(n=8, dim=4, decay=0.9, revive_below=0.0, kmeans=True):
    torch.manual_seed(0)
    init = "kmeans" if kmeans else "first_batch"
    return VQ(VQConfig(n, dim, init=init, decay=decay, revive_below=revive_below))


def test_encode_is_the_nearest_entry_and_the_first_of_equals():
    book = make()
    x = torch.randn(100, 4)
    assert torch.equal(book.encode(x), torch.cdist(x, book.embedding).argmin(1))
    book.embedding_sum[5] = book.embedding_sum[2]
    book.refresh()
    assert book.encode(book.embedding[5]) == 2


def test_usage_floor():
    assert vq.USAGE_FLOOR == 1e-5
    book = make()
    book.cluster_usage[0] = 1e-7
    book.refresh()
    torch.testing.assert_close(book.embedding[0], book.embedding_sum[0] / 1e-5)


def test_update_is_an_exponential_mean():
    book = make(n=2, dim=1, decay=0.75)
    book.embedding_sum.copy_(torch.tensor([[0.0], [10.0]]))
    book.cluster_usage.fill_(1.0)
    book.update(torch.tensor([[1.0], [3.0], [11.0]]), torch.tensor([0, 0, 1]))
    share = 2 / 3  # two entries, three vectors
    torch.testing.assert_close(book.cluster_usage, torch.tensor([0.75 + 0.25 * 2 * share, 0.75 + 0.25 * share]))
    torch.testing.assert_close(book.embedding_sum, torch.tensor([[0.25 * 4 * share], [7.5 + 0.25 * 11 * share]]))
    torch.testing.assert_close(book.embedding, book.embedding_sum / book.cluster_usage[:, None])


@pytest.mark.parametrize("kmeans", [True, False])
def test_start_places_entries_on_the_data(kmeans):
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[-5.0] * 4, [0.0] * 4, [5.0] * 4])
    x = centres.repeat(50, 1) + 0.1 * torch.randn(150, 4, generator=generator)
    book = make(n=8, kmeans=kmeans)
    book.start(x, generator)
    assert bool(book.started)
    error = (x - book.decode(book.encode(x))).square().mean()
    assert error < 0.02
    assert codebook_stats(book.encode(x)[None, None], (8,)).usage.tolist() == [1.0]


def test_kmeans_beats_random_picks():
    x = torch.randn(2_000, 4, generator=torch.Generator().manual_seed(1))
    errors = []
    for kmeans in (True, False):
        book = make(n=32, kmeans=kmeans)
        book.start(x, torch.Generator().manual_seed(2))
        errors.append((x - book.decode(book.encode(x))).square().mean())
    assert errors[0] < 0.9 * errors[1]


def test_start_with_fewer_vectors_than_entries():
    book = make(n=8)
    book.start(torch.randn(3, 4))
    assert torch.isfinite(book.embedding).all()


def test_dead_entries_are_revived():
    book = make(n=4, dim=1, decay=0.5, revive_below=0.3)
    x = torch.full((16, 1), 100.0)
    for _ in range(2):
        n_revived = book.update(x, torch.zeros(16, dtype=torch.long))
    assert n_revived == 3
    assert book.embedding.flatten()[1:].tolist() == [100.0] * 3


def test_loading_refreshes_the_entries():
    a, b = make(), make()
    b.embedding_sum += 1
    a.update(torch.randn(20, 4), torch.arange(20) % 8)
    b.load_state_dict(a.state_dict())
    assert torch.equal(a.embedding, b.embedding)


def test_codebook_stats():
    codes = torch.tensor([[[0, 0], [2, 1]], [[1, 1], [0, 0]]])  # [B, K, T]
    stats = codebook_stats(codes, (8, 3))
    torch.testing.assert_close(stats.usage, torch.tensor([2 / 8, 1.0]).double())
    assert stats.perplexity.tolist() == pytest.approx([2.0, 2**1.5])


def test_usage_does_not_depend_on_the_batch_size():
    small, large = make(n=4, dim=2), make(n=4, dim=2)
    large.load_state_dict(small.state_dict())
    x, codes = torch.randn(8, 2), torch.arange(8) % 3
    small.update(x, codes)
    large.update(x.repeat(10, 1), codes.repeat(10))
    torch.testing.assert_close(small.cluster_usage, large.cluster_usage)
    torch.testing.assert_close(small.embedding, large.embedding)


def test_perplexity_of_the_running_usage():
    book = make(n=4, dim=1)
    book.cluster_usage.copy_(torch.tensor([2.0, 2.0, 0.0, 0.0]))
    assert abs(book.perplexity - 2) < 1e-5
