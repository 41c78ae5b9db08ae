"""The probe: vectors that spell the text are read without error, others are not; and counts of agreement."""

import random

import pytest
import torch

from eval.ctc import CHARSET
from eval.probes.linear import LinearProbe, Purity, purity, train_probe

SIZE, DIM = 2 * len(CHARSET), 64
WORDS = ["half", "an", "hour", "of", "speech", "spells", "every", "morning", "letter"]

Items = tuple[list[torch.Tensor], list[str]]


def items(n: int, seed: int) -> Items:
    """Texts of three words, and vectors of one character a frame: two for each, at random, far from zero."""
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=3)) for _ in range(n)]
    book = 7 + 0.01 * torch.randn(SIZE, DIM, generator=torch.Generator().manual_seed(0))
    return [book[[2 * CHARSET.index(c) + rng.randrange(2) for c in text]] for text in texts], texts


def scrambled(items: list[torch.Tensor]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(item.shape, generator=generator) for item in items]


@pytest.fixture(scope="module")
def probe() -> LinearProbe:
    return train_probe(*items(60, seed=0), steps_per_frame=2, n_updates=80)


def test_vectors_that_spell_are_read(probe: LinearProbe) -> None:
    assert probe.cer(*items(10, seed=1)) < 0.02


def test_random_vectors_are_not_read() -> None:
    (vectors, texts), (test_vectors, test_texts) = items(60, seed=0), items(10, seed=1)
    probe = train_probe(scrambled(vectors), texts, steps_per_frame=2, n_updates=80)
    assert probe.cer(scrambled(test_vectors), test_texts) > 0.6


def test_same_seed_same_probe_and_no_trace_in_the_global_one() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, again, other = (train_probe(*items(8, seed=0), n_updates=3, seed=s) for s in (0, 0, 1))
    assert torch.rand(1) == expected
    assert first.linear.weight.equal(again.linear.weight)
    assert not first.linear.weight.equal(other.linear.weight)


def test_batching_changes_nothing(probe: LinearProbe) -> None:
    vectors, _ = items(3, seed=1)
    logits, n_steps = probe(vectors)
    for i, item in enumerate(vectors):
        torch.testing.assert_close(logits[i, : n_steps[i]], probe([item])[0][0])


def test_transcripts_without_letters_are_refused(probe: LinearProbe) -> None:
    with pytest.raises(ValueError, match="no test transcript has a letter"):
        probe.cer([torch.zeros(2, DIM)], ["123"])


def test_purity_of_identical_labels_is_one() -> None:
    labels = torch.randint(30, (500,), generator=torch.Generator().manual_seed(0))
    assert purity(labels, labels) == Purity(1.0, pytest.approx(1.0))
    assert purity(99 - 3 * labels, labels) == Purity(1.0, pytest.approx(1.0)), "names of codes do not matter"


def test_purity_of_independent_labels_is_chance() -> None:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(8, (40_000,), generator=generator)
    labels = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), 40_000, replacement=True, generator=generator)
    result = purity(codes, labels)
    assert result.purity == pytest.approx(0.5, abs=0.02)
    assert result.nmi == pytest.approx(0.0, abs=0.001)


def test_purity_by_hand() -> None:
    """Code 0 holds labels a a a b, code 1 holds b b b a: 6 of 8 right, 1 - H(1/4) bits of 1."""
    result = purity(torch.tensor([0] * 4 + [1] * 4), torch.tensor([5, 5, 5, 9, 9, 9, 9, 5]))
    assert result == Purity(0.75, pytest.approx(0.1887, abs=1e-4))


def test_purity_refuses_what_does_not_match() -> None:
    with pytest.raises(ValueError, match=r"codes \[3\] and labels \[2\]"):
        purity(torch.zeros(3), torch.zeros(2))
    with pytest.raises(ValueError, match="one label for each"):
        purity(torch.zeros(0), torch.zeros(0))
