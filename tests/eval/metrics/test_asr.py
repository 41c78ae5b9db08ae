"""Errors counted by hand with recognisers that say what they are told; then the real ones."""

import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_whisper import make_whisper
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

from codec.extras import MissingDependencyError
from eval.metrics.asr import RATE, PocketSphinx, Whisper, asr_metric, make_asr, plain, spoken_form
from eval.metrics.base import Pair, SynthesisPair

SECONDS = 2  # that the tiny Whisper hears
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|transcribe|>", "<|notimestamps|>"]
END, START, ENGLISH, GERMAN, TRANSCRIBE, NO_TIMESTAMPS = range(27, 33)
IDS = {"eos_token_id": END, "bos_token_id": END, "pad_token_id": END, "decoder_start_token_id": START}


class Told:
    """Says of waveforms `[L]` what it is told to, by their first sample."""

    version = "1"

    def __init__(self, *texts, sample_rate=RATE):
        self.texts, self.asked, self.sample_rate = texts, [], sample_rate

    def transcribe(self, waveform, language):
        self.asked.append((round(float(waveform[0])), language))
        return self.texts[self.asked[-1][0] - 1]


def told(reference, output):
    """Sample values 1 and 2 stand for the two."""
    return Pair(np.full(10, float(reference)), np.full(10, float(output)), RATE, language="en")


