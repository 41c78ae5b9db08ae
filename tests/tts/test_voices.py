"""Voices: what makes one, what is refused, what the file remembers."""

import hashlib
import io
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import codec
from codec.audio.io import AudioError, read_audio, read_comment, write_audio
from codec.tts.voices import MARGIN_SECONDS, Provenance, Voice, VoiceError, make_voice, provenance_comment

CLIP = Path(__file__).parent.parent / "data" / "kathleen.flac"
RATE = 24_000
CONSENT = "Kathleen agreed by letter, 2024-05-01"
PROVENANCE = Provenance("clip.wav", "ab" * 32, "2026-01-31T12:00:00+00:00", CONSENT, "0123456789abcdef", 4.5)


def sound(seconds: float, level: float = 0.1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, round(seconds * RATE)).clip(-1, 1).astype(np.float32)


def padded(before: float, samples: np.ndarray, after: float, floor: float = 1e-4) -> np.ndarray:
    return np.concatenate([sound(before, floor, 1), samples, sound(after, floor, 2)])


def voice_of(codes: torch.Tensor, **changes: object) -> Voice:
    return Voice(codes, replace(PROVENANCE, **changes))


@pytest.fixture(scope="session")
def recording(tmp_path_factory):
    """Speech of 5.8 s."""
    path = tmp_path_factory.mktemp("voices") / "kathleen.wav"
    write_audio(path, read_audio(CLIP, None, RATE).repeat(2), RATE)
    return path


