"""Item i is a function of the seed and i; epochs are fair; texts belong to whole utterances; bad files are skipped."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.audio.io import AudioError
from eval.testsets import Utterance
from train.data.audio import MAX_ATTEMPTS, CropDataset, DataConfig
from train.data.augment import AugmentConfig
from train.data.manifest import read_manifest

RATE, HOP = 24_000, 1_920
DATA = Path(__file__).parents[2] / "data"
PLAIN = AugmentConfig(gain_db=(0, 0))


def crops(utterances, crop_s=0.8, seed=0, augment=PLAIN):
    return CropDataset(utterances, RATE, HOP, DataConfig("unused", crop_s=crop_s, augment=augment), seed)


def test_items_do_not_depend_on_order():
    utterances = read_manifest(DATA)
    noisy = AugmentConfig(noise_prob=0.5, reverb_prob=0.5)
    first, second = crops(utterances, augment=noisy), crops(utterances, augment=noisy)
    forward = [first[i].waveform for i in range(30)]
    for i in reversed(range(30)):
        np.testing.assert_array_equal(second[i].waveform, forward[i])
    assert not np.array_equal(forward[0], crops(utterances, augment=noisy, seed=1)[0].waveform)


@given(
    durations=st.lists(st.one_of(st.none(), st.floats(0.01, 30)), min_size=1, max_size=20),
    crop_s=st.floats(0.5, 5),
    seed=st.integers(0, 100),
    epoch=st.integers(0, 5),
)
@settings(max_examples=80, deadline=None)
def test_an_epoch_visits_every_unit_once(durations, crop_s, seed, epoch):
    dataset = crops([Utterance(str(n), duration_s=s) for n, s in enumerate(durations)], crop_s, seed)
    n = dataset.epoch_length
    visits = np.bincount([dataset.unit(i) for i in range(epoch * n, (epoch + 1) * n)], minlength=len(durations))
    actual_s = dataset.crop_length / RATE
    assert visits.tolist() == [max(1, round((s or 0) / actual_s)) for s in durations]


@pytest.mark.parametrize("speed", [0.7, 1.4])
def test_speed_fills_the_crop_and_keeps_whole_utterances_whole(speed):
    utterances = read_manifest(DATA)
    dataset = crops(utterances, augment=AugmentConfig(gain_db=(0, 0), speed=(speed, speed)))
    clip = dataset[0]
    assert len(clip.waveform) == pytest.approx(dataset.crop_length, abs=1)
    assert clip.text is None
    whole = crops(utterances, 30.0, augment=dataset.augment)
    seconds = utterances[whole.unit(0)].duration_s / speed
    assert len(whole[0].waveform) / RATE == pytest.approx(seconds, abs=1e-3)


def test_epochs_differ():
    dataset = crops([Utterance(str(n)) for n in range(50)])
    orders = [[dataset.unit(i) for i in range(e * 50, e * 50 + 50)] for e in range(2)]
    assert orders[0] != orders[1]


def test_crop_is_part_of_the_recording():
    utterances = read_manifest(DATA)
    dataset = crops(utterances)
    for i in range(10):
        clip, whole = dataset[i].waveform, soundfile.read(utterances[dataset.unit(i)].path, dtype="float32")[0]
        windows = np.lib.stride_tricks.sliding_window_view(whole, 64)
        start = int(np.abs(windows - clip[:64]).sum(1).argmin())
        assert len(clip) == dataset.crop_length == 19_200
        np.testing.assert_array_equal(clip, whole[start : start + len(clip)])


def test_crops_reach_both_ends(tmp_path):
    ramp = np.linspace(0, 0.5, 2 * HOP + 4, dtype=np.float32)
    soundfile.write(tmp_path / "ramp.wav", ramp, RATE, subtype="FLOAT")
    dataset = crops([Utterance(str(tmp_path / "ramp.wav"))], crop_s=2 * HOP / RATE)
    starts = {int(np.abs(ramp - dataset[i].waveform[0]).argmin()) for i in range(60)}
    assert starts == {0, 1, 2, 3, 4}


def test_only_whole_utterances_carry_text(tmp_path):
    for name, length in [("short", 10_000), ("exact", 19_200), ("long", 19_201)]:
        soundfile.write(tmp_path / f"{name}.wav", np.full(length, 0.25), RATE)
    utterances = [Utterance(str(tmp_path / f"{name}.wav"), text=name) for name in ("short", "exact", "long")]
    dataset = crops(utterances)
    clips = [dataset[i] for i in range(9)]
    for i, clip in enumerate(clips):
        name = utterances[dataset.unit(i)].text
        assert clip.text == (None if name == "long" else name)
        assert len(clip.waveform) == (10_000 if name == "short" else 19_200)
    batch = dataset.collate(clips).to("cpu")
    assert batch.waveform.shape == (9, 19_200)
    assert batch.waveform.dtype == torch.float32
    assert batch.lengths.dtype == torch.int64
    for waveform, length in zip(batch.waveform, batch.lengths, strict=True):
        assert (waveform[:length] == 0.25).all()
        assert (waveform[length:] == 0).all()


def test_a_16_khz_file_is_resampled(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.sin(np.arange(8_000) / 9), 16_000)
    assert len(crops([Utterance(str(tmp_path / "a.wav"))])[0].waveform) == 12_000


def test_a_shard_gives_what_its_folder_gives(tmp_path):
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        tar.add(DATA, ".")
    packed, loose = crops(read_manifest(tmp_path)), crops(read_manifest(DATA))
    for i in range(10):
        np.testing.assert_array_equal(packed[i].waveform, loose[i].waveform)


def test_bad_files_are_skipped_counted_and_named_once(tmp_path):
    (tmp_path / "corrupt.flac").write_bytes(b"fLaC" + bytes(100))
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan), RATE, subtype="FLOAT")
    bad = [Utterance(str(tmp_path / name)) for name in ("corrupt.flac", "nan.wav", "missing.wav")]
    dataset = crops([*bad, *read_manifest(DATA)])
    with pytest.warns(UserWarning, match="skipped") as caught:
        clips = [dataset[i] for i in range(3 * dataset.epoch_length)]
    assert len(caught) == 3
    for utterance in bad:
        assert sum(utterance.path in str(warning.message) for warning in caught) == 1
    for i, clip in enumerate(clips):
        assert (clip.n_skipped > 0) == (dataset.unit(i) < 3)
    assert dataset.collate(clips).n_skipped == sum(clip.n_skipped for clip in clips) >= 9


@pytest.mark.filterwarnings("ignore:skipped")
def test_all_bad_is_an_error():
    with pytest.raises(AudioError, match=rf"{MAX_ATTEMPTS} files in a row cannot be used \(such as missing\.wav"):
        crops([Utterance("missing.wav")])[0]


@pytest.mark.parametrize(
    ("name", "value"), [("train", ""), ("crop_s", 0), ("crop_s", float("nan")), ("batch_size", 0), ("num_workers", -1)]
)
def test_bad_values_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name} = "):
        DataConfig(**({"train": "a"} | {name: value}))


def test_bad_arguments():
    with pytest.raises(ValueError, match="at least one frame"):
        crops([Utterance("a")], crop_s=0.01)
    with pytest.raises(ValueError, match="utterances"):
        crops([])
    with pytest.raises(ValueError, match="seed = -1"):
        crops([Utterance("a")], seed=-1)
