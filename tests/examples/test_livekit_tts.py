"""The LiveKit Agents adapter, against a server on a loopback port."""

import asyncio

import pytest

pytest.importorskip("livekit.agents", reason="needs pip install livekit-agents")
from livekit.agents import APIConnectionError, APIConnectOptions, APIStatusError

TEXT = "One two. Three four."
ONCE = APIConnectOptions(max_retry=0, timeout=60)


@pytest.fixture
def make(url):
    from livekit_tts import CodecTTS

    return lambda voice="kathleen", base_url=url: CodecTTS(voice=voice, model="tiny", base_url=base_url)


def test_it_says_what_the_server_says(make, spoken):
    async def speak():
        async with make() as tts, tts.synthesize(TEXT, conn_options=ONCE) as stream:
            return await stream.collect()

    frame = asyncio.run(speak())
    assert (frame.sample_rate, frame.num_channels) == (24_000, 1)
    speech, padding = bytes(frame.data)[: len(spoken(TEXT))], bytes(frame.data)[len(spoken(TEXT)) :]
    assert speech == spoken(TEXT)
    assert not any(padding)  # LiveKit ends with a moment of silence


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"voice": "alloy"}, APIStatusError, "there is none of that name"),
        ({"base_url": "http://127.0.0.1:9/v1"}, APIConnectionError, "Connection error"),
    ],
)
def test_errors_are_livekits(make, settings, kind, message):
    async def speak():
        async with make(**settings) as tts, tts.synthesize(TEXT, conn_options=ONCE) as stream:
            await stream.collect()

    with pytest.raises(kind, match=message):
        asyncio.run(speak())


def test_an_interruption_frees_the_slot(make, is_idle):
    async def interrupt():
        async with make() as tts, tts.synthesize(160 * "One two three four five. ", conn_options=ONCE) as stream:
            await anext(stream)

    asyncio.run(interrupt())
    assert is_idle()
