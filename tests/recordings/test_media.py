"""Reading from the middle equals reading the whole, in every container and at every rate."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codec.audio.io import AudioError, read_audio
from codec.recordings.media import open_recording, read_bytes, read_recording

CLIP = Path(__file__).parents[1] / "data/kathleen.flac"


@pytest.fixture
def speech():
    return soundfile.read(CLIP, dtype="float32")[0]


@pytest.fixture
def pack(tmp_path):
    """A function that packs files into an uncompressed shard."""

    def pack(*files: Path) -> Path:
        shard = tmp_path / "shard.tar"
        with tarfile.open(shard, "w") as tar:
            for file in files:
                tar.add(file, f"./clips/{file.name}")
        return shard

    return pack


@pytest.mark.parametrize("start", [0, 1, 12_345, 69_000])
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_crop_is_a_slice_of_the_whole(tmp_path, speech, suffix, start):
    path = tmp_path / f"clip.{suffix}"
    soundfile.write(path, speech, 24_000)
    whole = soundfile.read(path, dtype="float32")[0]
    with open_recording(str(path), 24_000) as recording:
        assert recording.n_samples == len(whole)
        np.testing.assert_array_equal(recording.read(start, 700), whole[start : start + 700])


@pytest.mark.parametrize(
    ("suffix", "container", "subtype"),
    [("opus", "OGG", "OPUS"), ("ogg", "OGG", "VORBIS"), ("mp3", "MP3", "MPEG_LAYER_III")],
)
def test_crop_of_lossy_formats(tmp_path, speech, suffix, container, subtype):
    if subtype not in soundfile.available_subtypes(container):
        pytest.skip(f"this libsndfile has no {suffix}")
    path = tmp_path / f"clip.{suffix}"
    soundfile.write(path, speech, 24_000, format=container, subtype=subtype)
    whole = soundfile.read(path, dtype="float32")[0]
    with open_recording(str(path), 24_000) as recording:
        crop = recording.read(30_000, 20_000)
    error = crop - whole[30_000:50_000]
    assert np.square(error).mean() < 1e-3 * np.square(crop).mean()


@pytest.mark.parametrize("native_rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_resampled_crop_is_a_slice_of_the_resampled_whole(tmp_path, native_rate):
    path = tmp_path / "noise.wav"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 2 * native_rate).astype(np.float32)
    soundfile.write(path, noise, native_rate, subtype="FLOAT")
    whole = read_audio(path, None, 24_000).numpy()
    np.testing.assert_array_equal(read_recording(str(path), 24_000), whole)
    for start in (0, 7, 10_001, 48_000 - 5_000):
        with open_recording(str(path), 24_000) as recording:
            assert recording.n_samples == 48_000
            crop = recording.read(start, 5_000)
        assert len(crop) == 5_000
        np.testing.assert_allclose(crop, whole[start : start + 5_000], atol=1e-5)


def test_a_sine_keeps_its_frequency(tmp_path):
    path = tmp_path / "sine.wav"
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000), 16_000)
    with open_recording(str(path), 24_000) as recording:
        crop = recording.read(4_000, 12_000)
    assert np.abs(np.fft.rfft(crop)).argmax() * 24_000 / 12_000 == 1_000
    assert np.abs(crop).max() == pytest.approx(0.5, abs=0.01)


def test_channels_are_averaged(tmp_path):
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([np.full(100, 0.5), np.full(100, -0.25)], 1), 24_000)
    with open_recording(str(path), 24_000) as recording:
        np.testing.assert_allclose(recording.read(0, 100), 0.125)


def test_member_equals_file(pack, speech):
    address = f"{pack(CLIP.with_name('kerstin.flac'), CLIP)}::./clips/{CLIP.name}"
    with open_recording(address, 24_000) as recording:
        np.testing.assert_array_equal(recording.read(40_000, 9_000), speech[40_000:49_000])
    assert read_bytes(address) == CLIP.read_bytes()  # and not a byte of the next member


def test_errors_name_the_file(tmp_path, pack):
    (tmp_path / "text.wav").write_text("not audio")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 24_000)
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan), 24_000, subtype="FLOAT")
    (tmp_path / "cut.flac").write_bytes(CLIP.read_bytes()[:30_000])
    shard = pack(CLIP)
    bad = ["text.wav", "empty.wav", "nan.wav", "cut.flac", "missing.wav", "missing.tar::a.wav"]
    for address in [*(str(tmp_path / name) for name in bad), f"{shard}::missing.wav"]:
        with pytest.raises(AudioError) as info, open_recording(address, 24_000) as recording:
            recording.read(0, recording.n_samples)
        assert address in str(info.value)


def test_compressed_shard_is_refused(tmp_path):
    with tarfile.open(tmp_path / "zip.tar", "w:gz") as tar:
        tar.add(CLIP, CLIP.name)
    with pytest.raises(AudioError, match="uncompressed tar"):
        read_bytes(f"{tmp_path}/zip.tar::{CLIP.name}")
