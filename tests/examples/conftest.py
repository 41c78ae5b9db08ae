"""A server with a tiny voice model, and the folder of examples on the path."""

import time
import warnings
from pathlib import Path

import httpx
import pytest
from running import running
from tiny_tts import write_tts

import codec.tts
from codec.serve.app import make_app
from codec.serve.engine import Engine, Limits
from codec.serve.voices import VoiceStore


@pytest.fixture(autouse=True)
def examples(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "examples")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="session")
def engine(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    tokenizer.save(folder / "codec")
    return Engine(codec.tts.load(write_tts(folder / "tiny", tokenizer, codec=str(folder / "codec"))), Limits(n_slots=2))


@pytest.fixture(scope="session")
def url(engine):
    with running(make_app(engine, VoiceStore(engine.tts), "tiny")) as url:
        yield f"{url}/v1"


@pytest.fixture
def is_idle(engine):
    """Whether nothing is spoken any more, for which it waits a while."""

    def wait():
        deadline = time.monotonic() + 60
        while engine.n_running and time.monotonic() < deadline:
            time.sleep(0.05)
        return not engine.n_running

    return wait


@pytest.fixture(scope="session")
def spoken(url):
    """What the server says, as 16-bit samples."""
    body = {"model": "tiny", "voice": "kathleen", "response_format": "pcm"}
    return lambda text: httpx.post(f"{url}/audio/speech", json=body | {"input": text}, timeout=300).content
