"""Ids hold any text without loss, and none of it turns into a marker."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spans import check_spans
from tokenizers import Tokenizer, models

from codec.tts.text.tokenizer import MIN_VOCAB_SIZE, SPECIAL_TOKENS, BPETokenizer, TextError, check_text

TEXTS = ["the cat sat on the mat, the hat and the bat", "<repeat> <bos> a <pad>", "Größe, ça va, नमस्ते"] * 5


@pytest.fixture(scope="module")
def bpe() -> BPETokenizer:
    return BPETokenizer.train(TEXTS, 320)


@given(st.text(max_size=60) | st.lists(st.sampled_from([*SPECIAL_TOKENS, " ", "the", "\u0301", "\n"])).map("".join))
@settings(max_examples=200, deadline=None)
def test_any_text_comes_back_and_holds_no_marker(bpe, text):
    ids = bpe.encode(text)
    assert bpe.decode(ids) == text
    assert all(len(SPECIAL_TOKENS) <= i < bpe.vocab_size for i in ids)


@given(st.text(max_size=40))
@settings(deadline=None)
def test_spans_cover_the_text_in_order(bpe, text):
    check_spans(bpe, text)


def test_markers_come_first_and_vanish_in_text(bpe):
    s = bpe.special
    assert [s.pad, s.bos, s.begin_audio, s.next_text, s.repeat] == [0, 1, 2, 3, 4]
    assert bpe.decode([s.bos, *bpe.encode("the cat"), s.repeat]) == "the cat"


def test_frequent_words_get_ids(bpe):
    assert len(bpe.encode(" the")) == 1
    assert MIN_VOCAB_SIZE < bpe.vocab_size <= 320


def test_training_is_repeatable(bpe):
    again = BPETokenizer.train(TEXTS, 320)
    assert [again.encode(text) for text in TEXTS] == [bpe.encode(text) for text in TEXTS]


def test_few_texts_give_few_ids():
    assert BPETokenizer.train([], 10_000).vocab_size == MIN_VOCAB_SIZE


def test_saved_and_loaded(bpe, tmp_path):
    bpe.save(tmp_path / "tokenizer.json")
    loaded = BPETokenizer.load(tmp_path / "tokenizer.json")
    assert loaded.vocab_size == bpe.vocab_size
    assert loaded.encode("the <repeat> hat") == bpe.encode("the <repeat> hat")


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff", Tokenizer(models.BPE()).to_str().encode()])
def test_other_files_are_named(content, tmp_path):
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"tokenizer\.json"):
        BPETokenizer.load(path)


def test_too_small_a_vocabulary():
    with pytest.raises(ValueError, match="vocab_size = 260"):
        BPETokenizer.train(TEXTS, MIN_VOCAB_SIZE - 1)


def test_half_a_surrogate_pair_has_no_bytes(bpe):
    with pytest.raises(TextError, match="character 1"):
        bpe.encode("a\ud800")


@pytest.mark.parametrize("text", ["hello", "5", "नमस्ते", "你好", "ok!"])
def test_text_to_speak(text):
    check_text(text)


@pytest.mark.parametrize(("text", "why"), [("", "empty"), (" \n", "empty"), ("🙂!", "no letter"), ("...", "no letter")])
def test_nothing_to_speak(text, why):
    with pytest.raises(TextError, match=why):
        check_text(text)
