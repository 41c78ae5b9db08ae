"""ABX: known distances, known error rates, and agreement with trying everything."""

import itertools

import pytest
import torch

from eval.probes.abx import Segment, abx_error, distance, split_segments


def make_segments(means: torch.Tensor, noise: float, n: int = 4, seed: int = 0) -> list[Segment]:
    """`n` segments of 1 to 3 frames for each label and speaker, around means `[speakers, labels, D]`."""
    generator = torch.Generator().manual_seed(seed)
    segments = []
    for speaker, label in itertools.product(range(means.shape[0]), range(means.shape[1])):
        for i in range(n):
            x = means[speaker, label] + noise * torch.randn(1 + i % 3, means.shape[2], generator=generator)
            segments.append(Segment(label, f"speaker {speaker}", x))
    return segments


def test_distances_by_hand() -> None:
    x, y = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert distance(x[None], 3 * x[None]) == 0
    assert distance(x[None], y[None]) == pytest.approx(0.5)
    assert distance(x[None], -x[None]) == pytest.approx(1)
    assert distance(x[None], (x + y)[None]) == pytest.approx(0.25)
    assert distance(torch.stack([x, x, y]), torch.stack([x, y, y, y])) == 0
    # The best path is x-x, y-x: two cells, one of them at a right angle.
    assert distance(torch.stack([x, y]), x[None]) == pytest.approx(0.25)
    assert distance(0 * x[None], x[None]) == pytest.approx(0.5)


def test_distance_is_that_of_the_best_path() -> None:
    """Against all monotone paths through the frames, of which the cheapest counts."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(4, 3, generator=generator), torch.randn(3, 3, generator=generator)
    angles = torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=2).acos() / torch.pi

    def paths(i: int, j: int) -> list[list[float]]:
        if (i, j) == (0, 0):
            return [[float(angles[0, 0])]]
        before = [(i - 1, j), (i, j - 1), (i - 1, j - 1)]
        return [[*p, float(angles[i, j])] for k, m in before if k >= 0 and m >= 0 for p in paths(k, m)]

    best = min(paths(3, 2), key=sum)
    assert distance(a, b) == distance(b, a) == pytest.approx(sum(best) / len(best), abs=1e-5)


@pytest.mark.parametrize("across", [False, True])
def test_sounds_apart_are_told_apart(across: bool) -> None:
    means = torch.eye(3).repeat(2, 1, 1)
    assert abx_error(make_segments(means, 0.01), across) == 0


def test_what_only_speakers_tell_fails_across_them() -> None:
    """The second speaker's labels are swapped: right for each alone, wrong from one to the other."""
    means = torch.stack([torch.eye(2), torch.eye(2).flip(0)])
    segments = make_segments(means, 0.01)
    assert abx_error(segments, across=False) == 0
    assert abx_error(segments, across=True) == 1


@pytest.mark.parametrize("across", [False, True])
def test_random_sounds_are_at_chance(across: bool) -> None:
    segments = make_segments(torch.zeros(3, 6, 8), 1.0, n=12)
    assert abx_error(segments, across, n_triples=5000) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("across", [False, True])
def test_identical_sounds_are_ties(across: bool) -> None:
    segments = make_segments(torch.randn(1, 1, 8).expand(2, 3, 8), 0.0)
    assert abx_error(segments, across) == 0.5


@pytest.mark.parametrize("across", [False, True])
def test_agrees_with_trying_everything(across: bool) -> None:
    segments = make_segments(torch.randn(3, 3, 4, generator=torch.Generator().manual_seed(1)), 1.0, n=3)[2:]
    cells: dict[tuple[int, int, str], list[float]] = {}
    for a, b, x in itertools.permutations(segments, 3):
        right_speakers = a.speaker == b.speaker and (x.speaker != a.speaker) == across
        if right_speakers and a.label == x.label != b.label:
            near, far = distance(a.features, x.features), distance(b.features, x.features)
            error = 0.5 if near == far else float(far < near)
            cells.setdefault((a.label, b.label, a.speaker), []).append(error)
    expected = sum(sum(errors) / len(errors) for errors in cells.values()) / len(cells)
    assert 0.1 < expected < 0.9
    assert abx_error(segments, across, n_triples=100_000) == pytest.approx(expected, abs=1e-9)


def test_few_triples_are_an_estimate_that_the_seed_repeats() -> None:
    segments = make_segments(torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(0)), 1.0, n=4)
    every = abx_error(segments, across=True, n_triples=100_000)
    fewer, again, other = (abx_error(segments, across=True, n_triples=400, seed=s) for s in (0, 0, 1))
    assert fewer == again != other
    assert fewer == pytest.approx(every, abs=0.1)
    assert abx_error(segments, across=True, n_triples=1) in (0, 1)


def test_no_triple_is_no_number() -> None:
    segments = make_segments(torch.zeros(1, 3, 2), 1.0)
    assert abx_error(segments, across=True) is None
    assert abx_error(make_segments(torch.zeros(2, 1, 2), 1.0), across=True) is None
    assert abx_error(make_segments(torch.zeros(2, 3, 2), 1.0, n=1), across=False) is None
    assert abx_error([], across=False) is None


def test_segments_are_runs_of_labels() -> None:
    features = torch.arange(10.0).view(5, 2)
    segments = split_segments(features, torch.tensor([3, 3, 1, 3, 3]), "a")
    assert [(s.label, s.speaker) for s in segments] == [(3, "a"), (1, "a"), (3, "a")]
    assert torch.cat([s.features for s in segments]).equal(features)
    assert [len(s.features) for s in segments] == [2, 1, 2]
