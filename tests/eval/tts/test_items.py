"""Texts are paired with voices of the right speaker, in turn, and never with their own words."""

from pathlib import Path

import pytest

from codec.recordings.utterance import Utterance
from eval.testsets import read_testset
from eval.tts.items import items_of_lines, items_of_testset


def names(item):
    return [path.stem for path in item.voices]


def test_voices_go_round(folder):
    utterances = read_testset(folder / "test.jsonl")
    items, left_out = items_of_testset(utterances, utterances, "en")
    voices = {item.id: names(item) for item in items}
    assert voices == {
        "a1": ["a2", "a3"],
        "a2": ["a3", "a1"],
        "a3": ["a1", "a2"],
        "b1": ["b2", "mute"],
        "b2": ["mute", "b1"],
    }
    assert left_out == {"lone": "no other recording of its speaker", "mute": "no text"}
    assert (items[0].text, items[0].language, items[0].speaker) == ("One two.", "en-US", "ann")
    assert items[0].recording == folder / "a1.wav"


def test_no_voice_says_the_same():
    twice = [Utterance(f"{i}.wav", text, "ann", id=str(i)) for i, text in enumerate(("one", "two", "one"))]
    items, _ = items_of_testset(twice, twice, "nl")
    assert [names(item) for item in items] == [["1"], ["2", "0"], ["1"]]
    assert {item.language for item in items} == {"nl"}


def test_voices_of_other_recordings():
    utterances = [Utterance("u.wav", "one", "ann", id="u"), Utterance("v.wav", "two", id="v")]
    references = [Utterance("r.wav", speaker="ann"), Utterance("s.wav", speaker="bob"), Utterance("t.wav")]
    items, left_out = items_of_testset(utterances, references, "en")
    assert [names(item) for item in items] == [["r"]]
    assert left_out == {"v": "no speaker"}


def test_every_line_in_every_voice(folder, tts, tmp_path):
    (tmp_path / "texts.txt").write_text("Hello.\n\n  Good bye!\n", encoding="utf-8")
    items = items_of_lines(tmp_path / "texts.txt", folder / "test.jsonl", "en-GB")
    assert len({item.id for item in items}) == len(items) == 14
    assert (items[1].id, items[1].text, items[1].language) == ("line 3, a1", "Good bye!", "en-GB")
    assert (items[1].voices, items[1].recording) == ((folder / "a1.wav",), None)
    (tmp_path / "voices").mkdir()
    for name in "pq":
        tts.voice(folder / "a1.wav", "ann agreed").save(tmp_path / "voices" / f"{name}.safetensors")
    items = items_of_lines(tmp_path / "texts.txt", tmp_path / "voices", "en")
    assert [item.id for item in items] == ["line 1, p", "line 3, p", "line 1, q", "line 3, q"]


def test_nothing_to_say(folder, tmp_path):
    (tmp_path / "texts.txt").write_text("\n \n")
    with pytest.raises(ValueError, match=r"texts.txt: no text in it"):
        items_of_lines(tmp_path / "texts.txt", folder / "test.jsonl", "en")
    (tmp_path / "texts.txt").write_text("Hello.")
    with pytest.raises(ValueError, match="no recordings"):
        items_of_lines(tmp_path / "texts.txt", tmp_path, "en")
    with pytest.raises(OSError, match="nowhere"):
        items_of_lines(Path("nowhere.txt"), folder, "en")
