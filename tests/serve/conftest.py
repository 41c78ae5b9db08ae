import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_tts import write_tts

import codec.tts
from codec.tokenizer import Tokenizer


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
    return write_tts(folder / "tts", tokenizer, codec=str(folder / "codec"))


@pytest.fixture(scope="session")
def tts(model: Path) -> codec.tts.TTS:
    return codec.tts.load(model)


@pytest.fixture(scope="session")
def voice(tts: codec.tts.TTS) -> codec.tts.Voice:
    noise = 0.1 * torch.randn(4 * tts.sample_rate, generator=torch.Generator().manual_seed(0))
    return tts.voice(noise, consent="a random number generator", sample_rate=tts.sample_rate)
