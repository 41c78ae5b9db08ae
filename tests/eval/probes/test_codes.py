"""Statistics of codes against closed forms, and of those that a run kept."""

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch

from eval.probes.codes import code_stats, entropy, main, run_stats, summary
from eval.results import CODING, Recording, Results, SystemResult
from eval.store import file_of

T = 20_000


def random_codes(*sizes: int, n_frames: int = T, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(size, (n_frames,), generator=generator) for size in sizes])


def test_uniform_codes_carry_what_they_nominally_do() -> None:
    codes = torch.arange(64).repeat(10)[None]
    stats = code_stats([codes], (64,), 12.5)
    (book,) = stats.codebooks
    assert book.entropy == pytest.approx(6, abs=1e-5)
    assert book.perplexity == pytest.approx(64, rel=1e-5)
    assert (book.n_unseen, book.usage, book.repetition) == (0, 1.0, 0.0)
    assert stats.bitrate == 75
    assert stats.entropy_bitrate == pytest.approx(75, rel=1e-5)
    assert (stats.redundancy, stats.n_frames) == (0.0, 640)


def test_constant_codes_carry_nothing() -> None:
    stats = code_stats([torch.stack([torch.full((50,), 3), torch.arange(50) % 2])], (8, 2), 10.0)
    constant = stats.codebooks[0]
    assert (constant.entropy, constant.perplexity, constant.n_unseen, constant.repetition) == (0.0, 1.0, 7, 1.0)
    assert constant.usage == pytest.approx(1 / 8)
    assert stats.bitrate == pytest.approx(40)
    assert stats.entropy_bitrate == pytest.approx(10, rel=1e-5)
    assert stats.mutual[0, 1] == pytest.approx(0, abs=1e-9)
    assert stats.redundancy == pytest.approx(0, abs=1e-9)


def test_entropy_of_unequal_shares() -> None:
    assert entropy(torch.tensor([7, 7, 0, 9])) == pytest.approx(1.5)


def test_independent_codebooks_share_nothing() -> None:
    stats = code_stats([random_codes(8, 16, 21)], (8, 16, 21), 12.5)
    off = stats.mutual[~torch.eye(3, dtype=torch.bool)]
    assert off.abs().max() < 0.01
    assert abs(stats.redundancy) < 0.002
    assert stats.mutual.diagonal().tolist() == pytest.approx([3, 4, math.log2(21)], abs=0.01)


def test_copied_codebooks_share_everything() -> None:
    (a, b), relabelled = random_codes(8, 8), torch.randperm(8, generator=torch.Generator().manual_seed(1))
    stats = code_stats([torch.stack([a, relabelled[a], b])], (8, 8, 8), 12.5)
    assert stats.mutual[0, 1] == stats.mutual[1, 0] == pytest.approx(3, abs=0.01)
    assert stats.mutual[0, 2] == pytest.approx(0, abs=0.01)
    assert stats.redundancy == pytest.approx(2 / 6, abs=0.005)


def test_half_copied_codes_share_their_half() -> None:
    """The second codebook has the low bit of the first: all of its own entropy, a third of the other's."""
    (a,) = random_codes(8)
    stats = code_stats([torch.stack([a, a % 2])], (8, 2), 12.5)
    assert stats.mutual[0, 1] == pytest.approx(1, abs=0.01)
    assert stats.redundancy == pytest.approx((1 + 1 / 3) / 2, abs=0.005)


def test_few_frames_for_large_codebooks_do_not_look_redundant() -> None:
    codes = random_codes(8192, 21, n_frames=1000)
    stats = code_stats([codes], (8192, 21), 12.5)
    plain = entropy(codes[0]) + entropy(codes[1]) - entropy(codes[0] * 21 + codes[1])
    assert plain > 4, "by observed frequencies alone, independent codes tell each other nearly everything"
    assert abs(stats.mutual[0, 1]) < 0.05


