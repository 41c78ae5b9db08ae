"""One list of utterances from manifests, folders and shards; scans that survive bad files and being killed."""

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codec.recordings.manifest import read_manifest
from codec.recordings.media import open_recording
from codec.recordings.utterance import Utterance
from train.data import manifest
from train.data.manifest import write_manifest

CLIPS = sorted((Path(__file__).parents[2] / "data").glob("*.flac"))


@pytest.fixture
def folder(tmp_path):
    """Three clips in a subfolder; one with a text, one with a text and a speaker."""
    sub = tmp_path / "corpus/sub"
    sub.mkdir(parents=True)
    for clip in CLIPS:
        shutil.copy(clip, sub)
    (sub / "kathleen.txt").write_text(" hello \n")
    (sub / "kerstin.json").write_text('{"text": "hallo", "speaker": "k", "language": "de", "other": 1}')
    return tmp_path / "corpus"


def pack(folder: Path, shard: Path) -> None:
    with tarfile.open(shard, "w") as tar:
        tar.add(folder, ".")


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_folder_with_sidecars(folder):
    flemish, kathleen, kerstin = read_manifest(folder)
    assert flemish.text is None
    assert flemish.duration_s == pytest.approx(3.653, abs=1e-3)
    assert kathleen.text == "hello"
    assert (kerstin.text, kerstin.speaker, kerstin.language) == ("hallo", "k", "de")


def test_shards_equal_their_folder(folder, tmp_path):
    shards = tmp_path / "shards"
    shards.mkdir()
    pack(folder, shards / "0.tar")
    expected = [(u.text, u.speaker, u.language, u.duration_s) for u in read_manifest(folder)]
    for source in (shards, shards / "0.tar"):
        utterances = read_manifest(source)
        assert [(u.text, u.speaker, u.language, u.duration_s) for u in utterances] == expected
        assert utterances[0].path == f"{shards}/0.tar::./sub/flemishguy.flac"


def test_jsonl_paths_are_relative_to_it(folder):
    lines = [{"path": "sub/kerstin.flac", "text": "a", "other": [1]}, {"path": "sub/kathleen.flac", "duration_s": 2}]
    path = folder / "m.jsonl"
    path.write_text("\n\n".join(map(json.dumps, lines)))
    first, second = read_manifest(path)
    assert first == Utterance(f"{folder}/sub/kerstin.flac", "a", duration_s=first.duration_s, id="sub/kerstin.flac")
    assert first.duration_s == pytest.approx(3.32)
    assert second.duration_s == 2  # believed, not measured


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"path": 1}', '{"path": "a.wav", "duration_s": -1}'])
def test_bad_line_is_named(folder, line):
    path = folder / "m.jsonl"
    path.write_text('{"path": "sub/kerstin.flac"}\n' + line + "\n")
    with pytest.raises(ValueError, match=r"m\.jsonl:2: .*correct or delete the line"):
        read_manifest(path)


def test_unusable_sources(tmp_path):
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "a.txt").touch()
    messages = {"": "no usable audio", "empty.jsonl": "no usable audio", "a.txt": "expected a NeMo", "no": "no such"}
    for source, message in messages.items():
        with pytest.raises(ValueError, match=message):
            read_manifest(tmp_path / source)


def test_unreadable_files_are_left_out_with_a_warning(folder):
    (folder / "bad.wav").write_text("not audio")
    with pytest.warns(UserWarning, match=r"1 of 4 files.*bad\.wav"):
        assert len(read_manifest(folder)) == 3


LATIN = "grüße".encode("latin-1")


@pytest.mark.parametrize(("name", "content"), [("sub/flemishguy.txt", LATIN), ("sub/flemishguy.json", b"[1]")])
def test_a_transcript_that_cannot_be_read_costs_no_recording(folder, tmp_path, name, content):
    (folder / name).write_bytes(content)
    with pytest.warns(UserWarning, match=rf"1 recordings are used without .*{name}: .*save it as UTF-8"):
        utterances = read_manifest(folder)
    assert [u.text for u in utterances] == [None, "hello", "hallo"]
    out = tmp_path / "m.jsonl"
    with pytest.warns(UserWarning, match=rf"1 recordings are used without .*{name}: "):
        assert write_manifest(folder, out) == (3, 0)
    assert [name in row.get("unread", "") for row in rows(out)] == [True, False, False]
    assert [u.text for u in read_manifest(out)] == [None, "hello", "hallo"]


