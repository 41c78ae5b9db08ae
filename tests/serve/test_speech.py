"""The server as OpenAI's own client meets it, on a loopback port, with a tiny voice model."""

import base64
import io
import json
import time
import wave
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import openai
import pytest
import soundfile

from codec.tts import Sampling

TEXT = "One two."


@pytest.fixture(scope="module")
def expected(tts, voice):
    return tts.speak(TEXT, voice, Sampling()).numpy()


def test_every_format_holds_the_whole_speech(client, expected):
    for format in ("wav", "pcm", "flac", "opus", "mp3"):
        content = client.audio.speech.create(model="tiny", voice="ada", input=TEXT, response_format=format).read()
        if format == "pcm":
            spoken = np.frombuffer(content, "<i2") / 32767
        else:
            spoken, rate = soundfile.read(io.BytesIO(content))
            assert rate == 24_000
            assert "synthetic speech" in soundfile.SoundFile(io.BytesIO(content)).comment
        assert len(spoken) == len(expected)
        if format in ("wav", "pcm", "flac"):
            np.testing.assert_allclose(spoken, expected.clip(-1, 1), atol=1e-3)
        if format == "wav":
            with wave.open(io.BytesIO(content)) as file:
                assert len(file.readframes(2**20)) == 2 * len(expected)


def test_audio_streams(client, expected):
    with client.audio.speech.with_streaming_response.create(
        model="tiny", voice={"id": "ada"}, input=TEXT, response_format="pcm"
    ) as response:
        assert response.headers["transfer-encoding"] == "chunked"
        blocks = list(response.iter_bytes())
    assert len(blocks) > 1
    assert len(b"".join(blocks)) == 2 * len(expected)


def test_events_hold_the_audio_and_what_was_used(client, expected):
    with client.audio.speech.with_streaming_response.create(
        model="tiny", voice="ada", input=TEXT, response_format="pcm", stream_format="sse"
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line.removeprefix("data: ")) for line in response.iter_lines() if line]
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
    audio = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert len(audio) == 2 * len(expected)
    assert events[-1]["type"] == "speech.audio.done"
    usage = events[-1]["usage"]
    assert usage["output_tokens"] == len(expected) // 1920
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > usage["output_tokens"]


def test_the_seed_decides(client):
    def spoken(seed):
        return client.audio.speech.create(
            model="tiny", voice="ada", input=TEXT, response_format="pcm", extra_body={"seed": seed}
        ).read()

    assert spoken(1) == spoken(1) != spoken(2)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"speed": 1.5}, openai.BadRequestError, "speed = 1.5: this model speaks at 1.0 only"),
        ({"voice": "alloy"}, openai.BadRequestError, "voice 'alloy': there is none of that name; take one of .*ada"),
        ({"voice": "../ada"}, openai.BadRequestError, "there is none of that name"),
        ({"input": "..."}, openai.BadRequestError, "at least one word"),
        ({"input": "a" * 4097}, openai.BadRequestError, "at most 4096"),
        ({"response_format": "aac"}, openai.BadRequestError, "response_format: .*'mp3'"),
        ({"model": "tts-1"}, openai.NotFoundError, "this server has 'tiny'"),
        ({"extra_body": {"language": "tlh"}}, openai.BadRequestError, "tlh"),
    ],
)
def test_refusals_say_what_to_do(client, changes, kind, message):
    with pytest.raises(kind, match=message) as caught:
        client.audio.speech.create(**{"model": "tiny", "voice": "ada", "input": TEXT} | changes)
    assert caught.value.body["type"] in ("invalid_request_error", "not_found_error")


def test_instructions_are_ignored_with_a_warning(client):
    response = client.audio.speech.with_raw_response.create(
        model="tiny", voice="ada", input=TEXT, instructions="Whisper.", response_format="pcm"
    )
    assert "instructions" in response.headers["warning"]
    assert len(response.headers["x-request-id"]) == 32


def test_a_full_queue_says_when_to_come_back_and_those_who_leave_make_room(engine, http):
    body = {"model": "tiny", "voice": "ada", "input": 160 * "One two three four five. ", "response_format": "pcm"}
    short = body | {"input": "One."}

    def ask():
        return http.post("/v1/audio/speech", json=short, timeout=60)

    with ThreadPoolExecutor() as pool:
        with http.stream("POST", "/v1/audio/speech", json=body), http.stream("POST", "/v1/audio/speech", json=body):
            waiting = pool.submit(ask)
            while not engine.n_waiting:
                time.sleep(0.01)
            refused = ask()
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert waiting.result().status_code == 200


def test_models_and_voices_are_listed(client, http):
    assert [model.id for model in client.models.list()] == ["tiny", "ear"]
    assert client.models.retrieve("tiny").id == "tiny"
    listed = http.get("/v1/audio/voices").json()["data"]
    assert {"id": "ada", "object": "audio.voice", "language": None, "consent": "a random number generator"} in listed


def test_keys_are_needed_for_all_but_health(url):
    with pytest.raises(openai.AuthenticationError, match="API key"):
        openai.OpenAI(base_url=f"{url}/v1", api_key="another").models.list()
    assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{url}/readyz").status_code == 200
