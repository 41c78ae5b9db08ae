"""The first recording that makes a voice is taken, and each voice is made once."""

from dataclasses import replace

import pytest
import soundfile
import torch

from codec.audio.io import AudioError, read_audio
from eval.tts.voices import ReferenceVoices


@pytest.fixture
def short(folder, tmp_path):
    soundfile.write(tmp_path / "short.wav", soundfile.read(folder / "a1.wav")[0][:24_000], 24_000)
    return tmp_path / "short.wav"


def test_what_is_no_voice_is_passed_over(tts, items, short, folder):
    voices = ReferenceVoices(tts, "ann agreed")
    found = voices.find(replace(items[0], voices=(short, folder / "none.wav", folder / "a2.wav", folder / "a3.wav")))
    assert found.path == folder / "a2.wav"
    assert found.voice.provenance.consent == "ann agreed"
    torch.testing.assert_close(found.waveform(), read_audio(folder / "a2.wav", None, 24_000))
    assert voices.find(items[0]) is found
    assert found.digest != voices.find(items[1]).digest


def test_when_none_is_left_the_reason_is_said(tts, items, short):
    with pytest.raises(AudioError, match=r"none of 1 recordings is usable as a voice; the last: .*short.wav: 1.00 s"):
        ReferenceVoices(tts, "ann agreed").find(replace(items[0], voices=(short,)))


def test_a_voice_file_sounds_as_its_codes(tts, items, folder, tmp_path):
    made = tts.voice(folder / "a1.wav", "ann agreed by mail")
    made.save(tmp_path / "ann.safetensors")
    found = ReferenceVoices(tts, "nobody asked").find(replace(items[0], voices=(tmp_path / "ann.safetensors",)))
    assert found.voice.provenance == made.provenance
    torch.testing.assert_close(found.waveform(), tts.codec.decode(made.codes[None])[0])
