"""Sentences are the text again, fit the limit, end where people end them, and do not depend on the pieces."""

# ruff: noqa: RUF001  the marks of many scripts

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.tts.text.sentences import SentenceSplitter, split_sentences

WORDS = [
    "Dr.",
    "a",
    "B",
    "U.S.",
    "no.",
    "5",
    "3.",
    "21.",
    "Mai",
    "Ma",
    "etc.",
    "ok",
    "3.14",
    "😀",
    "x" * 12,
    "p.m.",
    "é",
    "我",
]
MARKS = [".", "!", "?", "...", "…", "。", "！", "।", ",", ";", "،", "，", '"', "”", "(", ")", "-", "'"]
SPACES = [" ", "  ", "\n", "\n\n", "\n \n", "\t", "\u00a0"]
texts = st.lists(st.sampled_from([*WORDS, *MARKS, *SPACES, *SPACES]), max_size=40).map("".join) | st.text(max_size=60)


def bare(text: str) -> str:
    return re.sub(r"\s", "", text)


@given(texts, st.integers(1, 40))
@settings(max_examples=400, deadline=None)
def test_sentences_are_the_text_within_the_limit(text, max_chars):
    sentences = split_sentences(text, max_chars)
    assert bare("".join(sentences)) == bare(text)
    assert all(0 < len(s) <= max_chars and s == s.strip() for s in sentences)


@given(texts, st.integers(1, 40), st.data())
@settings(max_examples=400, deadline=None)
def test_pieces_do_not_matter(text, max_chars, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=30)))
    splitter = SentenceSplitter(max_chars)
    sentences = [s for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True) for s in splitter.push(text[a:b])]
    assert sentences + splitter.flush() == split_sentences(text, max_chars)
    assert splitter.flush() == []


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith paid $3.50 at 10 a.m. | He left.",
        '"Why?" she asked. | He said: "No." | Then he left.',
        "Am 3. Mai kam z.B. Herr Prof. Weiss. | Er ist 42. | Sie auch.",
        "J. R. R. Tolkien was in the U.S. Army. | Visit www.example.com now!",
        "Apples, pears, etc. and more, etc. | Then we went.",
        "No. 5 is alive. | He said no. | Then she did.",
        "See p. ex. ceci. | M. Dupont dort. | Er sah es. | Gut.",
        "ok. | fine then. | i mean it",
        "Well... maybe. | Hm… ok. | Really?! | Yes.",
        "1. First. | 2. Second.",
        "Chapter one\n\n|It was dark",
        "他来了。|「好的。」|她说！|真的？",
        "क्या? | हाँ। | ठीक है।",
        "هل تسمع؟ | نعم.",
    ],
)
def test_where_sentences_end(text):
    assert split_sentences(text.replace("|", "")) == [s.strip() for s in text.split("|")]


def test_long_sentences_are_cut_at_pauses_then_at_spaces():
    assert split_sentences("one two, three four five", 14) == ["one two,", "three four", "five"]
    assert split_sentences("abcdefgh ij", 5) == ["abcde", "fgh", "ij"]
    assert split_sentences("exactly ten", 11) == ["exactly ten"]


def test_a_sentence_is_given_out_with_the_next_word():
    splitter = SentenceSplitter()
    assert splitter.push("It rains. ") == []
    assert splitter.push("S") == ["It rains."]
    assert splitter.push("o what? No") == ["So what?"]
    assert splitter.flush() == ["No"]


def test_no_room():
    with pytest.raises(ValueError, match="max_chars = 0"):
        SentenceSplitter(0)