def test_what_few_frames_leave_unseen_is_not_dead() -> None:
    """372 frames cannot show the entries of a codebook of 8,192: nearly as many stay unseen by chance."""
    stats = code_stats([random_codes(8192, 21, n_frames=372)], (8192, 21), 12.5)
    large, small = stats.codebooks
    assert large.n_unseen == pytest.approx(large.n_unseen_by_chance, abs=15)
    assert large.n_unseen_by_chance == pytest.approx(7828, abs=1)
    assert (small.n_unseen, round(small.n_unseen_by_chance)) == (0, 0)
    assert large.n_frames_needed == 73_813
    text = summary({"x": stats})
    assert f"| {large.n_unseen} | 7828 |" in text
    assert "x: 372 frames are too few to detect dead codes" in text
    assert "they would occur in 73813 frames (98 minutes)" in text
    assert "too few" not in summary({"x": code_stats([random_codes(8, n_frames=400)], (8,), 12.5)})


def test_repetition_does_not_cross_recordings() -> None:
    codes = [torch.tensor([[1, 1, 1, 2]]), torch.tensor([[2, 2]]), torch.tensor([[2]])]
    assert code_stats(codes, (4,), 12.5).codebooks[0].repetition == pytest.approx(3 / 4)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([], "no recording has two frames"),
        ([torch.zeros(2, 1, dtype=torch.int64)], "no recording has two frames"),
        ([torch.zeros(3, 5, dtype=torch.int64)], r"codes\[0\]: shape \(3, 5\); expected \[2, T\]"),
        ([torch.tensor([[0, 1], [0, 9]])], "codebook 1 has codes 0 to 3"),
    ],
)
def test_what_does_not_fit_is_refused(codes: list[torch.Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        code_stats(codes, (8, 4), 12.5)


@pytest.fixture
def run(tmp_path):
    """The folder of a run with a codec of two codebooks, on two recordings of which one failed, and Opus."""
    ours = SystemResult("a/b:2", kbit_per_s=0.1, codebook_sizes=(16, 4), failures={"bad": {CODING: "silent"}})
    path = file_of(tmp_path, "codes", "a/b:2", "x/1")
    path.parent.mkdir(parents=True)
    np.save(path, random_codes(16, 4, n_frames=50).numpy().astype(np.int32))
    broken = SystemResult("broken", codebook_sizes=(16,), not_measured="every recording failed")
    recordings = [Recording("x/1", 3.95), Recording("bad", 2.0)]
    Results(recordings, [], [ours, SystemResult("opus-6"), broken]).save(tmp_path)
    return tmp_path


def test_of_a_run(run, capsys) -> None:
    results = Results.load(run)
    stats = run_stats(run, results, results.systems[0])
    assert stats.frame_rate == pytest.approx(50 / 3.95)
    expected = code_stats([random_codes(16, 4, n_frames=50)], (16, 4), 50 / 3.95)
    assert [asdict(book) for book in stats.codebooks] == [asdict(book) for book in expected.codebooks]
    assert main([str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3, "only systems with codes"
    assert lines[-1].endswith(" | 0 | 1 |"), "by chance, 16 * (15 / 16)^50 = 0.6 would not occur"
    assert lines[-1].startswith(f"| a/b:2 | 50 | {stats.bitrate / 1000:.3f} | {stats.entropy_bitrate / 1000:.3f} |")
    assert main([str(run), "a/b:2"]) == 0
    assert "| 1 | 4 | " in capsys.readouterr().out


def test_what_a_run_lacks_is_named(run, capsys) -> None:
    assert main([str(run), "opus-6"]) == 2
    assert "no codes of opus-6; there are those of a/b:2" in capsys.readouterr().err
    file_of(run, "codes", "a/b:2", "x/1").write_bytes(b"no array")
    assert main([str(run)]) == 2
    assert "x%2F1.npy" in capsys.readouterr().err
    assert main([str(run / "nowhere")]) == 2
    results = Results.load(run)
    with pytest.raises(ValueError, match="opus-6 has no codes"):
        run_stats(run, results, results.systems[1])