@pytest.fixture(scope="module")
def sphinx():
    pytest.importorskip("pocketsphinx")
    return make_asr("")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Whisper with random weights, 26 letters and two languages."""
    vocab = {chr(ord("a") + i): i for i in range(26)} | {"Ġ": 26} | {s: 27 + i for i, s in enumerate(SPECIAL)}
    tokenizer = WhisperTokenizer(vocab=vocab, merges=[], additional_special_tokens=SPECIAL)
    sizes = {"vocab_size": len(tokenizer), "max_source_positions": 50 * SECONDS, "max_target_positions": 24}
    model = make_whisper(**sizes, **IDS)
    model.generation_config = GenerationConfig(
        **IDS,
        max_length=24,
        begin_suppress_tokens=[END],
        is_multilingual=True,
        lang_to_id={"<|en|>": ENGLISH, "<|de|>": GERMAN},
        task_to_id={"transcribe": TRANSCRIBE},
        no_timestamps_token_id=NO_TIMESTAMPS,
    )
    path = tmp_path_factory.mktemp("whisper")
    model.save_pretrained(path)
    WhisperProcessor(WhisperFeatureExtractor(16, chunk_length=SECONDS), tokenizer).save_pretrained(path)
    return path


@pytest.mark.parametrize(
    ("reference", "output", "wer", "cer"),
    [
        ("the cat sat", "the cat sat", 0, 0),
        ("The cat -- sat!", "the CAT, sat.", 0, 0),
        ("the cat sat", "the cat", 1 / 3, 4 / 11),
        ("the cat sat", "the bat sat", 1 / 3, 1 / 11),
        ("the cat sat", "", 1, 1),
        ("go", "go on and on", 3, 10 / 2),
        ("Größe", "Grösse", 1, 2 / 5),
    ],
)
def test_errors_counted_by_hand(reference, output, wer, cer):
    metric = asr_metric(Told(reference, output))
    assert [c.key for c in metric.columns] == ["wer", "cer"]
    assert metric.measure(told(1, 2)) == pytest.approx([wer, cer])


def test_plain_text():
    assert plain("  “Don\u2019t—can't”, STOP…  3 times;\tl\u2019été! Naïve №") == "dont cant stop 3 times lété naïve no"
    assert plain("Привет, мир! 你好。") == "привет мир 你好"
    assert plain("नमस्ते") == "नमस्ते", "vowel signs are marks, not punctuation"
    assert plain("?! …") == ""


@pytest.mark.parametrize(
    ("text", "language", "said"),
    [
        ("Don\u2019t pay $5, Dr. Müller!", "en-US", "dont pay five dollars doctor muller"),
        ("Größe 18", "de", "grosse achtzehn"),
        ("18 días", "", "dias"),
        ("Привет, мир 5!", "ru", "привет мир 5"),
        ("?!", "en", ""),
    ],
)
def test_spoken_form(text, language, said):
    assert spoken_form(text, language) == said


def test_speech_is_held_against_its_text():
    """The recogniser is not asked what it hears in the recording of the voice."""
    recognizer = Told("anything", "five dollers")
    speech = SynthesisPair(np.full(7, 1.0), np.full(10, 2.0), RATE, "$5.", "en")
    assert asr_metric(recognizer).measure(speech) == pytest.approx([1 / 2, 1 / 12])
    assert recognizer.asked == [(2, "en")]
    silent = SynthesisPair(np.full(7, 1.0), np.zeros(10), RATE, "$5.", "en")
    assert asr_metric(recognizer).measure(silent) == [1, 1]
    with pytest.raises(ValueError, match="text: no words"):
        asr_metric(recognizer).measure(replace(speech, text="?"))
    with pytest.raises(ValueError, match="output: has NaN"):
        SynthesisPair(np.ones(7), np.full(3, np.nan))


def test_a_reference_without_words_has_no_score():
    with pytest.raises(ValueError, match="reference: no words recognised"):
        asr_metric(Told("...", "word")).measure(told(1, 2))
    with pytest.raises(ValueError, match="reference: silent"):
        asr_metric(Told("word")).measure(told(0, 1))


def test_a_silent_output_has_all_words_wrong_whatever_is_heard_in_it():
    recognizer = Told("word")
    assert asr_metric(recognizer).measure(told(1, 0)) == [1, 1]
    assert recognizer.asked == [(1, "en")]


@pytest.mark.parametrize("rate", [8_000, RATE, 24_000])
def test_a_recogniser_hears_its_own_sample_rate(rate):
    recognizer, lengths = Told("word", "word", sample_rate=rate), []
    transcribe = recognizer.transcribe
    recognizer.transcribe = lambda x, language: lengths.append(len(x)) or transcribe(x, language)
    asr_metric(recognizer).measure(Pair(np.ones(12_000), np.ones(12_000), 24_000))
    assert lengths == [rate / 2, rate / 2]


def test_references_are_transcribed_once():
    recognizer = Told("one", "two", "three", "four")
    metric = asr_metric(recognizer)

    def heard(reference, language="en"):
        """How often the reference is transcribed."""
        recognizer.asked.clear()
        metric.measure(replace(told(reference, 4), language=language))
        return recognizer.asked.count((reference, language))

    assert [heard(1), heard(1), heard(2), heard(1)] == [1, 0, 1, 0]
    assert [heard(2, "nl"), heard(2)] == [1, 0], "another language may be another text"


def test_unknown_recognisers_are_listed():
    for option in ("kaldi", "whisper", "whisper=", "faster-whisper=", "ctc", "ctc=", "pocketsphinx=de"):
        with pytest.raises(ValueError, match=f"asr:{option}: unknown; there are asr:pocketsphinx, asr:whisper="):
            make_asr(option)


@pytest.mark.parametrize("package", ["pocketsphinx", "transformers"])
def test_missing_packages_are_named(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=f"pip install {package}"):
        make_asr({"pocketsphinx": "", "transformers": "whisper=folder"}[package])


def test_sphinx_tells_speech_from_noise(sphinx, speech, noise):
    assert sphinx.measure(Pair(speech, speech)) == [0, 0]
    wer, cer = sphinx.measure(Pair(speech, noise))
    assert wer > 0.8
    assert cer > 0.5


def test_sphinx_hears_the_same_whatever_came_before(speech, noise):
    pytest.importorskip("pocketsphinx")
    words = PocketSphinx()
    x = speech[::2]  # at half the rate, read as another: fast, high, and hard to understand
    first = words.transcribe(x, "en-US")
    scores = [words.decoder.hyp().score]
    for other in (noise[:12_000], x):
        words.transcribe(other, "")
        scores.append(words.decoder.hyp().score)
    assert words.transcribe(x, "en") == first
    assert scores[2] == scores[0]
    assert words.transcribe(x[:100], "en") == ""


def test_sphinx_reads_english_only(sphinx, speech):
    with pytest.raises(ValueError, match=r"language nl-BE: PocketSphinx reads English only; use asr:whisper="):
        sphinx.measure(Pair(speech, speech, language="nl-BE"))


def test_whisper_is_deterministic_and_follows_the_language(folder):
    whisper = Whisper(str(folder))
    x = 0.1 * np.random.default_rng(0).standard_normal(RATE, dtype=np.float32)
    english, german, guessed = (whisper.transcribe(x, language) for language in ("en_GB", "de", ""))
    assert english == Whisper(str(folder)).transcribe(x, "EN")
    assert english != german
    assert guessed in (english, german)


def test_special_tokens_are_no_text(folder, monkeypatch):
    whisper = Whisper(str(folder))
    monkeypatch.setattr(whisper.model, "generate", lambda **_: torch.tensor([[START, ENGLISH, 7, 8, END]]))
    assert whisper.transcribe(np.ones(RATE, np.float32), "en") == "hi"


def test_whisper_refuses_what_it_cannot_judge(folder):
    whisper = Whisper(str(folder))
    with pytest.raises(ValueError, match=r"language nl-BE: this Whisper does not know it"):
        whisper.transcribe(np.ones(RATE, np.float32), "nl-BE")
    with pytest.raises(ValueError, match=r"2\.1 s: Whisper takes 2 s at a time"):
        whisper.transcribe(np.ones(SECONDS * RATE + 1600, np.float32), "en")
    whisper.model.generation_config.is_multilingual = False
    with pytest.raises(ValueError, match=r"language de: this Whisper reads English only"):
        whisper.transcribe(np.ones(RATE, np.float32), "de")
    assert whisper.transcribe(np.ones(RATE, np.float32), "en")


def test_whisper_as_a_metric(folder, speech, noise):
    metric = make_asr(f"whisper={folder}")
    x, y = speech[:36_000], noise[:36_000]
    assert metric.measure(Pair(x, x, language="en")) == [0, 0]
    assert metric.measure(Pair(x, y, language="en"))[0] > 0


def test_other_weights_are_another_version(folder, tmp_path):
    model = WhisperForConditionalGeneration.from_pretrained(folder)
    model.model.encoder.conv1.bias.data += 1
    shutil.copytree(folder, tmp_path / "other")
    model.save_pretrained(tmp_path / "other")
    versions = [Whisper(str(path)).version for path in (folder, folder, tmp_path / "other")]
    assert versions[0] == versions[1] != versions[2]


@pytest.mark.parametrize("name", ["model.safetensors", "processor_config.json"])
def test_missing_files_of_a_whisper(folder, tmp_path, name):
    shutil.copytree(folder, tmp_path / "whisper")
    (tmp_path / "whisper" / name).unlink()
    with pytest.raises(MissingDependencyError, match=r"asr:whisper=.*cannot be loaded .*hf download .*give a folder"):
        make_asr(f"whisper={tmp_path / 'whisper'}")


def test_missing_and_damaged_whispers(folder, tmp_path):
    for source in (tmp_path / "nowhere", "nobody/whisper-nowhere"):
        with pytest.raises(MissingDependencyError, match=f"asr:whisper={source}: cannot be loaded .*hf download"):
            make_asr(f"whisper={source}")
    shutil.copytree(folder, tmp_path / "damaged")
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(MissingDependencyError, match="cannot be loaded"):
        make_asr(f"whisper={tmp_path / 'damaged'}")


def test_weights_of_something_else_are_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "larger")
    config = WhisperConfig.from_pretrained(folder)
    config.encoder_layers = 2
    config.save_pretrained(tmp_path / "larger")
    with pytest.raises(ValueError, match=r"\d+ tensors of a Whisper are missing, as model\.encoder\.layers\.1"):
        make_asr(f"whisper={tmp_path / 'larger'}")
