"""The codec in transformers: the codes of `codec.load`, alone and padded; folders that both read; no remote code."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from huggingface_hub import HfApi
from safetensors.torch import load_file, save_file
from tiny import make_codec
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForAudioTokenization

import codec
from codec import AudioError, CheckpointError, Tokenizer
from codec.hf import Codec37Config, Codec37FeatureExtractor, Codec37Model

CLIPS = [f"tests/data/{name}.flac" for name in ("kathleen", "flemishguy", "kerstin")]


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "codec"
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def inputs(model):
    return Codec37FeatureExtractor.of(model.config)(CLIPS, return_tensors="pt")


def test_codes_and_waveforms_are_those_of_the_library(model, tokenizer, inputs):
    """Of all items of a padded batch, and of each alone, without a mask."""
    expected = tokenizer.encode(CLIPS)
    encoded = model.encode(**inputs)
    assert torch.equal(encoded.audio_codes, expected.codes)
    assert torch.equal(encoded.audio_codes_mask.sum(1), expected.lengths)
    decoded = model.decode(encoded.audio_codes, inputs["padding_mask"]).audio_values
    assert decoded.shape == inputs["input_values"].shape
    for i, waveform in enumerate(tokenizer.decode(expected)):
        length = len(waveform)
        torch.testing.assert_close(decoded[i, 0, :length], waveform, atol=1e-5, rtol=0)
        assert not decoded[i, 0, length:].any()
        alone = model.encode(inputs["input_values"][i : i + 1, :, :length])
        assert torch.equal(alone.audio_codes, expected[i].codes)
    output = model(**inputs, num_quantizers=2)
    assert torch.equal(output.audio_codes, expected.codes[:, :2])
    assert output.audio_values.shape == inputs["input_values"].shape


def test_what_stands_in_the_padding_does_not_matter(model, inputs):
    noise = torch.where(inputs["padding_mask"][:, None] > 0, inputs["input_values"], 1.0)
    a, b = model.encode(**inputs), model.encode(noise, inputs["padding_mask"])
    assert torch.equal(a.audio_codes, b.audio_codes)


def test_gradients_reach_the_decoder(model, inputs):
    codes = model.encode(**inputs).audio_codes
    weight = next(model.codec.decoder.parameters()).requires_grad_()
    model.decode(codes[:, :, :3]).audio_values.square().sum().backward()
    assert weight.grad.any()
    weight.grad = None


def test_auto_classes_load_the_folder(folder, tokenizer, inputs):
    assert not list(folder.glob("*.py"))
    assert "auto_map" not in json.loads((folder / "config.json").read_text())
    config = AutoConfig.from_pretrained(folder)
    assert (config.sampling_rate, config.hop_length, config.num_quantizers) == (24_000, 1_920, 9)
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    assert (type(extractor), extractor.sampling_rate) == (Codec37FeatureExtractor, 24_000)
    for auto in (AutoModel, AutoModelForAudioTokenization):
        model = auto.from_pretrained(folder)
        assert type(model) is Codec37Model
        assert not model.training
        assert torch.equal(model.encode(**inputs).audio_codes, tokenizer.encode(CLIPS).codes)


def test_the_library_loads_the_folder(folder, tokenizer):
    loaded = codec.load(folder)
    assert loaded.fingerprint == tokenizer.fingerprint
    assert torch.equal(loaded.encode(CLIPS[0]).codes, tokenizer.encode(CLIPS[0]).codes)


@pytest.mark.parametrize("name", ["6.25 Hz", "source filter", "residual vq"])
def test_all_numbers_survive(name, tmp_path):
    """Also those derived from config and weights, for which transformers has no memory while it loads."""
    expected = Tokenizer(make_codec(name))
    Codec37Model.from_codec(expected).save_pretrained(tmp_path)
    model = Codec37Model.from_pretrained(tmp_path)
    ours, theirs = (dict(m.named_buffers()) | dict(m.named_parameters()) for m in (expected.model, model.codec))
    assert ours.keys() == theirs.keys()
    assert not [key for key in ours if not torch.equal(ours[key], theirs[key])]


def test_types_are_those_of_the_library(tmp_path):
    Codec37Model.from_codec(Tokenizer(make_codec("source filter"))).save_pretrained(tmp_path)
    ours = codec.load(tmp_path, dtype=torch.bfloat16).model.state_dict()
    for model in (
        Codec37Model.from_pretrained(tmp_path, dtype=torch.bfloat16),
        Codec37Model.from_pretrained(tmp_path).to(torch.bfloat16),
    ):
        theirs = model.codec.state_dict()
        assert {k: t.dtype for k, t in theirs.items()} == {k: t.dtype for k, t in ours.items()}
        assert all(torch.equal(theirs[name], tensor) for name, tensor in ours.items())


def test_a_decoder_alone(tmp_path, model, inputs):
    config = Codec37Config(codec=model.config.codec, with_encoder=False)
    Codec37Model(config).save_pretrained(tmp_path)
    alone = Codec37Model.from_pretrained(tmp_path)
    assert alone.decode(torch.zeros(1, 9, 2, dtype=torch.int64)).audio_values.shape == (1, 1, 2 * 1_920)
    with pytest.raises(codec.MissingEncoderError):
        alone.encode(**inputs)


def test_recordings_of_any_kind_make_a_batch(model, tokenizer):
    samples, rate = soundfile.read(CLIPS[0], dtype="float32")
    stereo = np.stack([samples, samples])
    column = {"path": None, "bytes": Path(CLIPS[0]).read_bytes()}  # as of `datasets`, undecoded
    extractor = Codec37FeatureExtractor.of(model.config)
    batch = extractor([CLIPS[0], (stereo, rate), column, (samples[::2], rate // 2)], return_tensors="pt")
    expected = tokenizer.encode([CLIPS[0], (samples[::2], rate // 2)])
    codes = model.encode(**batch).audio_codes
    assert torch.equal(codes[[0, 1, 2]], expected.codes[:1].expand(3, -1, -1))
    assert torch.equal(codes[3], expected.codes[1])
    padded = extractor(samples, rate, padding="max_length", max_length=200_000, return_tensors="pt")
    assert torch.equal(model.encode(**padded).audio_codes[..., : codes.shape[2]], codes[:1])
    with pytest.raises(AudioError, match="sample_rate"):
        extractor(samples)


def test_refusals(model, inputs, folder, tmp_path):
    values, mask = inputs["input_values"], inputs["padding_mask"]
    with pytest.raises(ValueError, match=r"input_values: shape .* expected mono"):
        model.encode(values[:, 0])
    with pytest.raises(ValueError, match="padding before samples"):
        model.encode(values, mask.flip(1))
    with pytest.raises(ValueError, match=r"padding_mask: shape"):
        model.encode(values, mask[:, 1:])
    with pytest.raises(ValueError, match="num_quantizers = 10: expected 1 to 9"):
        model.encode(values, mask, num_quantizers=10)
    with pytest.raises(ValueError, match="codebook 0 has codes 0 to 63"):
        model.decode(torch.full((1, 9, 2), 64))
    with pytest.raises(ValueError, match="samples exceed 1 frames"):
        model.decode(torch.zeros(1, 9, 1, dtype=torch.int64), torch.ones(1, 1_921, dtype=torch.int64))
    with pytest.raises(ValueError, match="depth: no such setting"):
        Codec37Config(codec={"depth": 3})
    with pytest.raises(ValueError, match=r"push_to_hub\(repo_id\)"):
        model.save_pretrained(tmp_path, push_to_hub=True)

    damaged = tmp_path / "damaged"
    model.save_pretrained(damaged)
    state = load_file(damaged / "model.safetensors")
    del state["codec.quantizer.semantic.embedding_sum"]
    save_file(state, damaged / "model.safetensors", {"format": "pt"})
    for load in (Codec37Model.from_pretrained, codec.load):
        with pytest.raises(CheckpointError, match=r"missing (codec\.)?quantizer\.semantic\.embedding_sum"):
            load(damaged)


class Commit:
    repo_id, commit_url = "owner/name", "https://hub/commit"


def test_a_push_fills_in_the_card_and_keeps_one(model, monkeypatch):
    uploads, cards = [], {"exists": False}

    def upload(self, *, folder_path, **arguments):
        uploads.append(({p.name: p.read_bytes() for p in Path(folder_path).iterdir()}, arguments))
        return Commit

    monkeypatch.setattr(HfApi, "create_repo", lambda self, repo_id, private, exist_ok: Commit)
    monkeypatch.setattr(HfApi, "file_exists", lambda self, repo_id, name: cards["exists"])
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    said = {"description": "A toy.", "data": "Three clips, CC0.", "license": "cc0-1.0"}
    assert model.push_to_hub("name", **said, create_pr=True) == Commit.commit_url
    cards["exists"] = True
    model.push_to_hub("name")

    (files, arguments), (again, _) = uploads
    assert arguments == {"repo_id": "owner/name", "commit_message": "Upload codec", "create_pr": True}
    assert files.keys() - again.keys() == {"README.md"}
    assert again.keys() == {"config.json", "model.safetensors", "preprocessor_config.json"}
    card = files["README.md"].decode()
    assert not set("{}") & set(card)
    for fact in (
        "A toy.",
        "Three clips, CC0.",
        "license: cc0-1.0",
        "12.5 frames",
        "0.51 kbit/s",
        "owner/name",
        "Not said",
    ):
        assert fact in card
    assert card.startswith("---\n")
