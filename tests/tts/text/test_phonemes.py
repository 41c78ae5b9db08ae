"""espeak-ng speaks for us; languages go by BCP-47 tags."""

# ruff: noqa: RUF001  IPA

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest

import pytest

from codec.extras import MissingDependencyError
from codec.tts.text import phonemes
from codec.tts.text.phonemes import PhonemeStream, check_phonemes, to_phonemes


@pytest.fixture(autouse=True)
def fresh():
    phonemes._backend.cache_clear()


@pytest.fixture
def espeak():
    try:
        phonemes._backend("en")
    except MissingDependencyError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("language", "text", "start", "end"),
    [
        ("en", "Hello, world!", "h", "d!"),
        ("fr-FR", "bonjour", "b", "ʁ"),
        ("de_DE", "Straße", "ʃ", "ə"),
        ("es-AR", "hola", "ˈo", "a"),
    ],
)
def test_words_as_ipa_with_their_punctuation(espeak, language, text, start, end):
    said = to_phonemes(text, language)
    assert said.startswith(start)
    assert said.endswith(end)
    assert ("," in said, " " in said) == ("," in text, " " in text)


def test_nothing_is_logged_of_a_word_of_another_language(espeak, capfd):
    assert to_phonemes("Dat is een computer.", "nl").endswith(".")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("text", ["Plan A works.", "nine A M", "A M radio", "first A, then B", "A-four size", "type A"])
def test_the_letter_is_not_the_article(espeak, text):
    said = to_phonemes(text, "en")
    assert "ˈeɪ" in said
    assert "ɐ" not in said


@pytest.mark.parametrize("text", ["A man came.", "It is a plan.", "Once Upon A Time", "Yes. A dog."])
def test_the_article_is_not_the_letter(espeak, text):
    assert "ɐ" in to_phonemes(text, "en")


TEXTS = [
    ("en", "It was the best of times, it was the worst of times; and what for? He told me (so) in the end."),
    ("en", "What is it that he looks at? The other one, which she had, is used to it. Plan A is good, at ten A M."),
    ("en", 'He said: "I do not think so", and left the house.'),
    ("de", "Die Zucht wird heute in Russland mit Hilfe von denen gemacht, die am ersten und zweiten Mai da waren."),
    ("nl", "Dat is het einde van de dag, en als alles in de tuin is, dan gaan we met z'n allen naar huis."),
]


@pytest.mark.parametrize(("language", "text"), TEXTS)
def test_word_by_word_is_as_the_whole(espeak, language, text):
    words = text.split()
    for following in (words[1:], []):
        stream = PhonemeStream(language)
        said = [part for pair in zip_longest(words, following, fillvalue="") for part in stream.push(*pair)]
        assert " ".join(said + stream.flush()) == to_phonemes(text, language)


def test_phonemes_wait_for_the_next_word_or_a_mark(espeak):
    stream = PhonemeStream("en")
    steps = [("I", []), ("think", ["aɪ"]), ("of", ["θˈɪŋk"]), ("the", []), ("sea,", ["ʌvðə", "sˈiː,"]), ("so", [])]
    for word, said in steps:
        assert stream.push(word) == said
    assert stream.flush() == [to_phonemes("so", "en")]
    assert stream.flush() == []


def test_phonemes_wait_while_the_next_word_leaves_the_stress_open(espeak):
    stream = PhonemeStream("en")
    steps = [
        ("He", "ran", ["hiː"]),
        ("ran", "across", ["ɹˈæn"]),
        ("across", "the", []),
        ("the", "road", ["əkɹˌɑːs", "ðə"]),
    ]
    for word, following, said in steps:
        assert stream.push(word, following) == said


def test_a_late_change_loses_no_word(monkeypatch):
    def merging(text, language):  # "e" is one word with what follows, and changes "b"
        return text.replace("e f", "e_f").replace("b", "B" if "f" in text else "b")

    monkeypatch.setattr(phonemes, "_phonemes", merging)
    stream = PhonemeStream("en")
    said = [part for word in "bcdefg" for part in stream.push(word)] + stream.flush()
    assert [c.lower() for c in "".join(said) if c.isalpha()] == [*"bcdefg"]


def test_languages_are_checked_before_anything_is_said(espeak):
    check_phonemes("de")
    with pytest.raises(ValueError, match="'qq'"):
        check_phonemes("qq")


def test_unknown_language(espeak):
    with pytest.raises(ValueError, match=r"'qq'.*\bde\b"):
        to_phonemes("hello", "qq")


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "phonemizer.backend", None)
    with pytest.raises(MissingDependencyError, match=r"phonemizer: pip install 'codec37\[phonemes\]'"):
        to_phonemes("hello", "en")


def test_missing_program_is_named(monkeypatch):
    backend = pytest.importorskip("phonemizer.backend")
    monkeypatch.setattr(backend.EspeakBackend, "is_available", lambda: False)
    with pytest.raises(MissingDependencyError, match="espeak-ng: pip install"):
        to_phonemes("hello", "en")


def test_threads_do_not_disturb_each_other(espeak):
    texts = [f"{word} three nine kilograms what for" for word in ("one", "two", "three", "four", "five", "six")]
    expected = [to_phonemes(text, "en") for text in texts]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            assert list(pool.map(lambda text: to_phonemes(text, "en"), texts)) == expected
