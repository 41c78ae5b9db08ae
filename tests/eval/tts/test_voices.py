"""The first recording that makes a voice is taken, and each voice is made once."""

from dataclasses import replace

import pytest
import soundfile
import torch

from codec.audio.io import read_audio
from eval.tts.voices import find_voices


@pytest.fixture
def short(folder, tmp_path):
    soundfile.write(tmp_path / "short.wav", soundfile.read(folder / "a1.wav")[0][:24_000], 24_000)
    return tmp_path / "short.wav"


def test_what_is_no_voice_is_passed_over(tts, items, short, folder):
    choosy = replace(items[0], voices=(short, folder / "none.wav", folder / "a2.wav", folder / "a3.wav"))
    (_, found), (_, same), (_, other) = find_voices(tts, "ann agreed", [choosy, *items])[0]
    assert found.path == folder / "a2.wav"
    assert found.voice.provenance.consent == "ann agreed"
    torch.testing.assert_close(found.waveform(), read_audio(folder / "a2.wav", None, 24_000))
    assert same is found
    assert found.digest != other.digest


def test_when_none_is_left_the_reason_is_said(tts, items, short):
    found, voiceless = find_voices(tts, "ann agreed", [replace(items[0], voices=(short,)), items[1]])
    assert [item for item, _ in found] == [items[1]]
    assert voiceless["a1"].startswith("none of 1 recordings is usable as a voice; the last: ")
    assert "short.wav: 1.00 s" in voiceless["a1"]


def test_a_voice_file_sounds_as_its_codes(tts, items, folder, tmp_path):
    made = tts.voice(folder / "a1.wav", "ann agreed by mail")
    made.save(tmp_path / "ann.safetensors")
    item = replace(items[0], voices=(tmp_path / "ann.safetensors",))
    ((_, found),) = find_voices(tts, "nobody asked", [item])[0]
    assert found.voice.provenance == made.provenance
    torch.testing.assert_close(found.waveform(), tts.codec.decode(made.codes[None])[0])
