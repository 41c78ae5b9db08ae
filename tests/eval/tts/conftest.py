"""A test set of two speakers in two languages, and tiny models with random weights that are to speak it."""

import json

import pytest
import soundfile
from tiny_tts import write_tts

from codec.tts.sampling import Sampling
from codec.tts.speech import load
from eval.metrics import registry
from eval.metrics.asr import asr_metric
from eval.metrics.base import Column, Metric
from eval.tts.items import Item
from eval.tts.run import SynthesisConfig

RATE = 24_000
LINES = {  # id: speaker, language, text
    "a1": ("ann", "en-US", "One two."),
    "a2": ("ann", "en-US", "Three four five."),
    "a3": ("ann", "en-US", "Six"),
    "b1": ("bob", "nl-BE", "Zeven acht"),
    "b2": ("bob", "nl-BE", "Negen"),
    "lone": ("cid", "en-US", "Ten."),
    "mute": ("bob", "nl-BE", None),
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory, tokenizer):
    """A test set `test.jsonl`, a codec, and the models `one` and `two`."""
    folder = tmp_path_factory.mktemp("tts")
    tokenizer.save(folder / "codec")
    for seed, name in enumerate(("one", "two")):
        write_tts(folder / name, tokenizer, seed, codec=str(folder / "codec"))
    speech = soundfile.read("tests/data/flemishguy.flac", dtype="float32")[0]
    lines = []
    for number, (name, (speaker, language, text)) in enumerate(LINES.items()):
        soundfile.write(folder / f"{name}.wav", speech[1000 * number :], RATE)
        lines.append({"id": name, "path": f"{name}.wav", "speaker": speaker, "language": language, "text": text})
    (folder / "test.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


@pytest.fixture(scope="session")
def tts(folder):
    return load(folder / "one")


@pytest.fixture
def config():
    """Short, as random weights babble without end."""
    return SynthesisConfig(sampling=Sampling(temperature=0.9, max_frames=5), batch_size=2)


@pytest.fixture
def items(folder):
    """A text in English and one in Dutch."""
    voices = (folder / "a2.wav",), (folder / "b2.wav",)
    return [
        Item("a1", "One two.", "en-US", voices[0], "ann", folder / "a1.wav"),
        Item("b1", "Zeven acht", "nl-BE", voices[1], "bob", folder / "b1.wav"),
    ]


class Reads:
    """Hears "one two" in all that lasts at least a second, and nothing in the rest; knows no Dutch."""

    version, sample_rate = "1", RATE

    def transcribe(self, waveform, language):
        if language == "nl-BE":
            raise ValueError("language nl-BE: not known")
        return "one two" if len(waveform) >= RATE else ""


@pytest.fixture
def metrics(monkeypatch):
    """A recogniser of two words, and a speaker similarity of 1 for recordings as long as the voice, else 0."""
    as_long = Metric((Column("speaker_sim", "SIM", True, 3),), lambda p: [len(p.reference) == len(p.output)])
    monkeypatch.setitem(registry.METRICS, "asr", lambda option: asr_metric(Reads()))
    monkeypatch.setitem(registry.METRICS, "speaker", lambda option: as_long)
    registry.make_metric.cache_clear()
    yield "asr", "speaker"
    registry.make_metric.cache_clear()
