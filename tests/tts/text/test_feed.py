"""Text as runs of ids, whole or piece by piece."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from codec.tts.text.feed import MAX_CHARS, sentence_ids, word_ids

TEXT = "Dr. Smith has 3 dogs. They bark at night! Does it matter? Nobody knows, and nobody asks; so be it. " * 3


def pieces(text, cuts):
    edges = [0, *sorted(min(c, len(text)) for c in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, len(TEXT)), max_size=12))
def test_pieces_do_not_matter(text_tokenizer, cuts):
    for feed in (sentence_ids, word_ids):
        whole = [list(run) for run in feed([TEXT], "en", text_tokenizer)]
        assert [list(run) for run in feed(pieces(TEXT, cuts), "en", text_tokenizer)] == whole


def test_words_make_the_ids_of_the_whole_text(text_tokenizer):
    text = "the quick brown fox says what it reads"
    (run,) = (list(run) for run in word_ids([text], "en", text_tokenizer))
    assert run == text_tokenizer.encode(text)


def test_sentences_are_normalised_and_empty_ones_left_out(text_tokenizer):
    runs = [text_tokenizer.decode(run) for run in sentence_ids(["I have 3. \U0001f600! Done."], "en", text_tokenizer)]
    assert runs == ["I have three.", "Done."]


def test_runs_end_with_sentences_and_are_never_long(text_tokenizer):
    texts = [text_tokenizer.decode(list(run)) for run in word_ids([TEXT, "word " * 100], "en", text_tokenizer)]
    assert len(texts) > 2
    assert all(len(text) < MAX_CHARS + 10 for text in texts)
    assert texts[0].endswith((".", "!", "?"))


def test_words_are_read_as_they_arrive(text_tokenizer):
    arrived = []

    def source():
        for piece in ("the quick ", "brown fox ", "jumps"):
            arrived.append(piece)
            yield piece

    run = next(word_ids(source(), "en", text_tokenizer))
    next(run)
    assert arrived == ["the quick "]
