"""Files of answers: read, or refused by name."""

import json

import pytest

from eval.listen.answers import read_answers
from eval.listen.key import Key, Trial

MUSHRA = Key("mushra", "m", (Trial("t1", "a", {"x": "one", "y": "two"}),))
ABX = Key("abx", "m", (Trial("t1", "a", {"x": "one", "y": "two"}, "y"),))


def write(tmp_path, **fields):
    path = tmp_path / "ann.json"
    path.write_text(json.dumps({"test": "m", "listener": "Ann", "answers": {"t1": {"x": 10, "y": 99.5}}, **fields}))
    return path


def test_good_answers(tmp_path):
    answers = read_answers(write(tmp_path), MUSHRA)
    assert (answers.listener, answers.by_trial) == ("Ann", {"t1": {"x": 10, "y": 99.5}})
    assert read_answers(write(tmp_path, answers={"t1": "x"}), ABX).by_trial == {"t1": "x"}


@pytest.mark.parametrize(
    ("key", "fields", "message"),
    [
        (MUSHRA, {"test": "other"}, "answers to test other, the key is of m"),
        (MUSHRA, {"listener": ""}, "no listener"),
        (MUSHRA, {"answers": {}}, "no answer to trial t1; let Ann finish"),
        (MUSHRA, {"answers": []}, "no answers"),
        (MUSHRA, {"answers": {"t1": {"x": 1}}}, "is no answer"),
        (MUSHRA, {"answers": {"t1": {"x": 1, "y": 101}}}, "is no answer"),
        (MUSHRA, {"answers": {"t1": {"x": 1, "y": "2"}}}, "is no answer"),
        (MUSHRA, {"answers": {"t1": {"x": 1, "y": float("nan")}}}, "is no answer"),
        (MUSHRA, {"answers": {"t1": "x"}}, "is no answer"),
        (ABX, {"answers": {"t1": "z"}}, "'z' is no answer"),
        (ABX, {"answers": {"t1": ["x"]}}, "is no answer"),
    ],
)
def test_bad_answers_are_named(tmp_path, key, fields, message):
    with pytest.raises(ValueError, match=rf"ann\.json: .*{message}"):
        read_answers(write(tmp_path, **fields), key)


def test_files_that_are_something_else(tmp_path):
    for text in ("", "[]", '{"test": "m"}'):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(ValueError, match=r"x\.json: .*expected the answers"):
            read_answers(tmp_path / "x.json", MUSHRA)


def test_keys_come_back(tmp_path):
    for key in (MUSHRA, ABX):
        key.save(tmp_path / "key.json")
        assert Key.load(tmp_path / "key.json") == key
    for text in ("{", "{}", '{"kind": "triangle", "test": "m", "trials": []}'):
        (tmp_path / "key.json").write_text(text)
        with pytest.raises(ValueError, match=r"key\.json: "):
            Key.load(tmp_path / "key.json")
