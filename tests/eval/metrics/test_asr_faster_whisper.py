"""CTranslate2's Whisper with random weights: what it hears is nonsense, but it hears it as any other would."""

import json
import shutil
import sys
from typing import NamedTuple

import numpy as np
import pytest
import torch
from tiny_whisper import make_whisper
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    GenerationConfig,
    WhisperFeatureExtractor,
    WhisperTokenizer,
)

from codec.extras import MissingDependencyError
from eval.metrics.asr import RATE, FasterWhisper, make_asr
from eval.metrics.base import Pair

faster_whisper = pytest.importorskip("faster_whisper")

BYTES = sorted(ByteLevel.alphabet())
MULTILINGUAL = ""  # a text token that only multilingual Whispers have, by which CTranslate2 knows them
TASK = ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
VOCABULARY = [*BYTES, MULTILINGUAL, "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", *TASK]
IDS = {token: i for i, token in enumerate(VOCABULARY)}
N_TIMESTAMPS = 1501
END = IDS["<|endoftext|>"]
COPIED = ["tokenizer.json", "preprocessor_config.json"]
FILES = ["config.json", "model.bin", "vocabulary.json", *COPIED]


class Said(NamedTuple):
    """What a segment says, and how many times shorter it is when compressed."""

    text: str
    compression_ratio: float


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A converted Whisper with random weights and two languages, that hears letters in anything."""
    from ctranslate2.converters import TransformersConverter

    source, path = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("converted")
    model = make_whisper(
        vocab_size=len(VOCABULARY) + N_TIMESTAMPS,
        eos_token_id=END,
        bos_token_id=END,
        pad_token_id=END,
        decoder_start_token_id=IDS["<|startoftranscript|>"],
    )
    with torch.no_grad():
        model.model.decoder.embed_positions.weight *= 8  # or it would repeat itself
        model.model.decoder.layer_norm.bias[0] = 10
        model.proj_out.weight[:, 0] = -2  # all tokens are unlikely,
        model.proj_out.weight[[IDS[letter] for letter in "abcdefghijklmnopqrstuvwxyz"], 0] = 0  # but letters
    model.generation_config = GenerationConfig(
        suppress_tokens=[], begin_suppress_tokens=[END], lang_to_id={t: IDS[t] for t in ("<|en|>", "<|de|>")}
    )
    model.save_pretrained(source)
    special = VOCABULARY[END:]
    WhisperTokenizer(vocab=IDS, merges=[], additional_special_tokens=special).save_pretrained(source)
    WhisperFeatureExtractor(model.config.num_mel_bins).save_pretrained(source)
    TransformersConverter(str(source), copy_files=COPIED).convert(path, force=True)
    return path


@pytest.fixture
def copied(folder, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(folder, tmp_path / "whisper")


@pytest.fixture(scope="module")
def whisper(folder):
    return FasterWhisper(str(folder))


@pytest.fixture(scope="module")
def sound():
    return 0.1 * np.random.default_rng(0).standard_normal(RATE, dtype=np.float32)


def test_it_is_deterministic_and_follows_the_language(folder, whisper, sound):
    english, german, guessed = (whisper.transcribe(sound, language) for language in ("en_GB", "de", ""))
    assert english.isalpha()
    assert english == FasterWhisper(str(folder)).transcribe(sound, "EN")
    assert english != german
    assert guessed in (english, german)


def test_it_hears_recordings_of_any_length(whisper, sound):
    assert whisper.transcribe(sound[:1], "en") == ""
    first, both = (whisper.transcribe(np.tile(sound, seconds), "en") for seconds in (30, 31))
    assert len(both) > len(first) > 0


def test_languages_that_it_does_not_know(whisper, copied, sound):
    with pytest.raises(ValueError, match="language nl-BE: this Whisper does not know it; use another"):
        whisper.transcribe(sound, "nl-BE")
    vocabulary = json.loads((copied / "vocabulary.json").read_text())
    vocabulary[IDS[MULTILINGUAL]] = "a token of English text"
    (copied / "vocabulary.json").write_text(json.dumps(vocabulary))
    of_english = FasterWhisper(str(copied))
    with pytest.raises(ValueError, match="language de: this Whisper reads English only; use a multilingual one"):
        of_english.transcribe(sound, "de")
    assert of_english.transcribe(sound, "en-US") == of_english.transcribe(sound, "") != ""


def test_a_loop_is_nothing_heard(folder, sound, monkeypatch):
    stuck = FasterWhisper(str(folder))
    said = [Said(" and so on", 0.9), Said(" and so on" * 20, 9.5), Said(" to the end.", 1.0)]
    monkeypatch.setattr(stuck.model, "transcribe", lambda *_, **__: (iter(said), None))
    assert stuck.transcribe(sound, "en") == " and so on to the end."


def test_as_a_metric(folder, speech, noise):
    metric = make_asr(f"faster-whisper={folder}")
    x, y = speech[:36_000], noise[:36_000]
    assert metric.measure(Pair(x, x, language="en")) == [0, 0]
    assert metric.measure(Pair(x, y, language="en"))[0] > 0


def test_other_weights_are_another_version(folder, copied):
    assert FasterWhisper(str(copied)).version == FasterWhisper(str(folder)).version
    content = bytearray((copied / "model.bin").read_bytes())
    content[len(content) // 2] ^= 1
    (copied / "model.bin").write_bytes(content)
    assert FasterWhisper(str(copied)).version != FasterWhisper(str(folder)).version


def test_it_takes_the_threads_that_torch_takes(folder, monkeypatch):
    """In a worker that is one."""
    given, make = {}, faster_whisper.WhisperModel
    monkeypatch.setattr(
        faster_whisper, "WhisperModel", lambda *a, **options: given.update(options) or make(*a, **options)
    )
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    FasterWhisper(str(folder))
    assert given == {"device": "cpu", "compute_type": "int8", "cpu_threads": 3}


def test_names_are_looked_up_on_disk_only(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(
        faster_whisper, "download_model", lambda *a, **options: asked.append((*a, options)) or str(folder)
    )
    assert FasterWhisper("small").version == FasterWhisper(str(folder)).version
    assert asked == [("small", {"local_files_only": True})]


@pytest.mark.parametrize("name", FILES)
def test_missing_files(copied, name):
    (copied / name).unlink()
    with pytest.raises(
        MissingDependencyError, match=r"asr:faster-whisper=.*cannot be loaded .*hf download .*give a folder"
    ):
        make_asr(f"faster-whisper={copied}")


def test_a_missing_tokenizer_is_not_downloaded(copied, monkeypatch):
    (copied / "tokenizer.json").unlink()
    monkeypatch.setattr("faster_whisper.transcribe.tokenizers", None)
    with pytest.raises(MissingDependencyError, match=r"no tokenizer\.json in"):
        FasterWhisper(str(copied))


@pytest.mark.parametrize("name", ["model.bin", "tokenizer.json", "vocabulary.json"])
def test_damaged_files(copied, name):
    (copied / name).write_bytes((copied / name).read_bytes()[:100])
    with pytest.raises(MissingDependencyError, match="cannot be loaded"):
        FasterWhisper(str(copied))


def test_missing_models(tmp_path):
    for source in (tmp_path / "nowhere", "nobody/whisper-nowhere", "enormous"):
        with pytest.raises(
            MissingDependencyError, match=f"asr:faster-whisper={source}: cannot be loaded .*hf download"
        ):
            make_asr(f"faster-whisper={source}")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(MissingDependencyError, match="pip install faster-whisper"):
        make_asr("faster-whisper=folder")
