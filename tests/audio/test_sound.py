"""Recordings are read to their real end, by encoding and by training alike, or refused with the reason."""

import struct
import tarfile
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codec.audio import mp3
from codec.audio.error import AudioError
from codec.audio.io import read_audio
from codec.audio.sound import open_sound
from codec.recordings.media import open_recording

FIELD = Path(__file__).parents[1] / "field"
RATE = 24_000


def voice(seconds=1.5, rate=RATE, channels=1):
    t = np.arange(round(seconds * rate)) / rate
    x = 0.1 * np.sin(2 * np.pi * 300 * t) * (1.5 + np.sin(2 * np.pi * 3 * t))
    x += np.random.default_rng(0).normal(0, 0.01, len(t))
    return np.stack([x] * channels, 1)


def for_encoding(path):
    return read_audio(path, None, soundfile_rate(path)).numpy()


def for_training(path):
    with open_recording(str(path)) as recording:
        return recording.read(0, recording.n_samples)


def for_training_from_a_shard(path):
    shard = path.with_name(path.name + ".tar")
    with tarfile.open(shard, "w") as tar:
        tar.add(path, path.name)
    with open_recording(f"{shard}::{path.name}") as recording:
        return recording.read(0, recording.n_samples)


def soundfile_rate(path):
    with open_sound(path) as sound:
        return sound.sample_rate


@pytest.fixture(params=[for_encoding, for_training, for_training_from_a_shard], ids=lambda f: f.__name__)
def read(request, tmp_path):
    """A way to read a recording: by path, or of bytes in a file of this name."""

    def read(source, name=""):
        path = Path(tempfile.mkdtemp(dir=tmp_path)) / (name or source.name)
        path.write_bytes(source if name else source.read_bytes())
        return request.param(path)

    return read


def encoded(path, x, rate=RATE, **how):
    """The bytes of a file with samples `[L, channels]`."""
    soundfile.write(path, x, rate, **how)
    return path.read_bytes()


LENGTHS = {
    "vbrnoxing.mp3": 71_424,
    "twice.mp3": 141_743,
    "chained.opus": 139_596,
    "h_riff_plus8.wav": 12_000,
    "h_list.wav": 12_000,
    "h_data_plus16.wav": 12_000,
    "short512.wav": 512,
}


