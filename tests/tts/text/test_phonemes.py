"""espeak-ng speaks for us; languages go by BCP-47 tags."""

# ruff: noqa: RUF001  IPA

import sys

import pytest

from codec.tts.text import phonemes
from codec.tts.text.phonemes import to_phonemes


@pytest.fixture(autouse=True)
def fresh():
    phonemes._backend.cache_clear()


@pytest.fixture
def espeak():
    try:
        phonemes._backend("en")
    except (ImportError, OSError) as error:
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


def test_unknown_language(espeak):
    with pytest.raises(ValueError, match=r"'qq'.*\bde\b"):
        to_phonemes("hello", "qq")


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "phonemizer.backend", None)
    with pytest.raises(ImportError, match="pip install phonemizer"):
        to_phonemes("hello", "en")


def test_missing_program_is_named(monkeypatch):
    backend = pytest.importorskip("phonemizer.backend")
    monkeypatch.setattr(backend.EspeakBackend, "is_available", lambda: False)
    with pytest.raises(OSError, match="install it"):
        to_phonemes("hello", "en")
