"""Item i is a function of the seed and i; epochs are fair; texts belong to whole utterances; bad files are skipped."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from codec.audio.io import AudioError
from codec.recordings.manifest import read_manifest
from codec.recordings.utterance import Utterance
from train.data.audio.augment import AugmentConfig
from train.data.audio.companions import companion_path, find_pitch, write_companions
from train.data.audio.crops import MAX_ATTEMPTS, CropDataset, DataConfig
from train.data.loader import make_loader

RATE, HOP = 24_000, 1_920
DATA = Path(__file__).parents[3] / "data"
PLAIN = AugmentConfig(gain_db=(0, 0))


def crops(utterances, crop_s=0.8, seed=0, augment=PLAIN, companions=""):
    config = DataConfig("unused", crop_s=crop_s, augment=augment, companions=str(companions))
    return CropDataset(utterances, RATE, HOP, config, seed)


def slowed(speed):
    return AugmentConfig(gain_db=(0, 0), speed=(speed, speed))


@pytest.fixture(scope="module")
def sung(tmp_path_factory):
    """Three seconds of vibrato in which a word is spoken every 0.2 s, number i at 0.2 i s; and a folder about them."""
    folder = tmp_path_factory.mktemp("sung")
    f0 = 180 * 2 ** (np.sin(2 * np.pi * 4 * np.arange(3 * RATE) / RATE) / 6)
    cycles = np.cumsum(f0) / RATE
    voice = sum(np.cos(2 * np.pi * k * cycles) / k for k in range(1, 7)) / 5
    soundfile.write(folder / "sung.wav", voice, RATE, subtype="FLOAT")
    utterances = read_manifest(folder)
    write_companions([folder], folder / "companions")
    tokens = torch.arange(15)
    teacher_states = {"tokens": tokens.int(), "states": tokens[:, None].repeat(1, 4).half()}
    teacher_states["attention"] = torch.eye(15).repeat_interleave(10, dim=1).half()
    f0_found = torch.from_numpy(find_pitch(voice.astype(np.float32), RATE))
    save_file({"f0": f0_found} | teacher_states, companion_path(folder / "companions", utterances[0]))
    return utterances, folder / "companions"


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
    visits = np.bincount(
        [dataset.utterance_index(i) for i in range(epoch * n, (epoch + 1) * n)], minlength=len(durations)
    )
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
    seconds = utterances[whole.utterance_index(0)].duration_s / speed
    assert len(whole[0].waveform) / RATE == pytest.approx(seconds, abs=1e-3)


def test_epochs_differ():
    dataset = crops([Utterance(str(n)) for n in range(50)])
    orders = [[dataset.utterance_index(i) for i in range(e * 50, e * 50 + 50)] for e in range(2)]
    assert orders[0] != orders[1]


def test_crop_is_part_of_the_recording():
    utterances = read_manifest(DATA)
    dataset = crops(utterances)
    for i in range(10):
        clip, whole = (
            dataset[i].waveform,
            soundfile.read(utterances[dataset.utterance_index(i)].path, dtype="float32")[0],
        )
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
        name = utterances[dataset.utterance_index(i)].text
        assert clip.text == (None if name == "long" else name)
        assert len(clip.waveform) == (10_000 if name == "short" else 19_200)
    batch = dataset.collate(clips).to("cpu")
    assert batch.waveform.shape == (9, 19_200)
    assert batch.waveform.dtype == torch.float32
    assert batch.lengths.dtype == torch.int64
    for waveform, length in zip(batch.waveform, batch.lengths, strict=True):
        assert (waveform[:length] == 0.25).all()
        assert (waveform[length:] == 0).all()


@pytest.mark.parametrize("speed", [1.0, 0.8, 1.25])
def test_pitch_of_a_crop_is_that_of_its_samples(sung, speed):
    utterances, folder = sung
    dataset = crops(utterances, 1.2, augment=slowed(speed), companions=folder)
    starts = set()
    for i in range(5):
        clip = dataset[i]
        assert clip.f0.shape == (120,)
        assert clip.f0.dtype == np.float32
        expected = find_pitch(clip.waveform, RATE)
        inner = slice(5, -5)  # Praat knows nothing of what comes before and after
        assert (clip.f0[inner] > 0).all()
        assert 1200 * np.abs(np.log2(clip.f0[inner] / expected[inner])).mean() < 6  # 10 ms off are some 30
        starts.add(float(clip.f0[0]))
    assert len(starts) == 5


@pytest.mark.parametrize("speed", [1.0, 0.8, 1.25])
def test_what_is_heard_in_a_crop_is_said_in_it(sung, speed):
    """The vibrato tells where the crop begins: it repeats every 0.25 s, and words every 0.2 s."""
    utterances, folder = sung
    dataset = crops(utterances, 1.2, augment=slowed(speed), companions=folder)
    whole = soundfile.read(utterances[0].path, dtype="float32")[0]
    for i in range(5):
        rng = np.random.default_rng((0, i, 0))
        rng.uniform()
        start_s = rng.integers(len(whole) - round(dataset.crop_length * speed) + 1) / RATE
        clip = dataset[i]
        if speed == 1:
            np.testing.assert_array_equal(clip.waveform[:99], whole[round(start_s * RATE) :][:99])
        middles = 0.2 * clip.teacher_states.tokens + 0.1
        assert (middles > start_s - 0.03).all()
        assert (middles < start_s + 1.2 * speed + 0.03).all()
        assert len(middles) >= 6 * speed - 1.5
        attention = clip.teacher_states.attention
        assert attention.shape == (len(middles), 60)
        read = (attention * (torch.arange(60) + 0.5)).sum(1) / attention.sum(1) / 50 * speed + start_s
        torch.testing.assert_close(read[1:-1], middles[1:-1], atol=0.012, rtol=0)
        assert clip.teacher_states.states[:, 0].tolist() == clip.teacher_states.tokens.tolist()


def test_batches_carry_companions(sung, tmp_path):
    utterances, folder = sung
    soundfile.write(tmp_path / "short.wav", 0.1 * np.sin(np.arange(12_100) / 20), RATE)
    utterances = utterances + read_manifest(tmp_path)
    write_companions([tmp_path], folder)
    dataset = crops(utterances, 1.2, companions=folder)
    clips = [dataset[i] for i in range(9)]
    whose = [dataset.utterance_index(i) for i in range(9)]
    batch = dataset.collate(clips).to("cpu")
    assert batch.f0.shape == (9, 120)
    assert batch.f0.dtype == torch.float32
    assert {0, 1} == set(whose)
    for unit, clip, f0, item in zip(whose, clips, batch.f0, batch.teacher_states, strict=True):
        np.testing.assert_array_equal(f0[: len(clip.f0)], clip.f0)
        assert not f0[len(clip.f0) :].any()
        assert (item is None) == (clip.teacher_states is None) == (unit == 1)
        if unit:
            assert len(clip.f0) == 51
            assert clip.f0[5:-5].min() > 0
        else:
            assert all(getattr(item, name).equal(getattr(clip.teacher_states, name)) for name in vars(item))
    storages = {
        teacher_states.states.untyped_storage().data_ptr() for teacher_states in batch.teacher_states if teacher_states
    }
    assert len(storages) == 1
    without = crops(utterances, 1.2)
    np.testing.assert_array_equal(without[3].waveform, clips[3].waveform)
    plain = without.collate([without[i] for i in range(2)]).to("cpu")
    assert plain.f0 is None
    assert plain.teacher_states is None


def test_workers_pass_companions_on(sung):
    utterances, folder = sung
    dataset = crops(utterances, 1.2, companions=folder)
    batches = [next(make_loader(dataset, 4, 0, num_workers=n)) for n in (0, 1)]
    assert batches[0].f0.equal(batches[1].f0)
    for one, other in zip(*(batch.teacher_states for batch in batches), strict=True):
        assert one.attention.equal(other.attention)


def test_missing_companions_are_named_at_the_start(sung, tmp_path):
    utterances, folder = sung
    with pytest.raises(
        ValueError, match=r"none for 3 recordings, the first is .*flac; run python -m train\.data\.audio\.comp"
    ):
        crops([*utterances, *read_manifest(DATA)], companions=folder)


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
        assert (clip.n_skipped > 0) == (dataset.utterance_index(i) < 3)
    assert dataset.collate(clips).n_skipped == sum(clip.n_skipped for clip in clips) >= 9


@pytest.mark.filterwarnings("ignore:skipped")
def test_all_bad_is_an_error():
    with pytest.raises(AudioError, match=rf"{MAX_ATTEMPTS} files in a row are unusable \(such as missing\.wav"):
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


def test_silent_recordings_are_named_and_replaced(tmp_path):
    for name, level in (("a", 0), ("b", 0.1), ("c", 0)):
        soundfile.write(tmp_path / f"{name}.wav", np.full(30_000, float(level)), RATE)
    dataset = crops(read_manifest(tmp_path))
    with pytest.warns(UserWarning, match="silent") as caught:
        clips = [dataset[i] for i in range(6)]
    assert all(clip.waveform.any() for clip in clips)
    assert sum(clip.n_skipped > 0 for clip in clips) >= 3
    said = {str(warning.message) for warning in caught}
    assert len(said) == 2
    for name in "ac":
        assert any(f"skipped {tmp_path}/{name}.wav: silent: all samples from" in text for text in said)


def test_nothing_but_silence_ends_at_the_start(tmp_path):
    for name in "abc":
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(30_000), RATE)
    with pytest.warns(UserWarning, match="silent"), pytest.raises(AudioError) as info:
        crops(read_manifest(tmp_path))[0]
    assert "check the data" in str(info.value)
    for name in "abc":
        assert f"{tmp_path}/{name}.wav: silent" in str(info.value)
