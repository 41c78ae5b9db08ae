"""Every form of recordings becomes the same utterances, and says what it cannot read."""

import gzip
import json
import shutil
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from codec.recordings import manifest
from codec.recordings.manifest import list_utterances, read_manifest
from codec.recordings.media import read_recording
from codec.recordings.readers import READERS
from codec.recordings.readers.records import json_lines
from codec.recordings.utterance import Utterance

CLIP = Path(__file__).parents[1] / "data/kathleen.flac"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with `a.flac`, which is also the working directory."""
    shutil.copy(CLIP, tmp_path / "a.flac")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(*objects):
    return "\n".join(map(json.dumps, objects))


def cut(name, start, duration, text_s, **recording):
    """A cut as lhotse 1.33 writes it."""
    source = {"type": "file", "channels": [0], "source": "a.flac"}
    said = {"id": "s", "recording_id": "a", "start": -start, "duration": text_s, "text": "hi", "speaker": "k"}
    held = {"id": "a", "sources": [source], "sampling_rate": 24_000, "duration": 2.90825, **recording}
    where = {"id": name, "start": start, "duration": duration, "channel": 0}
    return {**where, "supervisions": [said], "recording": held, "type": "MonoCut"}


FORMS = {
    "nemo.json": lines(
        {"audio_filepath": "a.flac", "duration": 2.90825, "text": "hi", "speaker": "k", "source_lang": "en"},
        {"audio_filepath": "a.flac", "offset": 0, "duration": 1.25, "text": "h", "speaker": "k", "source_lang": "en"},
    ),
    "ours.jsonl": lines(
        {"path": "a.flac", "duration_s": 2.90825, "text": "hi", "speaker": "k", "language": "en"},
        {"path": "a.flac", "start_s": 0, "duration_s": 1.25, "text": "h", "speaker": "k", "language": "en"},
    ),
    "t.csv": "wav,start,duration,text,speaker,lang\r\na.flac,,2.90825,hi,k,en\na.flac,0,1.25,h,k,en\n",
    "t.tsv": "path\tduration\tsentence\tclient_id\toffset\tlocale\n"
    "a.flac\t2.90825\thi\tk\t\ten\na.flac\t1.25\th\tk\t0\ten",
}


@pytest.mark.parametrize("name", FORMS)
def test_lines_of_every_form_are_the_same_utterances(folder, name):
    (folder / name).write_text(FORMS[name])
    assert read_manifest(folder / name) == [
        Utterance(f"{folder}/a.flac", "hi", "k", "en", 2.90825, id="a.flac"),
        Utterance(f"{folder}/a.flac#t=0,1.25", "h", "k", "en", 1.25, id="a.flac#t=0,1.25"),
    ]


def test_a_segment_is_that_part_of_the_file(folder):
    (folder / "m.jsonl").write_text(
        lines(*({"path": "a.flac", "start_s": s, "duration_s": d} for s, d in ((0.5, 1.25), (2, 9), (3, 1))))
    )
    whole = soundfile.read(CLIP, dtype="float32")[0]
    first, last, beyond = read_manifest(folder / "m.jsonl")
    np.testing.assert_array_equal(read_recording(first.path, 24_000), whole[12_000:42_000])
    np.testing.assert_array_equal(read_recording(last.path, 24_000), whole[48_000:])
    with pytest.raises(ValueError, match=r"a\.flac#t=3,4: empty"):
        read_recording(beyond.path, 24_000)


def test_lhotse_cuts_and_shar(folder):
    """A text that goes on behind the cut is not what is said in it."""
    with gzip.open(folder / "cuts.jsonl.gz", "wt") as file:
        file.write(lines(cut("whole", 0.0, 2.90825, 2.90825), cut("part", 0.5, 1.25, 2.90825)))
    assert read_manifest(folder / "cuts.jsonl.gz") == [
        Utterance("a.flac", "hi", "k", duration_s=2.90825, id="whole"),
        Utterance("a.flac#t=0.5,1.75", None, "k", duration_s=1.25, id="part"),
    ]
    shar = folder / "shar"
    shar.mkdir()
    placed = cut("b/1", 0, 2.90825, 2.90825, sources=[{"type": "shar", "channels": [0], "source": ""}])
    (shar / "cuts.000003.jsonl.gz").write_bytes(gzip.compress(lines(placed).encode()))
    with pytest.raises(ValueError, match=r"cuts\.000003\.jsonl\.gz:1: no audio of cut b/1 in .*recording\.000003\.tar"):
        read_manifest(shar)
    (shar / "cuts.000004.jsonl.gz").write_text("not compressed")
    with pytest.raises(ValueError, match=r"cuts\.000004\.jsonl\.gz: no whole gzip file"):
        list(json_lines(shar / "cuts.000004.jsonl.gz"))
    (shar / "cuts.000004.jsonl.gz").unlink()
    with tarfile.open(shar / "recording.000003.tar", "w") as tar:
        tar.add(CLIP, "b/1.flac")
        tar.add(folder / "cuts.jsonl.gz", "b/1.json")
    path = f"{shar}/recording.000003.tar::b/1.flac"
    assert read_manifest(shar) == [Utterance(path, "hi", "k", duration_s=2.90825, id="b/1")]


def test_kaldi_folders(folder):
    (folder / "wav.scp").write_text("r1 a.flac\nr2 ./a.flac\n")
    (folder / "text").write_text("r1 good  morning \nr2\n")
    (folder / "utt2spk").write_text("r1 k\nr2 k\n")
    first, second = read_manifest(folder)
    assert first == Utterance("a.flac", "good  morning", "k", duration_s=first.duration_s, id="r1")
    assert (second.path, second.text, second.speaker) == ("./a.flac", None, "k")
    (folder / "segments").write_text("r1 r1 0.5 1.75\n")
    assert read_manifest(folder) == [Utterance("a.flac#t=0.5,1.75", "good  morning", "k", duration_s=1.25, id="r1")]
    (folder / "segments").write_text("r1 r3 0.5 1.75\n")
    with pytest.raises(ValueError, match=r"segments:1: expected UTTERANCE RECORDING START END, with a recording of"):
        read_manifest(folder)


def test_commands_in_kaldi_folders_never_run(folder):
    for line in (f"r touch {folder}/ran |", f"r | touch {folder}/ran", "r foo.ark:12"):
        (folder / "wav.scp").write_text(line)
        with pytest.raises(ValueError, match=r"wav\.scp:1: .*write i"):
            read_manifest(folder)
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata.csv", 'file_name,transcription,speaker_id\na.flac,"so, hi",7\n'),
        ("metadata.jsonl", lines({"file_name": "a.flac", "transcription": "so, hi", "speaker_id": 7})),
    ],
)
def test_audio_folders_of_hugging_face(folder, name, text):
    (folder / name).write_text(text)
    (found,) = read_manifest(folder)
    assert (found.path, found.text, found.speaker) == (f"{folder}/a.flac", "so, hi", "7")
    assert found.duration_s == pytest.approx(2.90825)


def test_webdataset_shards_by_number(folder):
    """A sample's files share their name up to the first dot; `.cls` and the like are no labels."""
    labels = folder / "labels"
    for number in range(2):
        with tarfile.open(folder / f"s-{number:06d}.tar", "w") as tar:
            for suffix, text in ((".cls", "3"), (".json", '{"transcript": "hi", "speaker": "k"}')):
                labels.write_text(text)
                tar.add(labels, f"x/{number}{suffix}")
            tar.add(CLIP, f"x/{number}.audio.flac")
    found = read_manifest(folder / "s-{000000..000001}.tar")
    assert [u.path for u in found] == [f"{folder}/s-{n:06d}.tar::x/{n}.audio.flac" for n in range(2)]
    assert [(u.text, u.speaker, u.id) for u in found] == [
        ("hi", "k", f"s-{n:06d}.tar::x/{n}.audio.flac") for n in range(2)
    ]
    with pytest.raises(ValueError, match=r"s-000002\.tar: no such"):
        read_manifest(folder / "s-{000000..000002}.tar")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.json", lines({"audio_filepath": "a.flac"}, {"text": "hi"}), "m.json:2: has no path of a recording"),
        (
            "m.json",
            lines({"audio_filepath": "a.flac", "offset": 1}),
            "m.json:1: start_s = 1, expected .* and duration_s",
        ),
        ("m.jsonl", lines({"audio_filepath": "a", "shard_id": 0}), "m.jsonl:1: part of a tarred set"),
        ("m.csv", "path,duration\na.flac,long\n", "m.csv:2: duration_s = 'long', expected seconds"),
        ("m.csv", "path,text\na.flac,so, hi\n", "m.csv:2: more fields than the header"),
        ("m.csv", "name\na.flac\n", "m.csv:2: has no path of a recording"),
        ("c.jsonl", lines({**cut("x", 0, 1, 1), "type": "MixedCut"}), "c.jsonl:1: MixedCut x: expected a MonoCut"),
        ("c.jsonl", lines({**cut("x", 0, 1, 1), "channel": 1}), "c.jsonl:1: MonoCut x: one of several channels"),
        ("c.jsonl", lines(cut("x", 0, 1, 1, transforms=[{}])), "c.jsonl:1: MonoCut x: has transforms"),
        ("c.jsonl", lines({"type": "MonoCut"}), "c.jsonl:1: not a cut of lhotse"),
        ("c.jsonl.gz", "{", "c.jsonl.gz: expected a NeMo manifest, lhotse cuts, a .jsonl manifest, "),
    ],
)
def test_what_cannot_be_read_is_named(folder, name, text, message):
    (folder / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_manifest(folder / name)


def test_another_form(tmp_path, monkeypatch):
    """A new form is a file and a name."""
    path = tmp_path / "m.txt"
    path.write_text("a.flac\n")
    with pytest.raises(ValueError, match=r"m\.txt: expected a NeMo manifest, .* a folder of audio or tar shards"):
        read_manifest(path)
    reader = SimpleNamespace(
        FORM="a list",
        accepts=lambda path: path.suffix == ".txt",
        read=lambda path: [Utterance(str(path.parent / line)) for line in path.read_text().splitlines()],
    )
    monkeypatch.setattr(manifest, "READERS", (*READERS, reader))
    assert list_utterances(path) == [Utterance(f"{tmp_path}/a.flac", id="a.flac")]
