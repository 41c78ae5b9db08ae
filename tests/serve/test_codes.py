"""Tokens over HTTP, and uploads that may be anything."""

import io

import pytest
import soundfile
import torch

from codec.audio.error import AudioError
from codec.bitstream import load
from codec.serve.upload import UploadLimits, read_upload

RATE = 24_000


@pytest.fixture(scope="module")
def waveform():
    return 0.1 * torch.randn(4 * RATE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def recording(waveform):
    return wav(waveform)


def wav(waveform):
    file = io.BytesIO()
    soundfile.write(file, waveform.numpy(), RATE, format="WAV", subtype="FLOAT")
    return file.getvalue()


def test_tokens_go_out_and_come_back_as_json(http, tokenizer, waveform, recording):
    tokens = tokenizer.encode(waveform, RATE)
    answer = http.post("/v1/codec/encode", files={"file": recording}).json()
    assert answer["codes"] == tokens.codes[0].tolist()
    assert (answer["n_samples"], answer["fingerprint"]) == (len(waveform), tokenizer.fingerprint)
    decoded = http.post("/v1/codec/decode", json=answer)
    assert decoded.headers["content-type"] == "audio/wav"
    samples, _ = soundfile.read(io.BytesIO(decoded.content), dtype="float32")
    expected = tokenizer.decode(tokens)[0].clamp(-1, 1)
    torch.testing.assert_close(torch.from_numpy(samples), expected, atol=1e-3, rtol=0)


def test_tokens_go_out_and_come_back_as_streams(http, tokenizer, waveform, recording, tmp_path):
    answer = http.post("/v1/codec/encode", files={"file": recording}, data={"format": "c37", "n_q": 2})
    (tmp_path / "x.c37").write_bytes(answer.content)
    assert torch.equal(load(tmp_path / "x.c37").codes, tokenizer.encode(waveform, RATE).codes[:, :2])
    octets = {"Content-Type": "application/octet-stream"}
    decoded = http.post("/v1/codec/decode?response_format=pcm", content=answer.content, headers=octets)
    assert len(decoded.content) == 2 * len(waveform)
    cut = http.post("/v1/codec/decode", content=answer.content[:10], headers=octets)
    assert cut.status_code == 400
    assert cut.json()["error"]["message"].startswith("body: ")


NO_TOKENS = [{}, [], {"codes": [[1], [1, 2]]}, {"codes": []}, {"codes": [[-1]]}, {"codes": [["x"]]}]


@pytest.mark.parametrize("body", NO_TOKENS)
def test_what_is_no_tokens_is_refused(http, body):
    answer = http.post("/v1/codec/decode", json=body)
    assert answer.status_code == 400
    assert "codes" in answer.json()["error"]["message"]


def test_what_is_no_recording_is_refused(http):
    answer = http.post("/v1/codec/encode", files={"file": b"no recording at all"})
    assert answer.status_code == 400
    assert "upload: " in answer.json()["error"]["message"]
    assert http.post("/v1/codec/encode").json()["error"]["param"] == "file"


def test_bodies_are_bounded(http):
    large = bytes(33 * 2**20)
    assert http.post("/v1/codec/decode", content=large).status_code == 413
    pieces = (large[i : i + 2**20] for i in range(0, len(large), 2**20))  # of a length that is not told
    assert http.post("/v1/codec/decode", content=pieces).status_code == 413


def test_uploads_are_bounded_in_sound_memory_and_time(recording):
    assert len(read_upload(recording, RATE).samples) == 4 * RATE
    with pytest.raises(AudioError, match="4 s; send at most 3 s"):
        read_upload(recording, RATE, UploadLimits(audio_seconds=3))
    with pytest.raises(AudioError, match="memory"):
        read_upload(wav(torch.zeros(600 * RATE)), RATE, UploadLimits(memory=2**25))
    with pytest.raises(AudioError, match="not read within 0 s"):
        read_upload(recording, RATE, UploadLimits(work_seconds=0))


def test_voices_are_made_with_consent_and_forgotten(http, client, recording):
    def add(**fields):
        return http.post("/v1/audio/voices", files={"audio_sample": recording}, data=fields)

    assert add(name="bob").json()["error"]["param"] == "consent"
    assert "who agreed" in add(name="bob", consent=" ").json()["error"]["message"]
    assert add(name="../bob", consent="Bob agreed").status_code == 400
    assert add(name="bob", consent="Bob agreed").status_code == 201
    assert add(name="bob", consent="Bob agreed").status_code == 409
    assert add(name="kathleen", consent="Bob agreed").status_code == 409
    listed = {voice["id"]: voice["consent"] for voice in http.get("/v1/audio/voices").json()["data"]}
    assert listed["bob"] == "Bob agreed"
    assert client.audio.speech.create(model="tiny", voice="bob", input="One.", response_format="pcm").read()
    assert http.delete("/v1/audio/voices/bob").json()["deleted"] is True
    for name in ("bob", "kathleen", "..%2Fada"):
        assert http.delete(f"/v1/audio/voices/{name}").status_code == 404
