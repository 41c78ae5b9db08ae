"""A codec's own reader: it reads what the semantic codes hold, with the head that belongs to the codec."""

import numpy as np
import pytest
import soundfile
import torch
from tiny import make_codec

from codec.checkpoint.store import CheckpointError
from codec.extras import MissingDependencyError
from codec.tokenizer import Tokenizer
from eval.ctc import CHARSET, N_SYMBOLS
from eval.metrics.asr import make_asr
from eval.metrics.base import Pair
from eval.metrics.semantic_asr import WEIGHTS, SemanticHead, SemanticRecognizer, save_head

STEPS = 2  # per frame


def make_head(codec, seed=0):
    torch.manual_seed(seed)
    head = SemanticHead(codec.config.quantizer.semantic_dim, codec.config.hop_length, STEPS).requires_grad_(False)
    head.linear.weight *= 20
    return head


@pytest.fixture(params=["12.5 Hz", "16 kHz"])
def codec(request):
    return make_codec(request.param)


@pytest.fixture
def folder(codec, tmp_path):
    tokenizer = Tokenizer(codec)
    tokenizer.save(tmp_path / "model")
    save_head(tmp_path / "model", make_head(codec), tokenizer.fingerprint)
    return tmp_path / "model"


def test_it_reads_the_semantic_codes(codec, folder):
    reader, head = SemanticRecognizer(folder), make_head(codec)
    hop = codec.config.hop_length
    x = 0.1 * torch.randn(9 * hop + 1, generator=torch.Generator().manual_seed(0))
    z = codec.quantizer(codec.latents(x[None])).z[..., : codec.config.quantizer.semantic_dim]
    logits = head.linear(z[0]).reshape(10 * STEPS, N_SYMBOLS)
    expected = "".join(CHARSET[i - 1] for i in logits.argmax(-1).unique_consecutive().tolist() if i)
    assert len(set(expected)) > 2
    assert reader.sample_rate == codec.config.sample_rate
    assert reader.transcribe(x.numpy(), "en") == expected
    assert reader.transcribe(x.numpy(), "nl-BE") == expected


def test_the_whole_waveform_is_read_and_nothing_after_it():
    codec = make_codec()
    head, hop = make_head(codec), codec.config.hop_length
    logits = torch.nn.functional.one_hot(torch.arange(1, 9), N_SYMBOLS)[None].float()  # four frames: " 'abcdef"
    assert [head.decode(logits, torch.tensor([n]))[0] for n in (1, hop, hop + 1, 4 * hop)] == [
        " '", " '", " 'ab", " 'abcdef"
    ]  # fmt: skip


def test_as_a_metric(folder):
    metric = make_asr(f"ctc={folder}")
    speech = soundfile.read("tests/data/kathleen.flac", dtype="float32")[0]
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(speech), dtype=np.float32)
    assert metric.measure(Pair(speech, speech)) == [0, 0]
    assert metric.measure(Pair(speech, noise))[1] > 0
    assert metric.measure(Pair(speech, np.zeros_like(speech))) == [1, 1]


def test_the_version_follows_codec_and_head(codec, folder):
    version = SemanticRecognizer(folder).version
    assert SemanticRecognizer(folder).version == version
    save_head(folder, make_head(codec, seed=1), Tokenizer(codec).fingerprint)
    assert SemanticRecognizer(folder).version != version


def test_a_codec_without_a_head(codec, tmp_path):
    Tokenizer(codec).save(tmp_path / "model")
    for name in ("model", "nowhere"):
        message = rf"asr:ctc={tmp_path / name}: no {WEIGHTS} there; give best/ or last/ of a run with loss\.distill"
        with pytest.raises(MissingDependencyError, match=message):
            make_asr(f"ctc={tmp_path / name}")


def test_damaged_files_and_heads_of_other_codecs_are_named(codec, folder, tmp_path):
    save_head(folder, make_head(codec), "0123456789abcdef")
    with pytest.raises(CheckpointError, match=rf"{WEIGHTS}: the head of codec 0123456789abcdef, beside codec"):
        SemanticRecognizer(folder)
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:100])
    with pytest.raises(CheckpointError, match=rf"{WEIGHTS}: cannot be read"):
        SemanticRecognizer(folder)