def test_channels_of_opposite_polarity_do_not_cancel(tmp_path, read):
    x = voice()[:, 0]
    path = tmp_path / "opposite.wav"
    soundfile.write(path, np.stack([x, -x], 1), RATE, subtype="FLOAT")
    with pytest.warns(UserWarning, match="opposite polarity"):
        np.testing.assert_allclose(read(path), x, atol=1e-6)
    soundfile.write(path, np.stack([x, 0 * x], 1), RATE, subtype="FLOAT")
    np.testing.assert_allclose(read(path), x / 2, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*the header says")
@pytest.mark.parametrize("name", LENGTHS)
def test_files_from_the_field(name, read):
    x = read(FIELD / name)
    assert len(x) == LENGTHS[name]
    last = x[-len(x) // 10 :]
    assert np.abs(last).max() > 1e-3  # to the end, not filled up


@pytest.mark.parametrize("name", ["vbrnoxing.mp3", "twice.mp3", "chained.opus"])
def test_crops_of_them_are_slices_of_the_whole(name):
    whole = for_encoding(FIELD / name)
    for start in (0, 30_000, 60_000, 69_000, len(whole) - 5_000):
        with open_recording(str(FIELD / name)) as recording:
            crop = recording.read(start, min(5_000, len(whole) - start))
        error = crop - whole[start : start + 5_000]
        assert np.square(error).mean() < 1e-3 * np.square(whole).mean()


@pytest.fixture(params=[(16_000, 1), (24_000, 2), (44_100, 1), (48_000, 2)], ids=str)
def an_mp3(request, tmp_path):
    """Samples `[L]` and the bytes of an MP3 file of them: MPEG 1 and 2, mono and stereo."""
    rate, channels = request.param
    x = voice(1.5, rate, channels)
    how = {"format": "MP3", "bitrate_mode": "VARIABLE", "compression_level": 0.5}
    return x[:, 0], encoded(tmp_path / "of.mp3", x, rate, **how)


def frames(content):
    return list(mp3._frames(memoryview(content)))


def per_frame(content):
    return 1152 if frames(content)[0].rate >= 32_000 else 576


def test_mp3_without_a_header_has_all_frames(an_mp3, read):
    _, content = an_mp3
    first, *others = frames(content)
    assert len(read(content[: first.start] + content[first.stop :], "x.mp3")) == len(others) * per_frame(content)


def test_mp3_that_begins_within_a_frame_is_silent_until_its_data_are_there(an_mp3, read):
    original, content = an_mp3
    cut = content[len(content) // 3 :]
    x = read(cut, "x.mp3")
    assert len(x) == len(frames(cut)) * per_frame(content)
    assert np.abs(x).max() < 1.2 * np.abs(original).max()  # nothing was made of data that are missing


@pytest.mark.parametrize("tag", [b"", b"TAG" + bytes(125), b"ID3\4\0\0\0\0\0\x20" + bytes(32), bytes(500)])
def test_joined_mp3_files_have_all_frames(tag, an_mp3, read):
    original, content = an_mp3
    assert len(read(content + tag, "one.mp3")) == len(original)
    n_frames = len(frames(content)) - 1
    delay = (struct.unpack_from(">I", content, content.index(b"LAME") + 20)[0] >> 12 & 0xFFF) + 529
    for n in (2, 3):
        assert len(read(n * (content + tag), "x.mp3")) == n * n_frames * per_frame(content) - delay


def tag_of(*frames):
    """An ID3 tag of frames (name, content), in version 2.3."""
    content = b"".join(name + struct.pack(">I", len(x)) + bytes(2) + x for name, x in frames)
    size = bytes(len(content) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + content


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        (tag_of((b"COMM", b"\1eng")), b""),
        (tag_of((b"TXXX", b"\1\xff\xfeab")), b""),
        (tag_of((b"TIT2", b"\x09title")), b"TAG" + bytes(125)),
        (b"\xff\xfb\0\0" * 30, b""),
        (b"", b"APETAGEX" + bytes(200)),
        (tag_of((b"TIT2", b"\x09title")), b"no frame" * 100),
    ],
    ids=["comment", "field", "encoding", "headers", "ape", "both"],
)
def test_what_is_no_frame_is_no_noise(before, behind, an_mp3, tmp_path, capfd):
    """The decoder prints on its own, past Python, and names no file."""
    _, content = an_mp3
    for name, x in (("plain.mp3", content), ("tagged.mp3", before + content + behind)):
        (tmp_path / name).write_bytes(x)
    plain, tagged = (for_training(tmp_path / name) for name in ("plain.mp3", "tagged.mp3"))
    assert np.array_equal(plain, tagged)
    assert capfd.readouterr().err == ""


def test_mp3_files_of_different_rates_are_not_joined(tmp_path, read):
    parts = [encoded(tmp_path / f"{rate}.mp3", voice(1.0, rate), rate) for rate in (16_000, 24_000)]
    with pytest.raises(AudioError, match=r"x\.mp3.*: joined from parts of 16000 and 24000 Hz; convert each"):
        read(b"".join(parts), "x.mp3")


@pytest.mark.parametrize("share", [0.2, 0.7, 0.98])
def test_cut_mp3_is_refused(share, an_mp3, read):
    _, content = an_mp3
    with pytest.raises(AudioError, match=r"x\.mp3.*: the file is truncated: \d+ of \d+ frames are there"):
        read(content[: int(share * len(content))], "x.mp3")


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_links_of_ogg_are_read_one_after_the_other(subtype, tmp_path, read):
    how = {"format": "OGG", "subtype": subtype}
    parts = [encoded(tmp_path / f"{n}.ogg", voice(s, channels=n), **how) for n, s in ((1, 1.5), (2, 0.7), (1, 0.1))]
    x = read(b"".join(parts), "x.ogg")
    np.testing.assert_array_equal(x, np.concatenate([read(part, "part.ogg") for part in parts]))
    assert len(x) == round(2.3 * RATE)
    for damaged, message in (
        ([parts[0][: len(parts[0]) // 2], parts[1]], "part 1 of 2 is truncated"),
        ([parts[0], parts[1][:-20]], "part 2 of 2 is truncated"),
        ([parts[0][:-1]], "the file is truncated"),
        ([parts[0], encoded(tmp_path / "other.ogg", voice(1.0, 16_000), 16_000, **how)], "of 24000 and 16000 Hz"),
    ):
        with pytest.raises(AudioError, match=rf"x\.ogg.*: .*{message}"):
            read(b"".join(damaged), "x.ogg")


def test_joined_flac_files(tmp_path, read):
    content = encoded(tmp_path / "of.flac", voice())
    assert len(read(content + content, "x.flac")) == 2 * len(voice())
    with pytest.raises(AudioError, match=r"x\.flac"):
        read(content + content[: len(content) // 2], "x.flac")
    unknown = bytearray(content)
    unknown[21:26] = bytes([unknown[21] & 0xF0, 0, 0, 0, 0])
    for joined in (unknown, content + unknown):
        with pytest.raises(AudioError, match=r"x\.flac.*: the header does not give the length"):
            read(bytes(joined), "x.flac")


def wav(samples=None, riff=None, data=None, before=b"", behind=b"", kind=b"RIFF"):
    """A WAV file of 12,000 samples; sizes are right unless given."""
    order = ">" if kind == b"RIFX" else "<"
    samples = np.arange(12_000).astype(order + "i2").tobytes() if samples is None else samples
    layout = struct.pack(order + "4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    data = struct.pack(order + "4sI", b"data", len(samples) if data is None else data)
    content = b"WAVE" + layout + before + data + samples + behind
    return kind + struct.pack(order + "I", len(content) if riff is None else riff) + content


def chunk(name, size, content):
    return name + struct.pack("<I", size) + content


EXPECTED = np.arange(12_000).astype(np.float32) / 2**15


@pytest.mark.parametrize(
    "content",
    [
        wav(),
        wav(kind=b"RIFX"),
        *(wav(riff=riff) for riff in (0, 8, 36, 24_044, 24_028, 10**6, 0xFFFFFFFF)),
        *(wav(behind=chunk(b"LIST", size, b"INFOISFT\6\0\0\0abcdef")) for size in (18, 0, 3, 400, 0xFFFFFFFF)),
        wav(before=chunk(b"LIST", 18, b"INFOISFT\6\0\0\0abcdef")),
        wav(before=chunk(b"LIST", 400, b"INFOISFT\6\0\0\0abcdef")),
        wav(before=chunk(b"LIST", 2, b"INFOISFT\6\0\0\0abcdef")),
        wav(before=chunk(b"LIST", 3, b"odd")),  # without the byte that makes it even
        wav(before=chunk(b"bext", 0xFFFFFFFF, b"text")),
        *(wav(data=size, riff=size) for size in (0xFFFFFFFF, 0x7FFFF000)),  # to a pipe
        wav(behind=b"TAG" + bytes(125)),
        wav(behind=bytes(300)),
    ],
)
@pytest.mark.filterwarnings("error")
def test_sizes_beside_the_samples_do_not_matter(content, read):
    np.testing.assert_array_equal(read(content, "x.wav"), EXPECTED)


@pytest.mark.parametrize("kind", [b"RIFF", b"RIFX"])
@pytest.mark.parametrize("riff", [0, 8, 36, 0xFFFFFFFF])
@pytest.mark.parametrize("is_quiet", [False, True])
def test_header_that_was_never_finished(kind, riff, is_quiet, read):
    samples = bytes(24_000) if is_quiet else None
    with pytest.warns(UserWarning, match=r"x\.wav.*: the header is unfinished; .* 24000 bytes"):
        x = read(wav(samples, riff=riff, data=0, kind=kind), "x.wav")
    np.testing.assert_array_equal(x, 0 * EXPECTED if is_quiet else EXPECTED)


@pytest.mark.filterwarnings("ignore:.*the header was never finished")
def test_long_file_whose_header_was_never_finished(tmp_path, read):
    content = bytearray(encoded(tmp_path / "of.wav", voice(), format="RF64"))
    sizes = content.index(b"ds64") + 8
    content[sizes : sizes + 24] = bytes(24)
    assert len(read(bytes(content), "x.wav")) == len(voice())


@pytest.mark.parametrize("extra", [2, 8, 16, 36, 44])
def test_header_that_counts_itself(extra, read):
    with pytest.warns(
        UserWarning, match=rf"x\.wav.*: the header gives {24_000 + extra} bytes of samples; read to the end"
    ):
        np.testing.assert_array_equal(read(wav(data=24_000 + extra), "x.wav"), EXPECTED)


@pytest.mark.parametrize("behind", [b"", chunk(b"LIST", 18, b"INFOISFT\6\0\0\0abcdef")])
def test_wav_without_samples_is_empty(behind, read):
    with pytest.raises(AudioError, match=r"x\.wav.*: empty"):
        read(wav(b"", behind=behind), "x.wav")


@pytest.mark.parametrize("missing", [46, 1000, 23_990])
@pytest.mark.parametrize("riff", [None, 0, 36 + 24_000])
def test_missing_samples_are_a_truncation(missing, riff, read):
    message = rf"x\.wav.*: the file is truncated: {24_000 - missing} of 24000 bytes of samples are there"
    with pytest.raises(AudioError, match=message):
        read(wav(riff=riff)[:-missing], "x.wav")


def test_what_is_behind_the_samples_is_said(read):
    with pytest.warns(UserWarning, match=r"x\.wav.*: 4000 bytes after the 20000 bytes of samples"):
        assert len(read(wav(data=20_000), "x.wav")) == 10_000


@pytest.mark.parametrize("format", ["RF64", "W64", "AIFF", "AU"])
def test_cut_files_of_other_formats(format, tmp_path, read):
    content = encoded(tmp_path / "of", voice(), format=format)
    assert len(read(content, "x.wav")) == len(voice())
    with pytest.raises(AudioError, match=r"x\.wav.*: the file is truncated"):
        read(content[: len(content) // 2], "x.wav")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\0\0\0\x20ftypM4A " + bytes(range(256)) * 40, "an MP4 container"),
        (b"\x1aE\xdf\xa3" + bytes(range(256)) * 40, "a Matroska container"),
        (b"RIFF\0\0\0\0AVI LIST" + bytes(range(256)) * 40, "an AVI container"),
        (b"0&\xb2u\x8ef\xcf\x11" + bytes(range(256)) * 40, "an ASF container"),
        (b"\xff\xf1\x50\x80" + bytes(range(256)) * 40, "AAC"),
    ],
)
@pytest.mark.parametrize("name", ["x.m4a", "x.mp3", "x.wav"])
def test_containers_that_take_ffmpeg(content, kind, name, read):
    with pytest.raises(AudioError, match=rf"{name}.*: {kind}.*ffmpeg -i INPUT OUTPUT\.flac"):
        read(content, name)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(value, tmp_path, read):
    x = voice()
    x[1234] = value
    with pytest.raises(AudioError, match=r"x\.wav.*: sample 1234 is NaN or infinite"):
        read(encoded(tmp_path / "of.wav", x, subtype="FLOAT"), "x.wav")


def test_float_samples_of_the_size_of_integers(tmp_path, read):
    with pytest.raises(AudioError, match=r"x\.wav.*: float samples reach .*divide samples of 16 bits by 32768"):
        read(encoded(tmp_path / "of.wav", voice() * 2**15, subtype="FLOAT"), "x.wav")
    loud = read(encoded(tmp_path / "of.wav", voice() * 10, subtype="FLOAT"), "loud.wav")
    np.testing.assert_allclose(loud, 10 * voice()[:, 0], rtol=1e-5)


@pytest.mark.parametrize("rate", [1, 50])
def test_rates_that_are_none(rate, tmp_path, read):
    with pytest.raises(AudioError, match=rf"x\.wav.*: sample_rate = {rate}: expected a number of Hz from 100"):
        read(encoded(tmp_path / "of.wav", voice(), rate), "x.wav")


def test_a_changed_file_is_looked_at_anew(tmp_path):
    path = tmp_path / "x.wav"
    path.write_bytes(wav())
    assert len(for_training(path)) == 12_000
    path.write_bytes(wav(np.ones(500, "<i2").tobytes(), data=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(for_training(path)) == 500
