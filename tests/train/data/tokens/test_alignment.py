"""Alignments: durations of characters as moves of the text, and their files."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tts_tokens import write_tokens

from codec.tts.text.tokenizer import BPETokenizer
from train.data.tokens.alignment import Alignment, durations, read_alignments
from train.data.tokens.shards import TokenSet

tokenizer = BPETokenizer.train(["the quick brown fox", "jumps over"], 290)


def test_durations_are_between_starts():
    assert durations([2, 2, 5], 8) == [2, 3, 3]  # the first character has the silence before it
    assert durations([0], 4) == [4]


@given(st.text("ab théø", min_size=1, max_size=12), st.data())
def test_moves_lead_through_the_ids(text, data):
    lasts = data.draw(st.lists(st.integers(0, 3), min_size=len(text), max_size=len(text)).filter(any))
    moves = Alignment(text, lasts).moves(tokenizer, 1000)
    spans = tokenizer.spans(text)
    assert len(moves) == sum(lasts)
    assert sum(moves) == len(spans)  # at the end of the text when the audio ends
    characters = [i for i, n in enumerate(lasts) for _ in range(n)]
    place = 0
    for frame, move in enumerate(moves[:-1], start=1):
        place += move
        start, stop = spans[place]
        assert start <= characters[frame] < stop


def test_moves_are_bounded_and_catch_up():
    text = "quick"  # one id or more
    n = len(tokenizer.spans(text * 4))
    assert Alignment(text * 4, [0] * 19 + [n]).moves(tokenizer, 1) == [1] * n
    assert Alignment(text * 4, [0] * 19 + [2]).moves(tokenizer, 1) is None


@pytest.fixture
def folder(tmp_path):
    return write_tokens(tmp_path)


def read(folder, phonemes=False):
    return read_alignments(TokenSet(folder), phonemes)


def test_what_was_written_is_read(folder):
    first, *_ = alignments = read(folder)
    assert first == Alignment("the quick brown fox", [1] * 19)
    assert len(alignments) == 10


def test_unusable_folders_say_what_to_do(folder):
    with pytest.raises(ValueError, match=r"aligned with words; run python -m train.data.tokens.align .*--phonemes"):
        read(folder, phonemes=True)
    path = folder / "00000.align.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[1:]))
    with pytest.raises(ValueError, match="of other shards"):
        read(folder)
    path.write_text(json.dumps({"text": "the"}) + "\n")
    with pytest.raises(ValueError, match="damaged alignments"):
        read(folder)
    (folder / "align.json").unlink()
    with pytest.raises(ValueError, match="no alignments"):
        read(folder)
