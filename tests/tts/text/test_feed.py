"""Text as runs of ids, whole or piece by piece."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.extras import MissingDependencyError
from codec.tts.text import phonemes
from codec.tts.text.feed import MAX_CHARS, Silence, sentence_ids, text_pieces, word_ids
from codec.tts.text.normalise import normalise
from codec.tts.text.phonemes import to_phonemes
from codec.tts.text.tokenizer import TextError

TEXT = "Dr. Smith has 3 dogs. They bark at night! Does it matter? Nobody knows, and nobody asks; so be it. " * 3
SHORT = [
    *("Dr.", "Smith", "has", "e.g.", "apples", "A", "plan", "I", "think", "of", "the", "World", "War", "II", "Henry"),
    *("VIII", "Jan.", "5", "5,", "2024", "kg", "million", "$1.5", "10:30", "PM", "a.m.", "He", "3", "-", "—", "4", "½"),
    *("Elm", "St.", "St. Louis", "U.S.", "etc.", "and", "1.", "2.", "end.", "Why?", "**bold**", "<b>tag</b>", "&amp;"),
    *("[link](http://x.y/z)", "\n", "\n\n", "\n- item", "\n# Head\n", "555-1234", "3.10.1990", "der"),
    *("Weltkrieg", "Uhr", "z. B.", "Mai", "am", "😀", "10,", "°C", "100", "km/h", "x²", "`code`"),
    *('<break time="1s"/>', "(so)", '"quote"'),
]
texts = st.lists(st.sampled_from(SHORT), max_size=25).map(" ".join)


def pieces(text, cuts):
    edges = [0, *sorted(min(c, len(text)) for c in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def read(feed, text, language, tokenizer, **kind):
    """What all runs say."""
    runs = feed(text, language, tokenizer, **kind)
    return [tokenizer.decode(list(run)) for run in runs if not isinstance(run, Silence)]


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, len(TEXT)), max_size=12))
def test_pieces_do_not_matter(text_tokenizer, cuts):
    for feed in (sentence_ids, word_ids):
        assert read(feed, pieces(TEXT, cuts), "en", text_tokenizer) == read(feed, [TEXT], "en", text_tokenizer)


@settings(max_examples=300, deadline=None)
@given(text=texts, language=st.sampled_from(["en", "de", "nl"]), data=st.data())
def test_streamed_text_reads_as_the_whole(text_tokenizer, text, language, data):
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=12))
    streamed = read(word_ids, pieces(text, cuts), language, text_tokenizer)
    assert streamed == read(word_ids, list(text), language, text_tokenizer)
    whole = read(sentence_ids, [text], language, text_tokenizer)
    assert letters(" ".join(streamed)) == letters(" ".join(whole)) == letters(normalise(text, language))


def letters(text):
    return [word for word in ("".join(c for c in word if c.isalnum()) for word in text.split()) if word]


PLAIN = "It was the best of times, it was the worst of times. What for? He told us so at ten A M, and left. " * 3


def skip_without_phonemes():
    try:
        phonemes.check_phonemes("en")
    except MissingDependencyError as error:
        pytest.skip(str(error))


def test_streamed_phonemes_are_those_of_the_whole(text_tokenizer):
    skip_without_phonemes()
    streamed = read(word_ids, list(PLAIN), "en", text_tokenizer, phonemes=True)
    assert streamed == read(word_ids, [PLAIN], "en", text_tokenizer, phonemes=True)
    assert " ".join(streamed) == to_phonemes(normalise(PLAIN, "en"), "en")
    assert " ".join(read(sentence_ids, [PLAIN], "en", text_tokenizer, phonemes=True)) == " ".join(streamed)


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        (
            "en",
            "I saw Dr. Smith, e.g. at 5 km and 10 a.m. today",
            "I saw Doctor Smith, for example at five kilometers and ten A M today.",
        ),
        ("en", "It cost $1.5 million in World War II.", "It cost one point five million dollars in World War two."),
        ("de", "Um 14:30 Uhr, am 1. und 2. Mai", "Um vierzehn Uhr dreißig, am ersten und zweiten Mai."),
        ("de", "Der 2. Weltkrieg, z. B. heute", "Der zweite Weltkrieg, zum Beispiel heute."),
        ("nl", "Om 14:30 uur, d.w.z. over 5 km", "Om veertien uur dertig, dat wil zeggen over vijf kilometer."),
    ],
)
def test_no_full_stops_are_invented(text_tokenizer, language, text, said):
    for feed in (sentence_ids, word_ids):
        assert read(feed, list(text), language, text_tokenizer) == [said]


def test_what_ends_has_a_mark(text_tokenizer):
    def runs(feed, text):
        return read(feed, [text], "en", text_tokenizer)

    for feed in (sentence_ids, word_ids):
        assert runs(feed, "the quick brown fox") == ["the quick brown fox."]
        assert runs(feed, 'He said "no"') == ['He said "no".']
        assert runs(feed, "Really?") == ["Really?"]
        assert runs(feed, "He left\u2014") == ["He left."]
        assert all(run.endswith((",", ".")) for run in runs(feed, "word " * 100))
    assert runs(sentence_ids, "# Heading\n- item\n- item") == ["Heading.", "item.", "item."]
    assert runs(word_ids, "# Heading\n- item\n- item") == ["Heading. item. item."]


@pytest.mark.parametrize("feed", [sentence_ids, word_ids])
def test_silence_stands_where_it_was_asked_for(text_tokenizer, feed):
    text = (
        "<speak><break time='500ms'/>Wait <break time='1s'/><break time=\"1.5s\"/> here <break time='.2s'/> so.</speak>"
    )
    for pieces in ([text], list(text)):
        runs = [
            r if isinstance(r, Silence) else text_tokenizer.decode(list(r)) for r in feed(pieces, "en", text_tokenizer)
        ]
        assert runs == [Silence(0.5), "Wait.", Silence(2.5), "here, so."]


def test_words_make_the_ids_of_the_whole_text(text_tokenizer):
    text = "the quick brown fox says what it reads."
    (run,) = (list(run) for run in word_ids([text], "en", text_tokenizer))
    assert run == text_tokenizer.encode(text)


def test_sentences_are_normalised_and_empty_ones_left_out(text_tokenizer):
    text = ["I have 3. \U0001f600! Done."]
    assert read(sentence_ids, text, "en", text_tokenizer) == ["I have three.", "Done."]
    assert read(word_ids, text, "en", text_tokenizer) == ["I have three. Done."]


def test_runs_end_with_sentences_and_are_never_long(text_tokenizer):
    for feed in (sentence_ids, word_ids):
        texts = read(feed, [TEXT, "word " * 100, "9" * 300], "en", text_tokenizer)
        assert len(texts) > 2
        assert all(len(text) < MAX_CHARS + 10 for text in texts)
        assert texts[0].endswith((".", "!", "?"))


@pytest.mark.parametrize("reads_phonemes", [False, True])
def test_words_are_read_as_they_arrive(text_tokenizer, reads_phonemes):
    if reads_phonemes:
        skip_without_phonemes()
    arrived = []

    def source():
        for piece in ("the quick ", "brown fox ", "jumps"):
            arrived.append(piece)
            yield piece

    run = next(word_ids(source(), "en", text_tokenizer, reads_phonemes))
    next(run)
    assert arrived == ["the quick "]


@pytest.mark.parametrize("feed", [sentence_ids, word_ids])
def test_long_words_are_cut_in_time(text_tokenizer, feed):
    start = time.monotonic()
    for word in ("x" * 10_000, "\u4f60" * 10_000, "1" * 10_000, "a." * 5_000, "<" * 10_000):
        runs = [list(run) for run in feed(list(word), "en", text_tokenizer)]
        assert all(len(text_tokenizer.decode(run)) <= MAX_CHARS + 10 for run in runs)
    assert time.monotonic() - start < 60  # a second each, unless it grows with the square


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "NoneType None; expected a string"),
        (5, "int 5; expected a string"),
        (b"hello", r"bytes; decode it first: text.decode\('utf-8'\)"),
        ("", "empty"),
        ("...", "no letter or digit"),
    ],
)
def test_what_is_no_text(text, why):
    with pytest.raises(TextError, match=why):
        text_pieces(text)


def test_asynchronous_text_is_told_what_to_do():
    async def source():
        yield "hello"

    with pytest.raises(TextError, match=r"async_generator.*piece async for piece .*queue"):
        text_pieces(source())


def test_pieces_that_are_no_strings():
    pieces = text_pieces(["hello ", b"there"])
    assert next(pieces) == "hello "
    with pytest.raises(TextError, match="a piece of it is bytes b'there'"):
        next(pieces)


@pytest.mark.parametrize("reads_phonemes", [False, True])
def test_runs_know_where_their_words_begin(text_tokenizer, reads_phonemes):
    if reads_phonemes:
        skip_without_phonemes()
    text = "The end of the road, in the middle of the night: I am what I have been."
    run = next(word_ids(iter([text]), "en", text_tokenizer, reads_phonemes))
    ids = list(run)
    assert [word for _, word in run.words] == [*text.split(), ""]
    places = [place for place, _ in run.words]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0, len(ids))
    spoken = [text_tokenizer.decode(ids[a:b]) for a, b in pairwise(places)]
    assert "".join(spoken) == text_tokenizer.decode(ids)
    if reads_phonemes:  # where two words are one, the first is empty
        assert [bool(piece) for piece in spoken[:5]] == [True, True, False, True, True]
        assert spoken[4].startswith(" ɹ")
    else:
        assert [piece.strip() for piece in spoken] == text.split()
