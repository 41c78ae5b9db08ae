"""Files that are found behind links, and written under any name."""

import os
from pathlib import Path

import pytest

from codec.files import atomic_file, atomic_folder, find_files


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
