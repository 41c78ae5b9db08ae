"""Speech from `codec serve` in LiveKit Agents; tested with livekit-agents 1.8.

    pip install livekit-agents==1.8.9 openai

    session = AgentSession(stt=..., llm=..., tts=CodecTTS(voice="kathleen"))

An agent hands over sentence by sentence. When its user interrupts, the request is closed, which frees its slot in the
server.
"""

from __future__ import annotations

from livekit.agents import APIConnectionError, APIConnectOptions, APIStatusError, APITimeoutError, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from openai import APIStatusError as RefusedError
from openai import APITimeoutError as LateError
from openai import AsyncOpenAI, OpenAIError

SAMPLE_RATE = 24_000  # of what the server sends
PACKET_MS = 80


class CodecTTS(tts.TTS):
    """A voice of a server.

    Args:
        voice: one that `GET /v1/audio/voices` lists.
        base_url: of the server's API.
        api_key: any, if the server asks for none.
        model: the name that `codec serve --model` was given.
        language: of the texts, a BCP-47 tag; None: that of the voice.
    """

    def __init__(
        self,
        *,
        voice: str,
        base_url: str = "http://127.0.0.1:8000/v1",
        api_key: str = "none",
        model: str = "default",
        language: str | None = None,
    ) -> None:
        capabilities = tts.TTSCapabilities(streaming=False)
        super().__init__(capabilities=capabilities, sample_rate=SAMPLE_RATE, num_channels=1)
        self.voice, self.language, self._model = voice, language, model
        self.client = AsyncOpenAI(base_url=base_url, api_key=api_key, max_retries=0)  # LiveKit asks again

    @property
    def model(self) -> str:
        """What LiveKit's metrics call it."""
        return self._model

    @property
    def provider(self) -> str:
        """What LiveKit's metrics call the server."""
        return self.client.base_url.host

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        """Speak a text."""
        return CodecStream(tts=self, input_text=text, conn_options=conn_options)

    async def aclose(self) -> None:
        """Close the connections to the server."""
        await self.client.close()


class CodecStream(tts.ChunkedStream):
    """The speech of one text as it is made."""

    _tts: CodecTTS

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        extra = {"language": self._tts.language} if self._tts.language else {}
        try:
            async with self._tts.client.audio.speech.with_streaming_response.create(
                model=self._tts.model,
                voice=self._tts.voice,
                input=self.input_text,
                response_format="pcm",
                timeout=self._conn_options.timeout,
                extra_body=extra,
            ) as response:
                output_emitter.initialize(
                    request_id=response.headers["x-request-id"],
                    sample_rate=SAMPLE_RATE,
                    num_channels=1,
                    mime_type="audio/pcm",
                    frame_size_ms=PACKET_MS,
                )
                async for block in response.iter_bytes():
                    output_emitter.push(block)
                output_emitter.flush()
        except RefusedError as error:
            raise APIStatusError(str(error), status_code=error.status_code, body=error.body) from error
        except LateError as error:
            raise APITimeoutError from error
        except OpenAIError as error:
            raise APIConnectionError(str(error)) from error
