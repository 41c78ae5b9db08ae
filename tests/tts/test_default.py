"""The shipped voice model: it says what it is given, no more and no less."""

from pathlib import Path

import pytest

import codec.tts

CLIP = Path(__file__).parents[2] / "eval/bench12/kathleen_arctic_a0316_1592709666.flac"
SHORT, LONG = (
    "The door was open.",
    "The door was open, and nobody in the whole house had heard him come down the stairs.",
)


@pytest.fixture(scope="module")
def tts():
    pytest.importorskip("phonemizer")
    return codec.tts.load()


def test_speech_lasts_as_long_as_its_text(tts):
    voice = tts.voice(CLIP, consent="CC0, published by the speaker")
    short, long = tts.generate_codes([SHORT, LONG], [voice, voice])
    assert not short.was_cut
    assert not long.was_cut
    for text, speech in ((SHORT, short), (LONG, long)):
        assert 8 < len(text) / (speech.codes.shape[1] / 12.5) < 30  # characters a second


def test_it_streams_what_it_speaks(tts):
    voice = tts.voice(CLIP, consent="CC0, published by the speaker")
    packets = list(tts.stream(SHORT, voice))
    assert {len(packet) for packet in packets} == {1920}
    assert sum(map(len, packets)) == len(tts.speak(SHORT, voice))
