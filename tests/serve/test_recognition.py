"""What recordings say, by a recognizer that hears the same in all."""

from pathlib import Path

import openai
import pytest

import codec.tts
from codec.extras import MissingDependencyError
from codec.serve.recognition import load_recognizer

CLIP = Path(codec.tts.__file__).parent / "speakers/kathleen.flac"


def test_recordings_become_text(client):
    ask = {"model": "ear", "file": CLIP}
    assert client.audio.transcriptions.create(**ask).text == "Three four."
    assert client.audio.transcriptions.create(**ask, language="de").text == "Three de."
    assert client.audio.transcriptions.create(**ask, response_format="text") == "Three four."


def test_what_cannot_be_heard_is_refused(client):
    with pytest.raises(openai.NotFoundError, match="recognizers are ear"):
        client.audio.transcriptions.create(model="tiny", file=CLIP)
    with pytest.raises(openai.BadRequestError, match="upload"):
        client.audio.transcriptions.create(model="ear", file=b"no sound")


def test_models_that_are_not_there_are_named(tmp_path):
    pytest.importorskip("faster_whisper")
    with pytest.raises(MissingDependencyError, match=r"recognizer .*nothing: cannot be loaded .* hf download"):
        load_recognizer(str(tmp_path / "nothing"))
