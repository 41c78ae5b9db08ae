"""The Pipecat adapter in a pipeline, against a server on a loopback port."""

import asyncio

import pytest

pytest.importorskip("pipecat", reason="needs pip install pipecat-ai")
from pipecat.frames.frames import ErrorFrame, InterruptionFrame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.pipeline.worker import PipelineParams
from pipecat.tests.utils import SleepFrame, run_test

TEXT = "One two. Three four."


@pytest.fixture
def run(url):
    """Frames that come out below and above when these go in."""
    from pipecat_tts import CodecTTSService

    def run(*frames, voice="kathleen", rate=24_000):
        service = CodecTTSService(voice=voice, model="tiny", base_url=url)
        params = PipelineParams(audio_out_sample_rate=rate)
        return asyncio.run(run_test(service, frames_to_send=frames, pipeline_params=params, start_timeout=60))

    return run


def audio_of(frames):
    return b"".join(frame.audio for frame in frames if isinstance(frame, TTSAudioRawFrame))


def test_it_says_what_the_server_says(run, spoken):
    down, _ = run(TTSSpeakFrame(TEXT))
    assert audio_of(down) == spoken(TEXT)


def test_it_speaks_at_the_rate_of_the_pipeline(run, spoken):
    down, _ = run(TTSSpeakFrame(TEXT), rate=16_000)
    assert {frame.sample_rate for frame in down if isinstance(frame, TTSAudioRawFrame)} == {16_000}
    assert len(audio_of(down)) == pytest.approx(len(spoken(TEXT)) * 2 / 3, abs=0.1 * 2 * 16_000)  # Pipecat keeps a tail


def test_refusals_are_error_frames(run):
    _, up = run(TTSSpeakFrame(TEXT), voice="alloy")
    assert any("there is none of that name" in frame.error for frame in up if isinstance(frame, ErrorFrame))


def test_an_interruption_frees_the_slot(run, is_idle):
    text = 160 * "One two three four five. "
    down, _ = run(TTSSpeakFrame(text), SleepFrame(2), InterruptionFrame())
    assert audio_of(down)
    assert is_idle()
