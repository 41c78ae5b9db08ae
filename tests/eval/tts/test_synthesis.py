"""What is said is kept with its numbers, taken from there while nothing changed, and its failures are told apart."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from codec.audio.io import read_audio, read_comment
from codec.tokens.layout import END
from codec.tts.model import TTSModel
from codec.tts.sampling import Sampling
from codec.tts.speech import TTS
from eval.store import Outputs, file_of
from eval.tts.synthesis import Synthesizer
from eval.tts.voices import find_voices

SHORT = Sampling(temperature=0.9, max_frames=5)


@pytest.fixture
def wanted(tts, items):
    return find_voices(tts, "ann agreed", items)[0]


@pytest.fixture
def make(tts, tmp_path):
    def make(version="1", sampling=SHORT, name="model"):
        return Synthesizer(name, tts, version, sampling, Outputs(tmp_path, "spoken.jsonl"))

    return make


@pytest.fixture
def batches(monkeypatch):
    """The texts of each batch that is spoken."""
    spoken, generate_codes = [], TTS.generate_codes

    def count(tts, texts, *more):
        spoken.append(list(texts))
        return generate_codes(tts, texts, *more)

    monkeypatch.setattr(TTS, "generate_codes", count)
    return spoken


@pytest.mark.filterwarnings("ignore:speech did not end")
def test_speech_is_kept(make, wanted, tts, tmp_path):
    outputs, failures = make().synthesize(wanted, 2)
    assert not failures
    for output, (item, reference) in zip(outputs, wanted, strict=True):
        assert (output.item, output.reference) == (item, reference)
        expected = tts.speak(item.text, reference.voice, SHORT, item.language)
        torch.testing.assert_close(read_audio(output.path, None, 24_000), expected.clamp(-1, 1), atol=1e-4, rtol=0)
        assert output.seconds == pytest.approx(len(expected) / 24_000)
        codes = torch.from_numpy(np.load(file_of(tmp_path, "codes", "model", item.id)).astype(np.int64))
        torch.testing.assert_close(tts.codec.decode(codes[None])[0], expected, atol=1e-4, rtol=0)
        assert json.loads(read_comment(output.path))["consent"] == "ann agreed"
        assert (output.cut, output.rtf > 0, output.first_audio > 0) == (True, True, True)
        assert output.values()["chars_per_s"] == pytest.approx(len(item.text) / output.seconds)


def test_what_is_known_is_not_spoken_again(make, wanted, batches, tmp_path):
    first, _ = make().synthesize(wanted[:1], 2)
    with (tmp_path / "spoken.jsonl").open("a") as file:  # as if it had been killed while writing a line
        file.write('\n{"system": "mo')
    again, _ = make().synthesize(wanted, 2)
    assert batches == [["One two."], ["Zeven acht"]]
    assert (again[0], len(again)) == (first[0], 2)


def test_what_changed_is_spoken_again(make, wanted, batches):
    make().synthesize(wanted, 2)
    (item, reference), other = wanted
    changes = [
        (make("2"), [(item, reference)]),
        (make(sampling=replace(SHORT, seed=1)), [(item, reference)]),
        (make(), [(replace(item, text="One three."), reference)]),
        (make(), [(item, other[1])]),
        (make(), [(replace(item, language="en-GB"), reference)]),
    ]
    for synthesizer, again in changes:
        batches.clear()
        synthesizer.synthesize([*again, other], 2)
        assert [text for batch in batches for text in batch if text != "Zeven acht"], again
    path = make().synthesize(wanted, 2)[0][0].path
    path.unlink()
    batches.clear()
    make().synthesize(wanted, 2)
    assert batches == [["One two."]]


def test_batches_are_of_like_lengths_and_takes_in_order(make, wanted, batches):
    (item, reference), _ = wanted
    texts = ["a" * n for n in (9, 1, 8, 2, 3)]
    many = [(replace(item, id=str(i), text=text), reference) for i, text in enumerate(texts)]
    outputs, _ = make().synthesize(many, 2)
    assert [[len(text) for text in batch] for batch in batches] == [[1, 2], [3, 8], [9]]
    assert [output.item.text for output in outputs] == texts


def test_what_cannot_be_spoken_is_told_apart(make, wanted):
    (item, reference), other = wanted
    bad = [(replace(item, id="signs", text="?!"), reference), (replace(item, id="tlh", language="tlh"), reference)]
    outputs, failures = make().synthesize([*bad, (item, reference), other], 4)
    assert [output.item.id for output in outputs] == ["a1", "b1"]
    assert "no letter or digit" in failures["signs"]
    assert "language 'tlh' is not known" in failures["tlh"]


def test_speech_that_ends_by_itself(make, wanted, monkeypatch):
    semantic_logits = TTSModel.semantic_logits
    monkeypatch.setattr(
        TTSModel, "semantic_logits",
        lambda model, h: semantic_logits(model, h).index_fill(1, torch.tensor([END]), 1e3),
    )  # fmt: skip
    outputs, _ = make().synthesize(wanted, 2)
    assert [(output.seconds, output.cut) for output in outputs] == [(pytest.approx(0.08 * SHORT.min_frames), False)] * 2


def test_a_model_that_says_nothing(make, wanted, tts, monkeypatch):
    generate_codes = TTS.generate_codes

    def end_at_once(tts, *args):
        return [replace(s, codes=s.codes[:, :0], was_cut=False) for s in generate_codes(tts, *args)]

    monkeypatch.setattr(TTS, "generate_codes", end_at_once)
    (output, _), failures = make().synthesize(wanted, 2)
    assert not failures
    assert (output.seconds, output.values()) == (0, {"cut": 0})
    assert read_audio(output.path, None, 24_000).tolist() == [0]
