"""Tables by language, differences between models, and every reason once."""

import pytest

from eval.metrics.base import Column
from eval.results import Recording, Results, SystemResult
from eval.tts.tables import markdown

COLUMNS = [Column("cer", "CER", False, 2), Column("first_audio", "first audio", False, 0, "ms")]
IDS = ("a", "b", "c", "d")


@pytest.fixture
def results():
    recordings = [Recording(i, 0.0, ("en" if i in "ab" else "nl",), "ann", "", "words") for i in IDS]
    systems = [
        SystemResult("recordings", values={"cer": dict.fromkeys(IDS, 0.25)}),
        SystemResult("one", values={"cer": dict.fromkeys(IDS, 0.5), "first_audio": dict.fromkeys(IDS, 100.0)}),
        SystemResult("two", values={"cer": {"a": 0.75, "b": 0.75, "c": 0.5}}),
        SystemResult("three", not_measured="no such folder"),
    ]
    systems[2].failures = {i: {"asr": "not known"} for i in "bd"} | {"c": {"asr": "silent"}}
    return Results(recordings, COLUMNS, systems, {"dnsmos": "install it"})


def test_each_language_has_its_tables(results):
    text = markdown(results, ["one", "two"], {})
    whole, english, dutch = (part.split("\n\n") for part in text.split("## ")[1:])
    assert (whole[0], english[0], dutch[0]) == ("all (4 texts)", "en (2 texts)", "nl (2 texts)")
    assert whole[1].splitlines() == [
        "| system | texts | CER | first audio (ms) |",
        "| --- | --- | --- | --- |",
        "| recordings | 4 | 0.25 [0.25, 0.25] | - |",
        "| one | 4 | 0.50 [0.50, 0.50] | 100 [100, 100] |",
        "| two | 3 | 0.67 [0.50, 0.75] | - |",
    ]
    assert "| two | 2 | 0.75 [0.75, 0.75] | - |" in english[1]
    assert "| two | 1 | 0.50 [0.50, 0.50] | - |" in dutch[1]


def test_models_are_compared_on_what_both_said(results):
    text = markdown(results, ["one", "two"], {})
    assert "| two minus one | +0.17 [+0.00, +0.25], p = 0.500 | - |" in text, "of a, b and c"
    assert "| two minus one | +0.25 [+0.25, +0.25], p = 0.500 | - |" in text, "of a and b"
    assert "recordings |" not in text.replace("| recordings |", ""), "only models are compared"
    assert "minus" not in markdown(results, ["one"], {})


def test_one_language_needs_no_headings(results):
    results.recordings = results.recordings[:2]
    text = markdown(results, ["one", "two"], {})
    assert "##" not in text
    assert text.count("| two | 2 | 0.75") == 1


def test_every_reason_is_told_once(results):
    *_, missing = markdown(results, ["one", "two"], {"e": "no text", "f": "no text", "g": "no speaker"}).split("\n\n")
    assert missing.splitlines() == [
        "- dnsmos: not measured: install it",
        "- three: not measured: no such folder",
        "- two: 2 texts: asr: not known",
        "- two: 1 texts: asr: silent",
        "- 2 recordings were left out: no text",
        "- 1 recordings were left out: no speaker",
    ]


def test_a_mean_of_fewer_texts_says_so(results):
    results.systems[1].values["cer"].pop("d")
    assert "| one | 4 | 0.50 [0.50, 0.50] (of 3) | 100 [100, 100] |" in markdown(results, ["one", "two"], {})


def test_a_column_that_nothing_has_is_not_shown(results):
    results.systems.pop(1)
    assert "first audio" not in markdown(results, ["two"], {})
