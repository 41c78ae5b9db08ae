"""Manifests and folders of recordings to measure on."""

import pytest

from codec.recordings.manifest import list_utterances
from codec.recordings.utterance import Utterance
from eval.testsets import read_testset


def test_lines_with_and_without_labels(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"path": "a/x.wav", "id": "x", "text": "hi", "source": "s", "other": 1}\n\n{"path": "y.wav"}\n')
    assert list_utterances(path) == [
        Utterance(f"{tmp_path}/a/x.wav", text="hi", source="s", id="x"),
        Utterance(f"{tmp_path}/y.wav", id="y.wav"),
    ]


def test_a_folder_is_a_test_set(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/2.flac", "1.WAV", "notes.txt"):
        (tmp_path / name).touch()
    assert [(u.id, u.path) for u in read_testset(tmp_path)] == [
        ("1.WAV", f"{tmp_path}/1.WAV"),
        ("b/2.flac", f"{tmp_path}/b/2.flac"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a"}', "1: has no path of a recording"),
        ('{"id": "a", "path": "x"}\n{"id": "a", "path": "y"}', "id a occurs twice"),
        ("[1]", "1: expected an object"),
        ("{", "1: not JSON"),
        ('{"path": "x", "duration_s": -1}', "1: duration_s = -1, expected seconds above 0"),
        ("\n", "no recordings"),
    ],
)
def test_bad_manifests(tmp_path, text, message):
    (tmp_path / "m.jsonl").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_testset(tmp_path / "m.jsonl")


def test_chosen_ids(tmp_path):
    (tmp_path / "m.jsonl").write_text('{"path": "a"}\n{"path": "b"}\n{"path": "c"}')
    (tmp_path / "ids.txt").write_text("c a\n")
    assert [u.id for u in read_testset(tmp_path / "m.jsonl", tmp_path / "ids.txt")] == ["c", "a"]
    (tmp_path / "ids.txt").write_text("a x y")
    with pytest.raises(ValueError, match=r"2 ids are not in .* the first is x"):
        read_testset(tmp_path / "m.jsonl", tmp_path / "ids.txt")


def test_linked_folders_are_part_of_it(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "other/deep").mkdir(parents=True)
    (tmp_path / "other/deep/a.wav").touch()
    (tmp_path / "set/link").symlink_to(tmp_path / "other")
    assert [u.id for u in read_testset(tmp_path / "set")] == ["link/deep/a.wav"]


def test_marks_of_windows_editors(tmp_path):
    path, ids = tmp_path / "m.jsonl", tmp_path / "ids.txt"
    path.write_bytes(b'\xef\xbb\xbf{"path": "a"}\r\n{"path": "b"}\r\n')
    ids.write_bytes(b"\xef\xbb\xbfb\r\n")
    assert [u.id for u in read_testset(path, ids)] == ["b"]
    path.write_bytes('{"path": "a"}'.encode("utf-16"))
    with pytest.raises(ValueError, match=r"m\.jsonl: no UTF-8 .*; save it as UTF-8"):
        read_testset(path)