def test_one_bad_sidecar_leaves_the_other(folder):
    (folder / "sub/kerstin.txt").write_bytes(LATIN)
    with pytest.warns(UserWarning, match="kerstin"):
        assert read_manifest(folder)[2].text == "hallo"


@pytest.mark.parametrize("suffix", [".m4a", ".MP4", ".webm", ".aac"])
def test_what_takes_ffmpeg_is_listed_as_bad(folder, tmp_path, suffix):
    path = folder / f"clip{suffix}"
    path.write_bytes(b"\0\0\0\x18ftypM4A " + bytes(100))
    out = tmp_path / "m.jsonl"
    assert write_manifest(folder, out) == (3, 1)
    (bad,) = rows(out.with_suffix(".bad.jsonl"))
    assert bad["path"].endswith(path.name)
    assert "ffmpeg" in bad["error"]
    with pytest.warns(UserWarning, match=rf"1 of 4 files are left out.*clip{suffix}.*ffmpeg"):
        assert len(read_manifest(folder)) == 3


@pytest.mark.parametrize("suffix", [".aiff", ".caf", ".au", ".w64", ".oga"])
def test_other_formats_that_are_read(tmp_path, suffix):
    samples, rate = soundfile.read(CLIPS[1])
    format = {"oga": "OGG"}.get(suffix[1:], suffix[1:].upper())
    soundfile.write(tmp_path / f"a{suffix}", samples, rate, format=format)
    assert read_manifest(tmp_path)[0].duration_s == pytest.approx(len(samples) / rate, abs=1e-3)


@pytest.mark.parametrize(("subtype", "value"), [("FLOAT", np.nan), ("DOUBLE", np.inf)])
def test_samples_that_are_no_numbers_are_found(folder, tmp_path, monkeypatch, subtype, value):
    samples, rate = soundfile.read(CLIPS[0])
    samples[30_000] = value
    soundfile.write(folder / "bad.wav", samples, rate, subtype=subtype)
    out = tmp_path / "m.jsonl"
    monkeypatch.setattr(manifest, "_BLOCK", 1000)
    assert write_manifest(folder, out) == (3, 1)
    assert "sample 30000 is NaN or infinite" in rows(out.with_suffix(".bad.jsonl"))[0]["error"]


@pytest.mark.parametrize("is_packed", [False, True])
def test_scan_and_read_back(folder, tmp_path, capsys, is_packed):
    source, out = folder, tmp_path / "elsewhere/m.jsonl"
    out.parent.mkdir()
    (folder / "bad.wav").write_text("not audio")
    (folder / "sub/cut.flac").write_bytes(CLIPS[0].read_bytes()[:20_000])
    if is_packed:
        source = tmp_path / "shard.tar"
        pack(folder, source)
    assert manifest.main([str(source), "--out", str(out)]) == 0
    assert "3 files in" in (said := capsys.readouterr().out)
    assert "2 bad ones" in said
    assert all(row["path"].startswith("../") and row["sample_rate"] == 24_000 for row in rows(out))
    bad = rows(out.with_suffix(".bad.jsonl"))
    assert [Path(row["path"]).name for row in bad] == ["bad.wav", "cut.flac"]
    assert all(row["error"] for row in bad)
    assert [u.text for u in read_manifest(out)] == [None, "hello", "hallo"]
    assert sorted(path.name for path in out.parent.iterdir()) == ["m.bad.jsonl", "m.jsonl"]


