"""Sentences are the text again, end where people end them, and come in parts that do not depend on the pieces."""

# ruff: noqa: RUF001  the marks of many scripts

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentences import split_sentences

from codec.tts.text.sentences import SentenceSplitter

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


def parts_of(pieces, language, max_chars):
    splitter = SentenceSplitter(language, max_chars)
    parts = [part for piece in pieces for part in splitter.push(piece)]
    return parts + splitter.flush()


@given(texts, st.sampled_from(["en", "de", "ar"]), st.integers(1, 40))
@settings(max_examples=400, deadline=None)
def test_parts_are_the_text_within_the_limit(text, language, max_chars):
    parts = parts_of([text], language, max_chars)
    assert bare("".join(part.text for part in parts)) == bare(text)
    assert all(0 < len(part.text) <= max_chars and part.text == part.text.strip() for part in parts)
    assert not parts or parts[-1].is_end
    assert bare("".join(split_sentences(text, language))) == bare(text)


@given(texts, st.sampled_from(["en", "de"]), st.integers(1, 40), st.data())
@settings(max_examples=400, deadline=None)
def test_pieces_do_not_matter(text, language, max_chars, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=30)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert parts_of(pieces, language, max_chars) == parts_of([text], language, max_chars)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Dr. Smith paid $3.50 at 10 a.m. | He left."),
        ("en", '"Why?" she asked. | He said: "No." | Then he left.'),
        ("de", "Am 3. Mai kam z.B. Herr Prof. Weiss. | Er ist 42. | Sie auch."),
        (
            "de",
            "Der 2. Weltkrieg endete. | Mein 4. Versuch am 1. und 2. Mai. | Das war Platz 3. | Dann kam der 4. | Und?",
        ),
        ("de", "In der Hauptstr. 5 wohnt er. | Um 5 Uhr. | Die 3. und 4. Klasse, z. B. heute, u. a. hier."),
        ("de", "Kaiser Karl V. regierte. | Das ist das 3. Mal. | Es war im 19. Jh. nicht so."),
        ("en", "J. R. R. Tolkien was in the U.S. Army. | Visit www.example.com now!"),
        ("en", "He lives in the U.S. | He likes Plan A. | Then he left. | It is on Elm St. | She knows St. Louis."),
        ("en", "Apples, pears, etc. and more, etc. | Then we went."),
        ("en", "No. 5 is alive. | He said no. | Then she did."),
        ("en", "On Jan. 5 it rained. | It was 5 ft. deep, and 6 ft. | We left."),
        ("en", "ok. | it was 5 ft. deep"),
        ("fr", "See p. ex. ceci. | M. Dupont dort."),
        ("de", "Er sah es. | Gut."),
        ("nl", "Bijv. dhr. Jansen, d.w.z. hij. | Kerkstr. 5 is hier."),
        ("en", "ok. | fine then. | i mean it"),
        ("en", "Well... maybe. | Hm… ok. | Really?! | Yes."),
        ("en", "1. First. | 2. Second."),
        ("en", "Chapter one\n\n|It was dark"),
        ("en", "他来了。|「好的。」|她说！|真的？"),
        ("hi", "क्या? | हाँ। | ठीक है।"),
        ("ar", "هل تسمع؟ | نعم."),
    ],
)
def test_where_sentences_end(language, text):
    assert split_sentences(text.replace("|", ""), language) == [s.strip() for s in text.split("|")]


def test_long_parts_are_cut_at_pauses_then_at_spaces():
    assert [part.text for part in parts_of(["1 2, 3 4 5 6 7"], "en", 8)] == ["1 2,", "3 4 5 6", "7"]
    parts = parts_of(["abcdefgh ij"], "en", 5)
    assert [(part.text, part.is_cut) for part in parts] == [("abcde", True), ("fgh", False), ("ij", False)]
    assert [part.text for part in parts_of(["exactly 12"], "en", 10)] == ["exactly 12"]


def test_what_is_given_out_when():
    splitter = SentenceSplitter("de")
    steps = [("Es regnet. ", ["Es"]), ("S", ["regnet."]), ("o sagt ", ["So"]), ("man ", ["sagt"]), ("am 2. ", ["man"])]
    for piece, expected in steps:
        assert [part.text for part in splitter.push(piece)] == expected
    assert [part.text for part in splitter.push("und 3. Tag und danach, ")] == ["am 2. und 3. Tag", "und"]
    assert [(part.text, part.is_end) for part in splitter.flush()] == [("danach,", True)]


def test_letters_that_are_words():
    parts = parts_of(["Then I met a man, and Henry I ate a B."], "en", 200)
    assert [part.text for part in parts] == ["Then", "I", "met", "a", "man,", "and", "Henry I ate", "a B."]
    assert [part.next_word for part in parts] == ["I", "met", "a", "man,", "and", "Henry", "a", ""]


def test_no_room():
    with pytest.raises(ValueError, match="max_chars = 0"):
        SentenceSplitter("en", 0)
