"""Audio in every shape a user brings it, and refusals that say what is wrong with the rest."""

import io
import os
import warnings

import numpy as np
import pytest
import soundfile
import torch

from codec.audio.io import AudioError, read_audio, read_comment, to_mono, write_audio

RATE = 24_000


def tone(rate=RATE, seconds=0.5, hertz=440.0):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_dtypes_mean_the_same_waveform(dtype, kind):
    scale = -float(np.iinfo(dtype).min) if np.issubdtype(dtype, np.integer) else 1
    got = read_audio(kind((tone() * scale).astype(dtype)), RATE, RATE)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, torch.from_numpy(tone()), atol=3e-4, rtol=0)


@pytest.mark.parametrize("n_channels", [1, 2, 8])
def test_channels_are_averaged(n_channels, tmp_path):
    channels = np.stack([tone() * i / n_channels for i in range(n_channels)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.testing.assert_close(read_audio(channels, RATE, RATE, "x"), torch.from_numpy(channels.mean(0)))
    said = [f"x: {n_channels} rows are averaged as channels of one recording; give a batch as a list of recordings"] if n_channels > 2 else []
    assert [str(w.message).split(",")[0] for w in caught] == said  # they may be a batch
    soundfile.write(tmp_path / "x.wav", channels.T, RATE, subtype="FLOAT")
    torch.testing.assert_close(read_audio(tmp_path / "x.wav", None, RATE), torch.from_numpy(channels.mean(0)))


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_resampling_keeps_pitch_length_and_level(rate):
    got = read_audio(tone(rate), rate, RATE)
    assert abs(len(got) - RATE // 2) <= 1
    middle = got[2400:-2400].numpy()
    expected = tone()[2400 : 2400 + len(middle)]
    np.testing.assert_allclose(middle, expected, atol=1e-3)


def test_fewer_samples_than_one_at_the_new_rate():
    assert len(read_audio(np.ones(1), 192_000, 8_000)) == 1


def test_views_are_accepted():
    assert torch.equal(read_audio(tone()[::-2], RATE, RATE), torch.from_numpy(tone()[::-2].copy()))


BAD = tone()
BAD[17] = np.nan


@pytest.mark.parametrize(
    ("audio", "rate", "message"),
    [
        (np.zeros(0, np.float32), RATE, "clip: empty"),
        (np.zeros((2, 0), np.float32), RATE, "clip: empty"),
        (BAD, RATE, "clip: sample 17 is NaN"),
        (np.array([0, 0, -np.inf]), RATE, "clip: sample 2 is NaN or infinite"),
        (np.array([[0, 0], [0, np.inf]]), RATE, "clip: sample 1 is NaN or infinite"),
        (np.zeros(9, np.uint8), RATE, "clip: samples are .*uint8; expected float, int16 or int32"),
        (np.zeros(9, np.int64), RATE, "int64"),
        (np.zeros(9, np.complex64), RATE, "complex64"),
        (torch.zeros(9, dtype=torch.bool), RATE, "bool"),
        (np.zeros((9000, 2), np.float32), RATE, r"clip: shape \(9000, 2\); expected .*\[channels, samples\]"),
        (np.zeros((1, 1, 9), np.float32), RATE, r"shape \(1, 1, 9\)"),
        (np.float32(1), RATE, r"shape \(\)"),
        (tone(), None, "clip: samples need their sample_rate"),
        *(
            (tone(), rate, f"sample_rate = {rate!r}: expected a number of Hz")
            for rate in (0, -1, np.nan, np.inf, -np.inf)
        ),
        *(
            (tone(), rate, r"sample_rate = .*: expected a number of Hz")
            for rate in ("16000", [16000], True, 1e-9, 1e15)
        ),
        (tone(), torch.tensor(RATE), r"sample_rate = tensor\(24000\): expected a number of Hz"),
        (tone() * 2**15, RATE, r"clip: float samples reach 16384, expected about \[-1, 1\]; divide samples of 16 bits"),
        (torch.from_numpy(tone()).half() * 2**15, RATE, "clip: float samples reach"),
        (None, RATE, "clip: NoneType; expected a path, an open file, an array or tensor"),
        ([0.1, 0.2], RATE, "clip: list; expected a path"),
        (b"RIFF", None, "clip: bytes; expected a path"),
        (iter([tone()]), RATE, "clip: list_iterator; expected a path"),
        (io.StringIO("text"), None, "clip: gives str; open the file for bytes"),
        (io.BytesIO(b""), None, "clip: empty"),
        (io.BytesIO(b"no audio at all"), None, "clip: cannot be read as audio"),
        ({"sampling_rate": RATE}, None, "clip: dict; expected a path"),
        ({"array": tone(), "sampling_rate": np.nan}, None, "sample_rate = nan"),
        ((tone(), np.nan), None, "sample_rate = nan"),
    ],
)
def test_unusable_samples(audio, rate, message):
    with pytest.raises(AudioError, match=message):
        read_audio(audio, rate, RATE, "clip")


def test_ways_to_give_samples_and_their_rate(tmp_path):
    soundfile.write(tmp_path / "x.wav", tone(16_000), 16_000, subtype="FLOAT")
    expected, content = read_audio(tone(16_000), 16_000, RATE), (tmp_path / "x.wav").read_bytes()
    for audio in (
        (tone(16_000), 16_000),
        (torch.from_numpy(tone(16_000)), np.int64(16_000)),
        (tone(16_000)[None], 16_000.0),
        io.BytesIO(content),
        {"path": None, "array": tone(16_000), "sampling_rate": 16_000},  # as the package datasets gives it
        {"path": None, "array": tone(16_000).tolist(), "sampling_rate": 16_000},
        {"path": "gone.wav", "bytes": content},  # as it gives it with decode=False
        {"path": str(tmp_path / "x.wav"), "bytes": None},
    ):
        assert torch.equal(read_audio(audio, None, RATE), expected)
    with (tmp_path / "x.wav").open("rb") as file:
        assert torch.equal(read_audio(file, None, RATE), expected)


@pytest.mark.parametrize("dtype", [">i2", ">i4", ">f4", ">f8", "<i2"])
def test_byte_orders(dtype):
    scale = 2.0 ** (8 * np.dtype(dtype).itemsize - 1) if "i" in dtype else 1
    x = (tone() * scale).astype(dtype)
    torch.testing.assert_close(read_audio(x, RATE, RATE), torch.from_numpy(tone()), atol=1e-4, rtol=0)


@pytest.mark.filterwarnings("error")
def test_memory_that_may_not_be_written():
    x = tone()
    x.flags.writeable = False
    torch.testing.assert_close(read_audio(x, RATE, RATE), torch.from_numpy(tone()))


def test_loud_floats_are_taken_as_they_are():
    torch.testing.assert_close(read_audio(10 * tone(), RATE, RATE), 10 * torch.from_numpy(tone()))


def test_missing_and_garbage_files_are_named(tmp_path):
    garbage, empty = tmp_path / "garbage.wav", tmp_path / "empty.flac"
    garbage.write_bytes(bytes(range(256)) * 20)
    empty.touch()
    for path in (tmp_path / "missing.wav", tmp_path, garbage, empty):
        with pytest.raises(AudioError, match=str(path)):
            read_audio(path, None, RATE)


FORMATS = [
    ("wav", None),
    ("aiff", None),
    ("au", None),
    ("flac", None),
    ("mp3", None),
    ("ogg", "VORBIS"),
    ("ogg", "OPUS"),
]


@pytest.mark.parametrize("share", [0.1, 0.6, 0.98])
@pytest.mark.parametrize(("suffix", "subtype"), FORMATS)
def test_truncated_files_are_refused(suffix, subtype, share, tmp_path):
    path = tmp_path / f"x.{suffix}"
    noise = np.random.default_rng(0).normal(0, 0.1, 4 * RATE)
    soundfile.write(path, noise, RATE, subtype=subtype)
    assert len(read_audio(path, None, RATE)) == len(noise)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(AudioError, match=str(path)):
        read_audio(path, None, RATE)


def test_ogg_cut_between_pages_is_refused(tmp_path):
    path = tmp_path / "x.ogg"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 4 * RATE), RATE)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"OggS")])
    with pytest.raises(AudioError, match="truncated"):
        read_audio(path, None, RATE)


