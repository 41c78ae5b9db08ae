"""Text that is still being written, over a WebSocket."""

import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from codec.tts import Sampling

CONFIG = {"type": "session.config", "voice": "ada"}
LONG = 40 * "One two three four five, six seven eight. "


@pytest.fixture
def session(url):
    """Runs `steps(talk)` in a session; `talk` is a `Talk`."""

    def run(steps, config=CONFIG, headers=(("Authorization", "Bearer a-key"),)):
        async def go():
            async with connect(f"ws{url[4:]}/v1/audio/speech/stream", additional_headers=headers) as socket:
                talk = Talk(socket)
                if config:
                    await talk.say(**config)
                return await asyncio.wait_for(steps(talk), 120)

        return asyncio.run(go())

    return run


class Talk:
    def __init__(self, socket):
        self.socket = socket

    async def say(self, **message):
        await self.socket.send(json.dumps(message))

    async def write(self, *pieces):
        for piece in pieces:
            await self.say(type="input.text", text=piece)

    async def done(self):
        await self.say(type="input.done")

    async def hear(self, until="session.done"):
        """Messages up to one of a type, and the audio among them."""
        messages, audio = [], b""
        while not messages or messages[-1]["type"] != until:
            frame = await self.socket.recv()
            if isinstance(frame, bytes):
                audio += frame
            else:
                messages.append(json.loads(frame))
        return messages, audio

    async def error(self):
        return (await self.hear("error"))[0][-1]


def spoken(tts, voice, *pieces, seed=0):
    packets = tts.stream(iter(pieces), voice, Sampling(seed=seed))
    return np.concatenate([packet.numpy() for packet in packets])


def test_utterances_are_spoken_as_they_are_written(session, tts, voice):
    async def steps(talk):
        await talk.write("One two. Thr", "ee fo", "ur!")
        await talk.done()
        first = await talk.hear()
        await talk.write("Five.")
        await talk.done()
        await talk.write("Six seven.")  # while five is spoken
        await talk.done()
        return first, await talk.hear(), await talk.hear()

    texts = ["One two. Three four!", "Five.", "Six seven."]
    for number, (text, (messages, audio)) in enumerate(zip(texts, session(steps), strict=True)):
        start, audio_done, done = messages
        assert start == {
            "type": "audio.start",
            "utterance_index": number,
            "sentence_index": 0,
            "format": "pcm",
            "sample_rate": tts.sample_rate,
            "channels": 1,
        }
        expected = spoken(tts, voice, text)
        np.testing.assert_allclose(np.frombuffer(audio, "<i2") / 32767, expected.clip(-1, 1), atol=1e-3)
        assert audio_done["total_bytes"] == len(audio) == 2 * len(expected)
        assert (done["cancelled"], done["error"]) == (False, False)
        assert done["usage"]["output_tokens"] == len(expected) // 1920


def test_audio_comes_before_the_text_is_complete_in_packets_of_a_frame(session):
    async def steps(talk):
        await talk.write("One two three four five. Six seven eight nine. One two three")
        start = json.loads(await talk.socket.recv())
        packets = [await talk.socket.recv() for _ in range(3)]
        await talk.write(" four.")
        await talk.done()
        return start, packets, await talk.hear()

    start, packets, _ = session(steps)
    assert start["type"] == "audio.start"
    assert [len(packet) for packet in packets] == [2 * 1920] * 3


def test_words_come_with_their_times(session):
    async def steps(talk):
        await talk.write("One two. <break time='1s'/> Five!")
        await talk.done()
        return await talk.hear()

    messages, audio = session(steps, CONFIG | {"word_timestamps": True})
    words = [word for message in messages if message["type"] == "audio.chunk" for word in message["timestamps"]]
    assert [word["word"] for word in words] == ["One", "two.", "Five!"]
    times = [time for word in words for time in (word["start_ms"], word["end_ms"])]
    assert times == sorted(times)
    assert words[2]["start_ms"] >= words[1]["end_ms"] + 960  # 12 frames of silence
    assert times[0] == 0
    assert times[-1] <= len(audio) / 2 / 24


def test_barge_in_ends_what_is_spoken_and_waits(session, engine):
    async def steps(talk):
        await talk.write(LONG)
        await talk.done()
        await talk.write(LONG)
        await talk.socket.recv()
        await talk.say(type="response.cancel")
        cancelled = [(await talk.hear())[0][-1] for _ in range(2)]
        while engine.n_running:
            await asyncio.sleep(0.01)
        await talk.write("One.")
        await talk.done()
        return cancelled, (await talk.hear())[0][-1]

    cancelled, last = session(steps)
    assert [message["cancelled"] for message in cancelled] == [True, True]
    assert (last["utterance_index"], last["cancelled"]) == (2, False)


