import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
import torch
from fastapi import FastAPI
from running import running
from tiny_tts import write_tts

import codec.tts
from codec.serve.app import make_app
from codec.serve.engine import Engine, Limits
from codec.serve.voices import VoiceStore
from codec.tokenizer import Tokenizer
from codec.tts.config import SequenceConfig


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="session")
def model(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny voice model, with its codec."""
    folder = tmp_path_factory.mktemp("serve")
    tokenizer.save(folder / "codec")
    sequence = SequenceConfig(design="aligned", audio_history=False)  # as the default model has it
    return write_tts(folder / "tts", tokenizer, codec=str(folder / "codec"), sequence=sequence)


@pytest.fixture(scope="session")
def tts(model: Path) -> codec.tts.TTS:
    return codec.tts.load(model)


@pytest.fixture(scope="session")
def voice(tts: codec.tts.TTS) -> codec.tts.Voice:
    noise = 0.1 * torch.randn(4 * tts.sample_rate, generator=torch.Generator().manual_seed(0))
    return tts.voice(noise, consent="a random number generator", sample_rate=tts.sample_rate)


@pytest.fixture(scope="session")
def engine(tts: codec.tts.TTS) -> Engine:
    return Engine(tts, Limits(n_slots=2, max_waiting=1, buffer_seconds=1.0))


@pytest.fixture(scope="session")
def app(
    engine: Engine, tts: codec.tts.TTS, voice: codec.tts.Voice, tmp_path_factory: pytest.TempPathFactory
) -> FastAPI:
    """An application that asks for the key "a-key"; `ada` is a voice in its folder; it hears "Three four." in all."""
    folder = tmp_path_factory.mktemp("voices")
    voice.save(folder / "ada.safetensors")
    ears = {"ear": lambda waveform, language: f"Three {language or 'four'}."}
    return make_app(engine, VoiceStore(tts, folder), "tiny", ("another-key", "a-key"), recognizers=ears)


@pytest.fixture(scope="session")
def url(app: FastAPI) -> Iterator[str]:
    """Where it is served."""
    with running(app) as url:
        yield url


@pytest.fixture(scope="session")
def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="a-key", max_retries=0)


@pytest.fixture(scope="session")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"Authorization": "Bearer a-key"}, timeout=60) as http:
        yield http