def test_killed_scan_continues(folder, tmp_path, monkeypatch):
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    write_manifest(folder, whole)
    lines = whole.read_text().splitlines(keepends=True)
    partial = tmp_path / "out.jsonl.partial"
    partial.write_text(lines[0] + lines[1][:20])  # killed in the middle of its second line

    opened = []
    original = manifest.open_recording
    monkeypatch.setattr(
        manifest, "open_recording", lambda address: opened.append(Path(address).name) or original(address)
    )
    assert write_manifest(folder, out) == (3, 0)
    assert sorted(opened) == ["kathleen.flac", "kerstin.flac"]
    assert out.read_text() == whole.read_text()
    assert not partial.exists()
    assert not out.with_suffix(".bad.jsonl").exists()


def test_killed_scan_leaves_no_manifest(folder, tmp_path, monkeypatch):
    def die(address):
        raise KeyboardInterrupt

    monkeypatch.setattr(manifest, "open_recording", die)
    with pytest.raises(KeyboardInterrupt):
        write_manifest(folder, tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_command_errors(tmp_path, capsys):
    for folder, out, message in [(tmp_path, "out.csv", ".jsonl"), ("missing", "out.jsonl", "no such folder")]:
        assert manifest.main([str(folder), "--out", out]) == 2
        assert message in capsys.readouterr().err


def test_names_that_are_not_utf8(folder, tmp_path):
    shutil.copy(CLIPS[0], folder / "caf\udce9.flac")
    (folder / "b\udce9.wav").write_text("not audio")
    out = tmp_path / "m.jsonl"
    assert write_manifest(folder, out) == (4, 1)
    assert rows(out)[0]["path"] == "corpus/caf\udce9.flac"
    assert rows(out.with_suffix(".bad.jsonl"))[0]["path"] == "corpus/b\udce9.wav"
    with open_recording(read_manifest(out)[0].path) as recording:
        assert recording.n_samples == soundfile.info(CLIPS[0]).frames
    with pytest.warns(UserWarning, match="1 of 5 files"):
        assert len(read_manifest(folder)) == 4


def test_paths_lead_through_links(folder, tmp_path):
    """Folders and manifests that are reached by a link from elsewhere, in any combination."""
    (tmp_path / "far/away").mkdir(parents=True)
    (tmp_path / "far/away/link").symlink_to(folder)
    (folder / "more").symlink_to(tmp_path / "far/more")
    (tmp_path / "far/more").mkdir()
    shutil.copy(CLIPS[0], tmp_path / "far/more/linked.flac")
    (tmp_path / "manifests").symlink_to(tmp_path / "far/deep/down")
    (tmp_path / "far/deep/down").mkdir(parents=True)
    for source in (folder, tmp_path / "far/away/link", tmp_path / "far/away/link/sub/..", folder / "more/../../corpus"):
        for out in (tmp_path / "m.jsonl", tmp_path / "manifests/m.jsonl", folder / "m.jsonl", folder / "more/m.jsonl"):
            if not source.exists():
                continue
            assert write_manifest(source, out) == (4, 0)
            for utterance in read_manifest(out):
                with open_recording(utterance.path) as recording:
                    assert recording.n_samples
    assert [Path(u.path).name for u in read_manifest(folder)].count("linked.flac") == 1


def test_marks_of_windows_editors(folder):
    """A mark of the byte order at the start of a manifest or of a text."""
    (folder / "sub/kathleen.txt").write_bytes(b"\xef\xbb\xbfhello\r\n")
    (folder / "sub/kerstin.json").write_bytes(b'\xef\xbb\xbf{"text": "hallo"}')
    assert [u.text for u in read_manifest(folder)] == [None, "hello", "hallo"]
    path = folder / "m.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"path": "sub/kerstin.flac", "text": "\xc3\xa4\xe2\x80\xa8"}\r\n')
    (utterance,) = read_manifest(path)
    assert utterance.text == "ä\u2028"
    path.write_bytes('{"path": "sub/kerstin.flac"}'.encode("utf-16"))
    with pytest.raises(ValueError, match=r"m\.jsonl: no UTF-8 .*; save it as UTF-8"):
        read_manifest(path)
