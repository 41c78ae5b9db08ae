"""Tables of languages are whole, and what is wrong in one is said with its file and key."""

import pytest

from codec.tts.text.languages import LANGUAGES, Dotted, Language, load_language
from codec.tts.text.rules import reword


@pytest.mark.parametrize("name", LANGUAGES)
def test_all_tables_are_valid(name):
    assert isinstance(load_language(name), Language)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('point = "point"', "", r"xx\.toml\.point: has no value"),
        ('point = "point"', 'point = "point"\ncomma = "comma"', r"xx\.toml\.comma: no such setting"),
        ('point = "point"', "point = 5", r"xx\.toml\.point = 5: expected text"),
        ('order = "mdy"', 'ordre = "mdy"', r"xx\.toml\.dates\.ordre: no such setting; did you mean .*order"),
        ('"&" = "and"\n', "", r"xx\.toml\.symbols = .*: expected \+ - "),
        ('"vs." = "versus"', '"vs." = ["versus"]', r"xx\.toml\.abbreviations\.vs\. = \['versus'\]: expected text"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, monkeypatch, old, new, error):
    text = LANGUAGES["en"].read_text("utf-8")
    assert text.count(old) == 1
    path = tmp_path / "xx.toml"
    path.write_text(text.replace(old, new), "utf-8")
    monkeypatch.setitem(LANGUAGES, "xx", path)
    with pytest.raises(ValueError, match=error):
        load_language("xx")


def test_the_first_form_that_is_found_counts():
    forms = {"^one$": "single", "e$": "es", r"o\b": "a"}
    said = [reword(text, forms) for text in ("one", "three", "uno primo", "x")]
    assert said == ["single", "threes", "una prima", "x"]


def test_endings_go_by_the_words_around():
    dotted = Dotted(endings={r"(?<!\S)der _": "n", r"_.*kind\b": "s", "": "r"})
    said = [dotted.form("dritte", before, after) for before, after in (("In der", "Tag"), ("", "Kind."), ("oder", ""))]
    assert said == ["dritten", "drittes", "dritter"]
    assert Dotted().form("dritte", "der", "Tag") == "dritte"