def test_who_leaves_frees_the_slot(session, engine):
    async def steps(talk):
        await talk.write(LONG)
        await talk.socket.recv()

    session(steps)

    async def settle():
        while engine.n_running or engine.n_paused:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(settle(), 60))


def test_sessions_close_once_all_is_spoken(session):
    async def steps(talk):
        await talk.write("One.")
        await talk.say(type="session.close")
        await talk.write("Two.")
        messages, audio = await talk.hear()
        with pytest.raises(ConnectionClosed):
            await talk.hear()
        return messages, audio, talk.socket.close_code

    messages, audio, code = session(steps)
    assert "closing" in next(m["message"] for m in messages if m["type"] == "error")
    assert len(audio)
    assert code == 1000


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("no json", "JSON"),
        (b"\x00", "JSON"),
        ("[]", "message: "),
        (r'{"type": "input.text", "text": "\ud800"}', "JSON"),
        ('{"type": "input.audio"}', "input.text"),
        ('{"type": "input.text"}', "text: Field required"),
        ('{"type": "input.text", "text": "One."}', "session.config first"),
        (json.dumps(CONFIG | {"voice": "alloy"}), "none of that name"),
        (json.dumps(CONFIG | {"model": "tts-1"}), "this server has 'tiny'"),
        (json.dumps(CONFIG | {"language": "tlh"}), "tlh"),
        (json.dumps(CONFIG | {"response_format": "aac"}), "'mp3'"),
        (json.dumps(CONFIG | {"speed": 2}), "1.0 only"),
    ],
)
def test_errors_are_told_and_the_session_goes_on(session, message, reason):
    async def steps(talk):
        await talk.socket.send(message)
        error = await talk.error()
        await talk.say(**CONFIG)
        await talk.write("One.")
        await talk.done()
        return error, await talk.hear()

    error, (_, audio) = session(steps, config=None)
    assert reason in error["message"]
    assert error["status"] in (400, 404)
    assert len(audio)


def test_an_utterance_that_fails_fails_alone(session, engine, monkeypatch):
    async def steps(talk):
        with monkeypatch.context() as m:
            m.setattr(engine, "limits", replace(engine.limits, max_seconds=0.3))
            await talk.write(LONG)
            await talk.done()
            failed = (await talk.hear())[0]
        await talk.write("One.")
        await talk.done()
        return failed, (await talk.hear())[0]

    failed, good = session(steps)
    assert [(m["status"], m["utterance_index"]) for m in failed if m["type"] == "error"] == [(504, 0)]
    assert failed[-1]["error"] is True
    assert (good[-1]["utterance_index"], good[-1]["error"]) == (1, False)


def test_text_and_utterances_are_bounded(session):
    async def steps(talk):
        for _ in range(4):
            await talk.write("One two three four.")
            await talk.done()
        await talk.write("One.")
        many = await talk.error()
        await talk.say(type="response.cancel")
        for _ in range(4):
            await talk.hear()
        await talk.write(*2 * ["one " * 2500])
        return many, await talk.error()

    many, long = session(steps)
    assert (many["status"], long["status"]) == (429, 413)


def test_every_format_streams(session):
    async def steps(talk):
        await talk.write("One two three four.")
        await talk.done()
        return await talk.hear()

    _, audio = session(steps, CONFIG | {"response_format": "opus"})
    assert audio.count(b"OggS") > 3  # pages of 80 ms


def test_idle_sessions_and_more_than_there_may_be_are_ended(session, app, monkeypatch):
    async def steps(talk):
        await talk.write("One")
        return await talk.error()

    with monkeypatch.context() as m:
        m.setattr(app.state.sessions, "idle_seconds", 0.5)
        assert "for 0.5 s" in session(steps)["message"]
    monkeypatch.setattr(app.state.sessions, "most", 0)
    with pytest.raises(InvalidStatus) as caught:
        session(steps)
    assert caught.value.response.status_code == 429


def test_keys_and_pages_of_others(session):
    async def steps(talk):
        pass

    for headers, status in [((), 401), ((("Authorization", "Bearer a-key"), ("Origin", "http://evil.example")), 403)]:
        with pytest.raises(InvalidStatus) as caught:
            session(steps, headers=headers)
        assert caught.value.response.status_code == status


def test_browsers_send_keys_as_subprotocols(url):
    async def go():
        names = ["realtime", "openai-insecure-api-key.a-key"]
        async with connect(f"ws{url[4:]}/v1/audio/speech/stream", subprotocols=names) as socket:
            return socket.subprotocol

    assert asyncio.run(go()) == "realtime"