def test_headers_of_writers_to_a_pipe(tmp_path):
    """They do not know the length: WAV then says 2 or 4 GiB, FLAC says 0, which libsndfile cannot read."""
    soundfile.write(tmp_path / "x.wav", tone(), RATE)
    wav = bytearray((tmp_path / "x.wav").read_bytes())
    for size in (0xFFFFFFFF, 0x7FFFF000):
        wav[4:8] = wav[40:44] = size.to_bytes(4, "little")
        (tmp_path / "x.wav").write_bytes(wav)
        assert len(read_audio(tmp_path / "x.wav", None, RATE)) == len(tone())
    soundfile.write(tmp_path / "x.flac", tone(), RATE)
    flac = bytearray((tmp_path / "x.flac").read_bytes())
    flac[21:26] = bytes([flac[21] & 0xF0, 0, 0, 0, 0])
    (tmp_path / "x.flac").write_bytes(flac)
    with pytest.raises(AudioError, match=r"x\.flac: the header does not give the length"):
        read_audio(tmp_path / "x.flac", None, RATE)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".WAV"])
def test_writing_clips_instead_of_wrapping_around(suffix, tmp_path):
    path = tmp_path / f"x{suffix}"
    waveform = torch.linspace(-3, 3, 1000)
    write_audio(path, waveform, RATE)
    got, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(got, waveform.clamp(-1, 1).numpy(), atol=2e-4)


