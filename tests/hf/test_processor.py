"""Texts and recordings in one sequence of ids, and back; a processor is one folder."""

import pytest
import torch
from transformers import AutoModelForAudioTokenization, AutoProcessor

from codec.hf import Codec37Processor
from codec.tokens.layout import EMPTY, END

CLIPS = ["tests/data/kathleen.flac", "tests/data/flemishguy.flac"]
TEXTS = ["say <|audio|>", "this <|audio|> <|audio|> again", "again"]


def test_ids_are_those_of_words_and_layout(processor, tokenizer):
    (ids,) = processor(TEXTS[0], CLIPS[0]).input_ids
    codes = tokenizer.encode(CLIPS[0]).codes[:, :3]
    first, *offsets = processor.id_layout.offsets
    expected = codes + 2 + torch.tensor([first, *offsets])[:, None]
    end = torch.tensor([END, *(EMPTY + offset for offset in offsets)])
    frames = torch.cat([expected[0].T.flatten(), end]) + len(processor.tokenizer)
    assert ids == [2, *frames.tolist()]
    assert max(ids) < processor.vocab_size == 5 + (64 + 2) + 2 * (21 + 2)


def test_what_goes_in_comes_out(processor, tokenizer):
    """In padded rows too, with recordings one after another; from codes as from audio."""
    expected = tokenizer.encode([CLIPS[0], CLIPS[1], CLIPS[0]])
    batch = processor(TEXTS, [CLIPS[0], CLIPS[1], CLIPS[0]], return_tensors="pt")
    again = processor(TEXTS, audio_codes=[item.codes[0] for item in expected], return_tensors="pt")
    assert torch.equal(batch.input_ids, again.input_ids)
    assert batch.input_ids.shape == batch.attention_mask.shape
    texts = processor.batch_decode(batch.input_ids, skip_special_tokens=True)
    assert [text.split() for text in texts] == [["say<|audio|>"], ["this<|audio|><|audio|>again"], ["again"]]
    items = [item.codes[0, :3] for item in expected]
    for row, codes in zip(batch.input_ids, (items[:1], items[1:], []), strict=True):
        found = [part for part in processor.split(row) if isinstance(part, torch.Tensor)]
        assert len(found) == len(codes)
        assert all(torch.equal(a, b) for a, b in zip(found, codes, strict=True))
    (waveform,) = processor.decode_audio(batch.input_ids[0])
    torch.testing.assert_close(waveform, tokenizer.decode(items[0][None])[0], atol=1e-5, rtol=0)


def test_a_recording_that_does_not_end(processor):
    """As when a model has generated as many ids as it was allowed."""
    (ids,) = processor("say <|audio|>", audio_codes=[torch.arange(12).reshape(3, 4)]).input_ids
    whole, part = processor.split(ids[: 1 + 3 * 2 + 2])
    assert (whole, part.tolist()) == ([2], [[0, 1], [4, 5], [8, 9]])
    assert [len(w) for w in processor.decode_audio(ids[: 1 + 3 * 2 + 2])] == [2 * 1_920]
    assert processor.split(ids[:2]) == [[2]]
    with pytest.raises(ValueError, match="codes"):
        processor.split([ids[0], ids[2], *ids[2:]])


def test_a_processor_is_one_folder(processor, tmp_path):
    """Wherever it is moved to: the codec is in it."""
    processor.save_pretrained(tmp_path / "new")
    (tmp_path / "new").rename(tmp_path / "moved")
    again = AutoProcessor.from_pretrained(tmp_path / "moved")
    assert type(again) is Codec37Processor
    assert again.vocab_size == processor.vocab_size
    assert again(TEXTS[1], CLIPS).input_ids == processor(TEXTS[1], CLIPS).input_ids
    codec = AutoModelForAudioTokenization.from_pretrained(tmp_path / "moved")
    assert codec.config.codec == processor.audio_tokenizer.config.codec


def test_refusals(processor, model, words):
    with pytest.raises(ValueError, match=r"<\|audio\|> 1 times for 2 recordings; expected one each"):
        processor(TEXTS[0], CLIPS)
    with pytest.raises(ValueError, match="num_quantizers = 10: expected 1 to 9"):
        Codec37Processor(processor.feature_extractor, words, model, num_quantizers=10)
    with pytest.raises(ValueError, match="codebook 0 has codes 0 to 63"):
        processor(TEXTS[0], audio_codes=[torch.full((3, 1), 64)])
    with pytest.raises(TypeError, match="audio_tokenizer"):
        Codec37Processor(processor.feature_extractor, words, torch.nn.Linear(1, 1))
