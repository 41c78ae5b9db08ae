"""The voices that come with this package: whose they are, that they are in the wheel, and how one is asked for."""

import json
from pathlib import Path

import pytest
import soundfile
import torch

import codec.tts
from codec.tts.config import PRESETS
from codec.tts.model import TTSModel
from codec.tts.shipped import SPEAKERS, default_voice, find_voice, shipped_voices
from codec.tts.speech import TTS
from codec.tts.text.languages import LANGUAGES, primary_language
from codec.tts.voices import MAX_CONSENT_BYTES, VoiceError, make_voice

ROOT = Path(__file__).parents[2]
VOICES = shipped_voices()


@pytest.fixture
def tts(tokenizer, text_tokenizer):
    return TTS(TTSModel(PRESETS["tiny"]), text_tokenizer, tokenizer)


@pytest.mark.parametrize("voice", VOICES, ids=lambda v: v.name)
def test_each_clip_has_provenance_and_licence(voice):
    assert voice.name.isidentifier()
    assert primary_language(voice.language) in LANGUAGES
    assert voice.licence == "CC0-1.0"
    assert (SPEAKERS / f"LICENSE-{voice.licence}.txt").is_file()
    assert voice.source.startswith("https://")
    assert voice.recording
    assert voice.text
    assert voice.source.rpartition("/")[2] in voice.consent
    assert len(json.dumps(voice.consent, ensure_ascii=False)) < MAX_CONSENT_BYTES / 2  # and so in all that it speaks
    info = soundfile.info(voice.clip)
    assert (info.samplerate, info.channels, info.subtype) == (24_000, 1, "PCM_16")
    assert 3 <= info.duration < 4
    assert voice.clip.stat().st_size < 200_000


def test_no_clip_is_without_a_record():
    assert sorted(SPEAKERS.glob("*.flac")) == sorted(voice.clip for voice in VOICES)
    table = (SPEAKERS / "README.md").read_text()
    for voice in VOICES:
        assert f"| `{voice.name}` | {voice.language} | {voice.source} | `{voice.recording}` | {voice.text} |" in table


def test_the_wheel_holds_them():
    builder = pytest.importorskip("hatchling.builders.wheel").WheelBuilder(str(ROOT))
    files = {file.distribution_path for file in builder.recurse_included_files()}
    wanted = [*SPEAKERS.iterdir()]
    assert len(wanted) == len(VOICES) + 3
    assert {str(path.relative_to(ROOT)) for path in wanted} <= files


@pytest.mark.parametrize("voice", VOICES, ids=lambda v: v.name)
def test_a_name_is_a_voice_of_any_codec(voice, tts):
    got, expected = tts.voice(voice.name), make_voice(tts.codec, voice.clip, voice.consent)
    assert torch.equal(got.codes, expected.codes)
    assert got.provenance.source == f"{voice.name}.flac"
    assert got.provenance.consent == voice.consent
    assert json.loads(codec.tts.provenance_comment(got))["consent"] == voice.consent


def test_a_file_wins_over_a_name(tts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kerstin").mkdir()
    soundfile.write("kathleen", torch.randn(24_000 * 4).numpy() / 10, 24_000, format="WAV")
    assert tts.voice("kathleen", "made of noise").provenance.consent == "made of noise"
    with pytest.raises(VoiceError, match="who agreed"):
        tts.voice("kathleen")
    assert tts.voice("kerstin").provenance.source == "kerstin.flac"  # a folder is no voice
    assert find_voice(Path("flemishguy")) is None  # a path, there or not
    assert find_voice(torch.zeros(3)) is None


def test_an_unknown_name_lists_the_known_ones(tts):
    choices = r"one of kathleen \(en-US\), kerstin \(de-DE\), .*, or a recording of 3 to 30 s"
    for name in ("Kathlen", "missing.wav", ""):
        with pytest.raises(VoiceError, match=rf"voice '{name}': no such file or shipped voice; give {choices}"):
            tts.voice(name, "a note")


def test_a_shipped_voice_has_its_own_note(tts):
    with pytest.raises(VoiceError, match="kathleen has its own note"):
        tts.voice("kathleen", "a note")


@pytest.mark.parametrize(
    ("language", "name"),
    [("en", "kathleen"), ("en-GB", "kathleen"), ("de", "kerstin"), ("de_AT", "kerstin"), ("NL", "flemishguy")],
)
def test_languages_have_a_voice(language, name):
    assert default_voice(language).name == name


def test_languages_without_one():
    with pytest.raises(VoiceError, match=r"language 'fr': no shipped voice for it; give one of kathleen"):
        default_voice("fr")
    with pytest.raises(ValueError, match="language 'tlh' is not known"):
        default_voice("tlh")
