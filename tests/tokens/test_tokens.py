"""Tokens: cutting, joining and stacking in time lose nothing; files come back equal or are refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from codec.tokens.tokens import Tokens, check_codes

HOP, RATE = 1920, 24_000  # 12.5 frames a second


def make_tokens(n_samples, n_q=3, fingerprint="f00d", high=60):
    """Distinct codes, zeros after the end of each item."""
    n_frames = [-(-n // HOP) for n in n_samples]
    codes = torch.randint(1, high, (len(n_samples), n_q, max(n_frames)), generator=torch.Generator().manual_seed(0))
    for i, n in enumerate(n_frames):
        codes[i, :, n:] = 0
    return Tokens(codes, torch.tensor(n_samples), RATE, HOP, fingerprint)


def assert_same(a, b):
    assert torch.equal(a.codes, b.codes)
    assert a.n_samples.tolist() == b.n_samples.tolist()
    assert (a.sample_rate, a.hop_length, a.fingerprint) == (b.sample_rate, b.hop_length, b.fingerprint)


batches = st.lists(st.integers(0, 6 * HOP), min_size=1, max_size=4)


def test_lengths_and_durations():
    tokens = make_tokens([0, 1, HOP, HOP + 1])
    assert tokens.lengths.tolist() == [0, 1, 1, 2]
    assert tokens.durations.tolist() == [0, 1 / RATE, 0.08, (HOP + 1) / RATE]
    assert tokens.frame_rate == 12.5


@given(batches)
def test_items_stack_to_the_batch(n_samples):
    tokens = make_tokens(n_samples)
    assert [tokens[i].codes.shape[2] for i in range(len(tokens))] == tokens.lengths.tolist()
    assert_same(Tokens.stack([tokens[i] for i in range(len(tokens))]), tokens)
    assert_same(tokens[-1], tokens[len(tokens) - 1])


def test_no_such_item():
    with pytest.raises(IndexError):
        make_tokens([1])[1]
    assert len(list(make_tokens([1, 2, 3]))) == 3


@given(batches, st.integers(0, 7))
def test_cutting_at_a_frame_and_joining(n_samples, frame):
    tokens = make_tokens(n_samples)
    at = frame / tokens.frame_rate
    end = max(at, tokens.codes.shape[2] / tokens.frame_rate)
    first, second = tokens.crop(0, at), tokens.crop(at, end)
    assert first.lengths.tolist() == tokens.lengths.clamp(max=frame).tolist()
    assert_same(Tokens.join([first, second]), tokens)


def test_crop_keeps_every_frame_it_touches():
    tokens = make_tokens([10 * HOP, 3 * HOP + 5])
    cut = tokens.crop(0.1, 0.3)  # frames 1.25 to 3.75
    assert torch.equal(cut.codes, tokens.codes[:, :, 1:4])
    assert cut.n_samples.tolist() == [3 * HOP, 2 * HOP + 5]
    assert torch.equal(tokens.crop(0.16).codes, tokens.codes[:, :, 2:])
    assert_same(tokens.crop(), tokens)


def test_crop_past_the_end():
    tokens = make_tokens([2 * HOP, HOP])
    assert_same(tokens.crop(0, 99), tokens)
    assert tokens.crop(0.08, 0.16).n_samples.tolist() == [HOP, 0]
    assert tokens.crop(5).n_samples.tolist() == tokens.crop(5, 6).n_samples.tolist() == [0, 0]
    assert tokens.crop(0.08, 0.08).codes.shape[2] == 0


@pytest.mark.parametrize(("start", "end"), [(-0.1, 1), (1, 0.5), (float("nan"), 1), (0, float("nan"))])
def test_crop_bounds(start, end):
    with pytest.raises(ValueError, match="expected 0 <= start <= end"):
        make_tokens([HOP]).crop(start, end)


def test_join_of_uneven_batches():
    a, b = make_tokens([HOP, 3 * HOP]), make_tokens([2 * HOP, 5])
    joined = Tokens.join([a, b])
    assert joined.n_samples.tolist() == [3 * HOP, 3 * HOP + 5]
    assert torch.equal(joined.codes[0], torch.cat([a.codes[0, :, :1], b.codes[0, :, :2], torch.zeros(3, 1)], 1).long())


@pytest.mark.parametrize("combine", [Tokens.join, Tokens.stack])
def test_only_tokens_of_one_codec_combine(combine):
    tokens = make_tokens([HOP])
    others = [tokens.prefix(2), *(replace(tokens, **c) for c in ({"fingerprint": "beef"}, {"sample_rate": 16_000}))]
    for other in others:
        with pytest.raises(ValueError, match="do not match"):
            combine([tokens, other])
    with pytest.raises(ValueError, match="parts: empty"):
        combine([])


def test_prefix():
    tokens = make_tokens([HOP, 2 * HOP])
    assert torch.equal(tokens.prefix(2).codes, tokens.codes[:, :2])
    for n_q in (0, 4):
        with pytest.raises(ValueError, match=f"n_q = {n_q}: expected 1 to 3"):
            tokens.prefix(n_q)


@pytest.mark.parametrize("high", [60, 2**15, 2**15 + 1, 2**20])
@pytest.mark.parametrize("n_samples", [[5 * HOP, 7], [0]])
def test_file_round_trip(high, n_samples, tmp_path):
    tokens = make_tokens(n_samples)
    tokens.codes[:, 0, :1] = high - 1
    tokens.save(tmp_path / "x.tokens")
    loaded = Tokens.load(tmp_path / "x.tokens")
    assert_same(loaded, tokens)
    assert loaded.codes.dtype == torch.int64
    assert [f.name for f in tmp_path.iterdir()] == ["x.tokens"]


def test_bad_files_are_named(tmp_path):
    path = tmp_path / "x.tokens"
    with pytest.raises(ValueError, match=r"x\.tokens"):
        Tokens.load(path)
    make_tokens([5 * HOP]).save(path)
    whole = path.read_bytes()
    for data in (whole[:-1], whole[:20], b"", b"RIFF" * 100):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"x\.tokens: not a tokens file"):
            Tokens.load(path)
    good = {"codes": torch.zeros(1, 3, 2, dtype=torch.int16), "n_samples": torch.tensor([HOP])}
    metadata = {"sample_rate": "24000", "hop_length": "1920", "fingerprint": ""}
    save_file(good, path, metadata)
    assert Tokens.load(path).lengths.tolist() == [1]
    for tensors, facts in [
        ({"codes": good["codes"]}, metadata),
        (good, None),
        (good, metadata | {"hop_length": "x"}),
        (good, metadata | {"hop_length": "0"}),
        (good | {"codes": torch.zeros(1, 3, 2)}, metadata),
        (good | {"n_samples": torch.tensor([3 * HOP])}, metadata),
        (good | {"n_samples": torch.tensor([-1])}, metadata),
        (good | {"n_samples": torch.tensor([0.5])}, metadata),
    ]:
        save_file(tensors, path, facts)
        with pytest.raises(ValueError, match=r"x\.tokens: not a tokens file"):
            Tokens.load(path)


@pytest.mark.parametrize(
    ("codes", "n_samples", "field"),
    [
        (torch.zeros(3, 2, dtype=torch.int64), [HOP], "codes"),
        (torch.zeros(1, 3, 2), [HOP], "codes"),
        (torch.zeros(0, 3, 2, dtype=torch.int64), [], "codes"),
        (torch.zeros(1, 3, 2, dtype=torch.int64), [HOP, HOP], "n_samples"),
        (torch.zeros(2, 3, 2, dtype=torch.int64), [HOP], "n_samples"),
        (torch.zeros(1, 3, 2, dtype=torch.int64), [2 * HOP + 1], "n_samples"),
        (torch.zeros(1, 3, 2, dtype=torch.int64), [-1], "n_samples"),
        (torch.zeros(1, 3, 2, dtype=torch.int64), [0.5], "n_samples"),
        ([[[0]]], [HOP], "codes"),
        (np.zeros((1, 3, 2)), [HOP], "codes"),
    ],
)
def test_fields_that_do_not_fit(codes, n_samples, field):
    with pytest.raises(ValueError, match=f"^{field}: "):
        Tokens(codes, torch.tensor(n_samples), RATE, HOP)


@pytest.mark.parametrize("kind", [np.int64, np.uint16, np.dtype(">i4"), np.int8])
def test_arrays_become_tensors(kind, tmp_path):
    tokens = Tokens(np.ones((1, 3, 2), kind), np.array([HOP + 1]), RATE, HOP)
    assert tokens.codes.dtype == tokens.n_samples.dtype == torch.int64
    tokens.save(tmp_path / "x.tokens")
    assert torch.equal(Tokens.load(tmp_path / "x.tokens").codes, torch.ones(1, 3, 2, dtype=torch.int64))


@pytest.mark.parametrize("name", [248 * "x" + ".tokens", "x\udce9.tokens", "\udce9/x.tokens", "ü.tokens"])
def test_any_name_is_written_and_read(name, tmp_path):
    """Long ones, and those that are not UTF-8."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    tokens = Tokens(torch.ones(1, 3, 2, dtype=torch.int64), torch.tensor([HOP + 1]), RATE, HOP, "beef")
    tokens.save(path)
    loaded = Tokens.load(path)
    assert (loaded.n_samples.tolist(), loaded.fingerprint) == ([HOP + 1], "beef")
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_check_codes():
    sizes = (64, 21, 5)
    codes = torch.tensor([[[63], [20], [4]]])
    check_codes(codes, sizes)
    check_codes(codes[:, :1], sizes)
    for kind in (torch.uint8, torch.uint16, torch.int32):
        assert torch.equal(check_codes(codes.to(kind), sizes), codes)
    for book in range(3):
        for bad in (-1, sizes[book]):
            wrong = codes.clone()
            wrong[0, book, 0] = bad
            with pytest.raises(ValueError, match=rf"codes\[0, {book}, 0\] = {bad}: codebook {book} has codes 0 to"):
                check_codes(wrong, sizes)
    for wrong in (codes.float(), codes[0], codes > 0):
        with pytest.raises(ValueError, match="expected integers"):
            check_codes(wrong, sizes)
    for n_q in (0, 4):
        with pytest.raises(ValueError, match=f"{n_q} codebooks; this codec takes 1 to 3"):
            check_codes(torch.zeros(1, n_q, 2, dtype=torch.int64), sizes)
