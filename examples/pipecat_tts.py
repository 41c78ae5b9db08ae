"""Speech from `codec serve` in a Pipecat pipeline; tested with pipecat-ai 1.14.

    pip install pipecat-ai==1.14.0

    tts = CodecTTSService(voice="kathleen")
    pipeline = Pipeline([transport.input(), stt, user_context, llm, tts, transport.output()])

Pipecat hands over sentence by sentence. When its user interrupts, the request is closed, which frees its slot in the
server.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from openai import AsyncOpenAI, OpenAIError
from pipecat.frames.frames import ErrorFrame, Frame
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService

SAMPLE_RATE = 24_000  # of what the server sends


class CodecTTSService(TTSService):
    """A voice of a server; Pipecat resamples it to the rate of the pipeline.

    Args:
        voice: one that `GET /v1/audio/voices` lists.
        base_url: of the server's API.
        api_key: any, if the server asks for none.
        model: the name that `codec serve --model` was given.
        language: of the texts, a BCP-47 tag; None: that of the voice.
        options: of `TTSService`.
    """

    def __init__(
        self,
        *,
        voice: str,
        base_url: str = "http://127.0.0.1:8000/v1",
        api_key: str = "none",
        model: str = "default",
        language: str | None = None,
        **options: Any,
    ) -> None:
        settings = TTSSettings(model=model, voice=voice, language=language)
        super().__init__(settings=settings, push_start_frame=True, push_stop_frames=True, **options)
        self._client = AsyncOpenAI(base_url=base_url, api_key=api_key)

    def can_generate_metrics(self) -> bool:
        """Whether the time to the first sound is measured."""
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame, None]:
        """Frames of a text's speech as they are made, or an error."""
        extra = {"language": self._settings.language} if self._settings.language else {}
        try:
            async with self._client.audio.speech.with_streaming_response.create(
                model=self._settings.model,
                voice=self._settings.voice,
                input=text,
                response_format="pcm",
                extra_body=extra,
            ) as response:
                await self.start_tts_usage_metrics(text)
                async for frame in self._stream_audio_frames_from_iterator(
                    response.iter_bytes(), in_sample_rate=SAMPLE_RATE, context_id=context_id
                ):
                    yield frame
        except OpenAIError as error:
            yield ErrorFrame(error=f"speech from {self._client.base_url}: {error}")
