"""A watermark before the encoder, and what files say of their sound."""

import io

import numpy as np
import pytest
import soundfile
import torch

from codec.serve.watermark import Encoders, load_watermark

RATE = 24_000


def tone(waveform, sample_rate):
    assert sample_rate == RATE
    return waveform + 0.25 * torch.sin(torch.arange(len(waveform)) * (2 * torch.pi * 1000 / sample_rate))


def shorter(waveform, sample_rate):
    return waveform[1:]


@pytest.mark.parametrize("format", ["wav", "pcm", "flac", "opus", "mp3"])
def test_every_format_is_marked(format):
    encoder = Encoders(RATE, tone).make(format, "")
    content = b"".join([*(encoder.push(torch.zeros(1920)) for _ in range(12)), encoder.close()])
    samples = np.frombuffer(content, "<i2") / 32767 if format == "pcm" else soundfile.read(io.BytesIO(content))[0]
    assert 0.15 < np.sqrt(np.mean(samples**2)) < 0.2
    assert len(samples) == 12 * 1920


def test_lengths_stay():
    with pytest.raises(RuntimeError, match="watermark"):
        Encoders(RATE, shorter).make("pcm", "").push(torch.zeros(1920))


def test_watermarks_have_names():
    assert load_watermark("torch:neg") is torch.neg
    for name in ("nothing", "torch:nothing", "nothing:neg", "torch:__version__"):
        with pytest.raises(ValueError, match="watermark"):
            load_watermark(name)


def test_what_is_spoken_and_decoded_is_marked(app, http, monkeypatch):
    speech = {"model": "tiny", "voice": "ada", "input": "One.", "response_format": "pcm"}
    codes = {"codes": [[0] * 3] * 2}

    def sound():
        spoken = http.post("/v1/audio/speech", json=speech).content
        decoded = http.post("/v1/codec/decode?response_format=pcm", json=codes).content
        return [np.frombuffer(content, "<i2") / 32767 for content in (spoken, decoded)]

    plain = sound()
    monkeypatch.setitem(app.state._state, "encoders", Encoders(RATE, tone))
    for marked, unmarked in zip(sound(), plain, strict=True):
        expected = tone(torch.from_numpy(unmarked), RATE).clamp(-1, 1)
        np.testing.assert_allclose(marked, expected, atol=1e-3)


@pytest.mark.parametrize("format", ["json", "c37"])
def test_marks_of_synthetic_speech_survive_the_codec(http, format):
    speech = {"model": "tiny", "voice": "ada", "input": "One two.", "response_format": "flac"}
    spoken = http.post("/v1/audio/speech", json=speech).content
    comment = soundfile.SoundFile(io.BytesIO(spoken)).comment
    tokens = http.post("/v1/codec/encode", files={"file": spoken}, data={"format": format})
    octets = {"Content-Type": tokens.headers["content-type"]}
    for kind in ("wav", "flac", "opus", "mp3"):
        decoded = http.post(f"/v1/codec/decode?response_format={kind}", content=tokens.content, headers=octets)
        assert soundfile.SoundFile(io.BytesIO(decoded.content)).comment == comment


def test_provenance_is_bounded(http):
    answer = http.post("/v1/codec/decode", json={"codes": [[0]], "provenance": {"notice": 3000 * "a"}})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "provenance"