@pytest.mark.parametrize("name", [250 * "x" + ".wav", "x\udce9.wav", "\udce9/x.ogg", "ü.flac"])
def test_any_name_is_written_and_read(name, tmp_path):
    """Long ones, and those that are not UTF-8."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    write_audio(path, torch.from_numpy(tone()), RATE, "said")
    assert os.listdir(path.parent) == [path.name]
    assert len(read_audio(path, None, RATE)) == len(tone())
    assert read_comment(path) == "said"


def test_long_recordings_are_written_in_blocks(tmp_path, monkeypatch):
    """libsndfile crashes on minutes of Ogg Vorbis at once."""
    sizes, write = [], soundfile.SoundFile.write
    monkeypatch.setattr(soundfile.SoundFile, "write", lambda file, x: sizes.append(len(x)) or write(file, x))
    write_audio(tmp_path / "x.ogg", torch.zeros(200_000), RATE)
    assert max(sizes) <= 2**16
    assert soundfile.info(tmp_path / "x.ogg").frames == sum(sizes) == 200_000


@pytest.mark.parametrize("before", [None, b"old"])
def test_failing_write_leaves_what_was_there(before, tmp_path, monkeypatch):
    path = tmp_path / "x.wav"
    if before:
        path.write_bytes(before)

    def write(file, data):
        raise OSError("disk full")

    monkeypatch.setattr(soundfile.SoundFile, "write", write)
    with pytest.raises(OSError, match="disk full"):
        write_audio(path, torch.zeros(10), RATE)
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir()} == ({"x.wav": before} if before else {})


@pytest.mark.parametrize("name", ["x.txt", "x"])
def test_unknown_suffix(name, tmp_path):
    with pytest.raises(AudioError, match=f"{name}: unknown audio format"):
        write_audio(tmp_path / name, torch.zeros(10), RATE)
    assert not any(tmp_path.iterdir())


COMMENT = '{"consent": "Jürgen said \\"yes\\" on paper", "n": 1}' + 1800 * "x"


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_comment_reads_back_and_leaves_the_samples_alone(suffix, tmp_path):
    for name, comment in (("a", ""), ("b", COMMENT)):
        write_audio(tmp_path / (name + suffix), torch.from_numpy(tone()), RATE, comment)
        assert read_comment(tmp_path / (name + suffix)) == comment
    samples = [read_audio(tmp_path / (name + suffix), None, RATE) for name in "ab"]
    assert torch.equal(*samples)


@pytest.mark.parametrize(("name", "comment"), [("x.wav", 3000 * "y"), ("x.w64", "short"), ("x.au", "short")])
def test_comment_that_the_format_does_not_hold(name, comment, tmp_path):
    with pytest.raises(AudioError, match=rf"{name}: the format cannot hold a comment of {len(comment)} bytes"):
        write_audio(tmp_path / name, torch.zeros(10), RATE, comment)
    assert not any(tmp_path.iterdir())


def test_comment_of_garbage(tmp_path):
    (tmp_path / "x.wav").write_bytes(b"garbage")
    for name in ("x.wav", "missing.wav"):
        with pytest.raises(AudioError, match=name):
            read_comment(tmp_path / name)


def test_to_mono_does_not_change_its_input():
    samples = torch.full((2, 4), 2, dtype=torch.int16)
    assert torch.equal(to_mono(samples), torch.full((4,), 2 / 2**15))
    assert int(samples[0, 0]) == 2