def test_voice_of_a_recording(tokenizer, recording):
    voice = make_voice(tokenizer, recording, CONSENT)
    p = voice.provenance
    assert (p.source, p.consent, p.codec) == ("kathleen.wav", CONSENT, tokenizer.fingerprint)
    assert p.sha256 == hashlib.sha256(recording.read_bytes()).hexdigest()
    assert datetime.now(UTC) - datetime.fromisoformat(p.created) < timedelta(minutes=5)
    assert 4 < p.seconds <= soundfile.info(recording).duration
    assert voice.codes.shape == (9, -(-round(p.seconds * RATE) // 1920))
    voice.check(tokenizer.config.codebook_sizes, tokenizer.fingerprint)


def test_ways_to_give_a_recording(tokenizer, recording):
    """All that `read_audio` takes; what is hashed is the file where there is one."""
    expected = make_voice(tokenizer, recording, CONSENT)
    samples, rate = soundfile.read(recording, dtype="float32")
    content = recording.read_bytes()
    with recording.open("rb") as file:
        files = [make_voice(tokenizer, audio, CONSENT) for audio in (file, io.BytesIO(content), {"bytes": content})]
    files.append(make_voice(tokenizer, {"path": str(recording), "bytes": None}, CONSENT))
    arrays = [
        make_voice(tokenizer, audio, CONSENT)
        for audio in ((samples, rate), (torch.from_numpy(samples), rate), {"array": samples, "sampling_rate": rate})
    ]
    assert {v.provenance.sha256 for v in files} == {expected.provenance.sha256}
    assert {v.provenance.sha256 for v in arrays} == {hashlib.sha256(samples.tobytes()).hexdigest()}
    assert all(torch.equal(v.codes, expected.codes) for v in (*files, *arrays))
    with recording.open("r", encoding="latin-1") as file, pytest.raises(AudioError, match="open the file for bytes"):
        make_voice(tokenizer, file, CONSENT)


def test_voice_of_samples(tokenizer):
    samples = np.stack([sound(4), sound(4)])
    voice = make_voice(tokenizer, samples, CONSENT, RATE)
    assert voice.provenance.source == "samples"
    assert voice.provenance.sha256 == hashlib.sha256(sound(4).tobytes()).hexdigest()
    assert torch.equal(voice.codes, tokenizer.encode(sound(4), RATE).codes[0])
    resampled = make_voice(tokenizer, sound(4), CONSENT, 2 * RATE // 3)
    assert resampled.provenance.seconds == 6
    assert resampled.provenance.sha256 == voice.provenance.sha256  # of what was given


@settings(max_examples=10, deadline=None)
@given(before=st.floats(0, 20), after=st.floats(0, 20), level=st.floats(0.02, 0.5))
def test_silence_is_trimmed_to_the_margin(before, after, level, tokenizer):
    voice = make_voice(tokenizer, padded(before, sound(3, level), after), CONSENT, RATE)
    expected = min(before, MARGIN_SECONDS) + 3 + min(after, MARGIN_SECONDS)
    assert voice.provenance.seconds == pytest.approx(expected, abs=0.045)  # windows of 20 ms at both ends


def test_silence_between_words_stays(tokenizer):
    speech = np.concatenate([sound(1), np.zeros(3 * RATE, np.float32), sound(1)])
    assert make_voice(tokenizer, speech, CONSENT, RATE).provenance.seconds == pytest.approx(5, abs=0.01)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (sound(0.2), r"0\.20 s .*; expected 3 to 30 s of one speaker: take a longer recording"),
        (padded(4, sound(0.2), 4), r"0\.8\d s without the silence"),
        (
            sound(600),
            r"600\.00 s; expected 3 to 30 s of one speaker: cut .*(slice them|ffmpeg -i .*x\.wav -ss 0 -t 20)",
        ),
        (np.zeros(5 * RATE, np.float32), "silent, or nearly so .*-60 dBFS"),
        (sound(5, 5e-4), "silent, or nearly so"),
        (np.full(5 * RATE, 0.3, np.float32), "silent, or nearly so"),
    ],
)
def test_unusable_recordings(samples, message, tokenizer, tmp_path):
    soundfile.write(tmp_path / "x.wav", samples, RATE)
    for name, args in (
        ("samples: ", (samples, CONSENT, RATE)),
        (f"{tmp_path / 'x.wav'}: ", (tmp_path / "x.wav", CONSENT)),
    ):
        with pytest.raises(VoiceError, match=name + message):
            make_voice(tokenizer, *args)


def test_clipped_and_quiet_speech_is_a_voice(tokenizer):
    for samples in (sound(4, 3.0), sound(4, 2e-3)):
        assert make_voice(tokenizer, samples, CONSENT, RATE).codes.shape == (9, 50)


def test_music_is_not_noticed(tokenizer):
    seconds = np.arange(6 * RATE) / RATE
    chord = sum(0.1 * np.sin(2 * np.pi * hertz * seconds) for hertz in (220.0, 277.2, 329.6)).astype(np.float32)
    assert make_voice(tokenizer, chord, CONSENT, RATE).codes.shape == (9, 75)


@pytest.mark.parametrize("consent", ["", "  \n"])
def test_no_voice_without_consent(consent, tokenizer):
    with pytest.raises(VoiceError, match=r"consent = .*who agreed"):
        make_voice(tokenizer, "missing.wav", consent)


def test_a_note_is_no_essay(tokenizer):
    note = 749 * "ü"
    voice = make_voice(tokenizer, sound(3), note, RATE)
    assert voice.provenance.consent == note
    with pytest.raises(VoiceError, match="consent = '1502 bytes'"):
        make_voice(tokenizer, sound(3), note + "ü", RATE)


def test_errors_of_reading_come_through(tokenizer):
    with pytest.raises(AudioError, match=r"missing\.wav: no such file"):
        make_voice(tokenizer, "missing.wav", CONSENT)
    with pytest.raises(AudioError, match="samples need their sample_rate"):
        make_voice(tokenizer, sound(4), CONSENT)
    assert issubclass(VoiceError, codec.AudioError)


def test_file_round_trip(tokenizer, recording, tmp_path):
    voice = make_voice(tokenizer, recording, 'Jürgen:\n"ja" 👍')
    voice.save(tmp_path / "v.safetensors")
    back = Voice.load(tmp_path / "v.safetensors")
    assert torch.equal(back.codes, voice.codes)
    assert back.codes.dtype == torch.int64
    assert back.provenance == voice.provenance
    assert [f.name for f in tmp_path.iterdir()] == ["v.safetensors"]


def test_failing_save_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "v.safetensors"
    voice_of(torch.zeros(2, 3, dtype=torch.int64)).save(path)
    before = path.read_bytes()

    def fail(tensors, file, metadata):
        Path(file).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("codec.tensors.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        voice_of(torch.ones(2, 3, dtype=torch.int64)).save(path)
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir()} == {"v.safetensors": before}


GOOD = {name: str(value) for name, value in asdict(PROVENANCE).items()}
CODES = {"codes": torch.zeros(9, 40, dtype=torch.int32)}


@pytest.mark.parametrize(
    ("tensors", "changes", "message"),
    [
        (CODES, {"consent": ""}, "consent = ''"),
        (CODES, {"consent": None}, "no 'consent' in it"),
        (CODES, {"sha256": "12"}, "sha256 = '12': expected 64 hex digits"),
        (CODES, {"created": "yesterday"}, "created = 'yesterday'"),
        (CODES, {"created": "2026-01-31T12:00:00"}, "created = .*expected a time in UTC"),
        (CODES, {"codec": ""}, "codec = ''"),
        (CODES, {"source": ""}, "source = ''"),
        (CODES, {"seconds": "many"}, "could not convert string to float: 'many'"),
        (CODES, {"seconds": "nan"}, "seconds = nan: expected a positive number"),
        (CODES, {"seconds": "-1"}, r"seconds = -1\.0"),
        ({"codes": torch.zeros(9, 40)}, {}, r"codes: torch\.float32 \(9, 40\), lowest 0; expected int64 \[K, T\]"),
        ({"codes": torch.zeros(9, 40, dtype=torch.int8)}, {}, r"torch\.int8"),
        ({"codes": torch.zeros(9, 0, dtype=torch.int32)}, {}, r"\(9, 0\)"),
        ({"codes": torch.zeros(1, 9, 4, dtype=torch.int32)}, {}, r"\(1, 9, 4\)"),
        ({"codes": torch.tensor([[3, -1]], dtype=torch.int32)}, {}, "lowest -1"),
        ({"tokens": torch.zeros(9, 40, dtype=torch.int32)}, {}, "codes"),
    ],
)
def test_files_that_are_no_voices(tensors, changes, message, tmp_path):
    path = tmp_path / "v.safetensors"
    save_file(tensors, path, {k: v for k, v in {**GOOD, **changes}.items() if v is not None})
    with pytest.raises(VoiceError, match=f"{path}: .*{message}"):
        Voice.load(path)


def test_damaged_and_missing_files_are_named(tmp_path):
    path = tmp_path / "v.safetensors"
    voice_of(torch.zeros(9, 40, dtype=torch.int64)).save(path)
    assert load_file(path)["codes"].dtype == torch.int32
    whole = path.read_bytes()
    for content in (whole[:-7], b"", bytes(100)):
        path.write_bytes(content)
        with pytest.raises(VoiceError, match=str(path)):
            Voice.load(path)
    for bad in (tmp_path / "missing.safetensors", tmp_path):
        with pytest.raises(VoiceError, match=str(bad)):
            Voice.load(bad)


def test_a_voice_of_another_codec_is_refused():
    voice = voice_of(torch.full((3, 5), 7))
    voice.check((64, 8, 8))
    voice.check((64, 8, 8), PROVENANCE.codec)
    for sizes, fingerprint, message in (
        ((64, 8, 8), "beef", "made by codec 0123456789abcdef, this model's is beef"),
        ((64, 7, 8), "", "codebook 1 has codes 0 to 6"),
        ((64, 8), "", "3 codebooks; this codec takes 1 to 2"),
        ((64, 8, 8, 8), "", "3 codebooks, this model's codec has 4"),
    ):
        with pytest.raises(VoiceError, match=f"voice: .*{message}.*make the voice again"):
            voice.check(sizes, fingerprint)


@pytest.mark.parametrize("consent", [CONSENT, 749 * '"', 1498 * "x", 374 * "👍"])
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_audio_files_carry_the_provenance(suffix, consent, tmp_path):
    voice = voice_of(torch.zeros(2, 3, dtype=torch.int64), consent=consent)
    comment = provenance_comment(voice)
    assert "\n" not in comment
    write_audio(tmp_path / f"x{suffix}", torch.zeros(100), RATE, comment)
    fields = json.loads(read_comment(tmp_path / f"x{suffix}"))
    assert "synthetic speech" in fields["notice"]
    assert (fields["consent"], fields["voice_sha256"]) == (consent, PROVENANCE.sha256)
    assert fields["voice_created"] == PROVENANCE.created
    assert datetime.fromisoformat(fields["created"]).utcoffset() == timedelta(0)
