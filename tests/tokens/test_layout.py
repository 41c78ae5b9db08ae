"""Language-model ids: the released numbers, exact round trips, and refusal of what is no id."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from codec.config import preset
from codec.tokens.layout import EMPTY, END, IdLayout

VOXTRAL = IdLayout(preset("voxtral").codebook_sizes)


def test_released_numbers():
    assert VOXTRAL.offsets[:4] == (0, 8194, 8217, 8240)
    assert VOXTRAL.vocab_size == 8194 + 36 * 23
    codes = torch.zeros(1, 37, 1, dtype=torch.int64)
    assert VOXTRAL.to_ids(codes)[0, :3, 0].tolist() == [2, 8196, 8219]
    largest = torch.tensor(VOXTRAL.codebook_sizes)[None, :, None] - 1
    assert int(VOXTRAL.to_ids(largest).max()) == VOXTRAL.vocab_size - 1
    assert VOXTRAL.to_ids(codes, end=True)[0, :3, 1].tolist() == [END, 8194 + EMPTY, 8217 + EMPTY]


@st.composite
def cases(draw):
    sizes = tuple(draw(st.lists(st.integers(2, 50), min_size=1, max_size=6)))
    layout = IdLayout(sizes, draw(st.integers(2, 5)), draw(st.booleans()))
    n_q, batch, n_frames = draw(st.integers(1, len(sizes))), draw(st.integers(1, 3)), draw(st.integers(0, 5))
    lengths = torch.tensor([draw(st.integers(0, n_frames)) for _ in range(batch)])
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    codes = [torch.randint(size, (batch, n_frames), generator=generator) for size in sizes[:n_q]]
    return layout, torch.stack(codes, 1), lengths, draw(st.booleans())


@given(cases())
def test_round_trip(case):
    layout, codes, lengths, end = case
    batch, n_q, n_frames = codes.shape
    ids = layout.to_ids(codes, lengths, end)
    assert ids.shape == (batch, n_q, n_frames + end)
    assert ids.numel() == 0 or 0 <= int(ids.min()) <= int(ids.max()) < layout.vocab_size
    flat = layout.flatten(ids)
    assert torch.equal(flat[:, :n_q], ids[:, :, 0] if ids.shape[2] else flat)
    got, got_lengths = layout.from_ids(layout.unflatten(flat, n_q))
    assert torch.equal(got_lengths, lengths)
    past = torch.arange(n_frames) >= lengths[:, None]
    assert torch.equal(got[:, :, :n_frames], codes.masked_fill(past[:, None], 0))
    assert not got[:, :, n_frames:].any()


@given(cases())
def test_shared_ids_tell_their_codebook(case):
    layout, codes, _, _ = case
    layout = IdLayout(layout.codebook_sizes, layout.n_special)
    n_q = codes.shape[1]
    ids = layout.to_ids(codes)
    bounds = [*layout.offsets, layout.vocab_size]
    for book in range(n_q):
        assert ((ids[:, book] >= bounds[book]) & (ids[:, book] < bounds[book + 1])).all()


def test_codes_after_the_end_do_not_matter():
    codes = torch.full((1, 37, 3), 5)
    codes[:, :, 2] = -7
    ids = VOXTRAL.to_ids(codes, torch.tensor([2]))
    assert ids[0, :2, 2].tolist() == [EMPTY, 8194 + EMPTY]
    assert VOXTRAL.from_ids(ids)[1].tolist() == [2]


def test_ids_after_an_end_do_not_matter():
    ids = VOXTRAL.to_ids(torch.full((1, 37, 3), 5), end=True)
    ids[0, 0, 1] = END
    ids[0, :, 2] = 10**6
    codes, lengths = VOXTRAL.from_ids(ids)
    assert lengths.tolist() == [1]
    assert not codes[:, :, 1:].any()


@pytest.mark.parametrize("n_special", [0, 1])
def test_padding_needs_special_codes(n_special):
    layout = IdLayout((8, 4), n_special)
    codes = torch.ones(1, 2, 3, dtype=torch.int64)
    assert torch.equal(layout.from_ids(layout.to_ids(codes))[0], codes)
    with pytest.raises(ValueError, match=f"n_special = {n_special}"):
        layout.to_ids(codes, end=True)
    if n_special == 0:
        with pytest.raises(ValueError, match="n_special = 0"):
            layout.to_ids(codes, torch.tensor([2]))


@pytest.mark.parametrize(
    ("book", "bad"),
    [
        (0, -1),
        (0, 8194),  # the next codebook's first
        (1, 8193),  # the codebook's before
        (1, 8217),
        (1, 8194 + EMPTY),  # special while the item goes on
        (36, 8194 + 36 * 23),
    ],
)
def test_ids_of_no_or_another_codebook(book, bad):
    ids = VOXTRAL.to_ids(torch.zeros(1, 37, 2, dtype=torch.int64))
    ids[0, book, 1] = bad
    with pytest.raises(ValueError, match=rf"\[0, {book}, 1\].*codebook {book}"):
        VOXTRAL.from_ids(ids)


def test_codes_that_are_none():
    for bad in (-1, 8192):
        codes = torch.zeros(1, 37, 2, dtype=torch.int64)
        codes[0, 0, 0] = bad
        with pytest.raises(ValueError, match=rf"codes\[0, 0, 0\] = {bad}"):
            VOXTRAL.to_ids(codes)
    for shape in ((1, 38, 2), (37, 2)):
        with pytest.raises(ValueError, match="codes"):
            VOXTRAL.to_ids(torch.zeros(shape, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"codes.*float"):
        VOXTRAL.to_ids(torch.zeros(1, 37, 2))
    with pytest.raises(ValueError, match="length 38 is not a multiple of 37"):
        VOXTRAL.unflatten(torch.zeros(1, 38, dtype=torch.int64))
