"""Files that are found behind links, and written under any name."""

import os
from pathlib import Path

import pytest

from codec.files import atomic_file, atomic_folder, find_files, message


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_links_are_followed_and_nothing_is_found_twice(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for path in (root / "b", root / "real/c", elsewhere / "deep/d"):
        touch(path)
    (root / "a_link").symlink_to("real")  # also there by itself
    (root / "out").symlink_to(elsewhere)
    (root / "out_again").symlink_to(elsewhere / "deep")
    (root / "round").symlink_to("..")
    (root / "broken").symlink_to("nowhere")
    (elsewhere / "back").symlink_to(root)
    expected = ["b", "broken", "out/deep/d", "real/c"]
    assert [str(path.relative_to(root)) for path in find_files(root)] == expected
    (tmp_path / "way").symlink_to(root)
    assert [str(path.relative_to(tmp_path / "way")) for path in find_files(tmp_path / "way")] == expected


def test_a_folder_that_cannot_be_searched_is_said(tmp_path, monkeypatch):
    touch(tmp_path / "closed/a")
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.warns(UserWarning, match=r"closed: cannot be searched \(Permission denied\)"):
        assert find_files(tmp_path) == []


@pytest.mark.parametrize("name", [255 * "x", "a." + 253 * "x", "x\udce9.txt", 127 * "ü"])
def test_any_name_is_written(name, tmp_path):
    with atomic_file(tmp_path / name) as new:
        new.write_text("text")
    with atomic_folder(tmp_path / "folder" / name) as new:
        (new / "a").write_text("text")
    assert (tmp_path / name).read_text() == (tmp_path / "folder" / name / "a").read_text() == "text"
    assert {path.name for path in tmp_path.iterdir()} == {name, "folder"}


@pytest.mark.parametrize("name", ["notes.py", "deep/clip.wav", ".git/HEAD"])
def test_a_folder_of_the_user_is_not_replaced(name, tmp_path):
    for old in ("out/config.json", f"out/{name}"):
        (tmp_path / old).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / old).write_text("old")
    for path, match in ((tmp_path / "out", f"holds {name}"), (tmp_path / "out" / name, "is a file")):
        with pytest.raises(ValueError, match=match), atomic_folder(path):
            pytest.fail("the work began")
        assert (tmp_path / "out" / name).read_text() == "old"
    (tmp_path / "out" / name).unlink()
    with atomic_folder(tmp_path / "out") as new:
        (new / "new.json").write_text("{}")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new.json"]


def test_messages_name_the_file_and_the_remedy(tmp_path):
    (tmp_path / "a").touch()
    for path, text in (
        (tmp_path / "no/b", "No such file or directory; check"),
        (tmp_path / "a/b", "Not a directory; "),
    ):
        with pytest.raises(OSError, match="No") as caught, atomic_file(path):
            pytest.fail("the work began")
        assert message(caught.value).startswith(f"{path}: {text}")
    assert message(ValueError("as it is")) == "as it is"
