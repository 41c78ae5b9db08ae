"""The codec over a WebSocket."""

import asyncio
import json

import numpy as np
import pytest
import torch
from websockets.asyncio.client import connect

from codec.audio.wav import pcm_bytes

RATE = 24_000
HEADERS = {"Authorization": "Bearer a-key"}


@pytest.fixture(scope="module")
def waveform():
    return 0.1 * torch.randn(2 * RATE + 777, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def talk(url):
    """Sends frames, and returns the messages and audio up to one of a type."""

    def run(*frames, until="session.done", n_done=1):
        async def go():
            async with connect(f"ws{url[4:]}/v1/codec/stream", additional_headers=HEADERS) as socket:
                for frame in frames:
                    await socket.send(frame if isinstance(frame, bytes) else json.dumps(frame))
                messages, audio = [], b""
                while sum(message["type"] == until for message in messages) < n_done:
                    frame = await socket.recv()
                    if isinstance(frame, bytes):
                        audio += frame
                    else:
                        messages.append(json.loads(frame))
                return messages, audio

        return asyncio.run(asyncio.wait_for(go(), 60))

    return run


def config(**fields):
    return {"type": "session.config", **fields}


DONE = {"type": "input.done"}


def codes_of(messages):
    return torch.tensor(np.concatenate([m["codes"] for m in messages if m["type"] == "codec.codes"], axis=1))


def test_samples_become_tokens_and_sound(talk, tokenizer, waveform):
    content = pcm_bytes(waveform)
    pieces = [content[i : i + 9999] for i in range(0, len(content), 9999)]  # odd: samples are cut in two
    messages, audio = talk(config(output="both"), *pieces, DONE)
    tokens = tokenizer.encode(torch.from_numpy(np.frombuffer(content, "<i2").copy()), RATE)
    assert torch.equal(codes_of(messages), tokens.codes[0])
    expected = tokenizer.decode(tokens)[0].clamp(-1, 1).numpy()
    np.testing.assert_allclose(np.frombuffer(audio, "<i2") / 32767, expected, atol=1e-3)
    done = {"type": "session.done", "n_samples": len(waveform), "n_frames": tokens.codes.shape[2]}
    assert messages[-1] == done


def test_the_rate_may_change_at_any_time(talk, tokenizer, waveform):
    content = pcm_bytes(waveform)
    half = 2 * 12 * 1920
    messages, audio = talk(config(), content[:half], config(n_q=1), content[half:], DONE)
    codes = [m["codes"] for m in messages if m["type"] == "codec.codes"]
    assert {len(c) for c in codes} == {1, tokenizer.config.num_codebooks}
    assert audio == b""


def test_a_second_stream_knows_nothing_of_the_first(talk, waveform):
    content = pcm_bytes(waveform)[:20_000]
    once, _ = talk(config(), content, DONE)
    twice, _ = talk(config(), content[:9_000], DONE, content, DONE, n_done=2)
    assert codes_of(twice[-len(once) :]).equal(codes_of(once))


@pytest.mark.parametrize(
    ("frame", "reason"),
    [(b"ab", "session.config first"), (config(n_q=99), "codebooks"), (config(output="mp3"), "output"), ([], "message")],
)
def test_errors_are_told(talk, frame, reason):
    messages, _ = talk(frame, until="error")
    assert reason in messages[0]["message"]
    assert messages[0]["status"] == 400
