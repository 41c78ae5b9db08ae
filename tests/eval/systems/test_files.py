"""Outputs made elsewhere: found by id, converted, and missed by name."""

import pytest
import soundfile
import torch

from codec.audio.io import AudioError
from eval.systems.files import Files
from eval.systems.registry import make_system


def tone(sample_rate, seconds=1.0):
    return 0.5 * torch.sin(2 * torch.pi * 300 / sample_rate * torch.arange(int(seconds * sample_rate)))


RATES = {"a.wav": 24_000, "b/1.flac": 16_000, "b/2.OGG": 48_000, "c.mp3": 24_000, "d.e.wav": 44_100}


@pytest.fixture
def folder(tmp_path):
    for name, rate in RATES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, tone(rate).numpy(), rate, format=name.rpartition(".")[2].upper())
    (tmp_path / "notes.txt").write_text("no audio")
    return tmp_path


@pytest.mark.parametrize("recording", ["a", "b/1", "b/2", "c", "d.e", "a.wav", "a.flac", "b/1.MP3", "d.e.opus"])
def test_an_id_finds_its_file_in_any_format(folder, recording):
    output = make_system(f"files={folder}").read(recording)
    assert output.dtype == torch.float32
    assert len(output) == 24_000
    torch.testing.assert_close(output[500:-500], tone(24_000)[500:-500], atol=0.02, rtol=0)


@pytest.mark.parametrize("recording", ["x", "b", "1", "d", "b/1/a", "../a", "notes", "notes.txt", "/etc/a"])
def test_a_missing_file_is_named(folder, recording):
    with pytest.raises(ValueError, match=rf"no output for {recording}; expected a file with one of \.wav, \.flac"):
        Files("x", folder).read(recording)


def test_a_recording_named_by_its_own_path_is_no_output(folder):
    with pytest.raises(ValueError, match="no output for /"):
        Files("x", folder).read(str(folder / "a.wav"))


def test_two_files_for_one_recording_are_refused(folder):
    soundfile.write(folder / "a.flac", tone(24_000).numpy(), 24_000)
    for recording in ("a", "a.wav"):
        with pytest.raises(ValueError, match=r"a\.flac and .*a\.wav: both are outputs for a"):
            Files("x", folder).read(recording)


def test_damaged_files_are_named(folder):
    (folder / "a.wav").write_bytes((folder / "a.wav").read_bytes()[:1000])
    with pytest.raises(AudioError, match=r"a\.wav: the file is truncated"):
        Files("x", folder).read("a")


def test_the_version_follows_names_and_contents(folder):
    versions = [Files("x", folder).version, Files("y", folder).version]
    (folder / "a.wav").rename(folder / "z.wav")
    versions.append(Files("x", folder).version)
    (folder / "z.wav").write_bytes((folder / "c.mp3").read_bytes())
    versions.append(Files("x", folder).version)
    assert versions[0] == versions[1]
    assert len(set(versions)) == 3


def test_folders_without_audio(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ValueError, match=rf"files={folder}: no audio files in {folder}; expected ID\.wav"):
            make_system(f"files={folder}")
