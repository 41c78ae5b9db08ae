"""A small tekken.json in the released format: markers by name, ids after the 1000 special ones."""

import json
import sys

import pytest
from spans import check_spans
from tiny_tekken import NAMES, PIECES, tekken_content

from codec.extras import MissingDependencyError
from codec.tts.text.tekken import TekkenTokenizer
from codec.tts.text.tokenizer import SpecialIds


@pytest.fixture
def content() -> dict:
    return tekken_content()


@pytest.fixture
def path(content, tmp_path):
    path = tmp_path / "tekken.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def tekken(path) -> TekkenTokenizer:
    pytest.importorskip("mistral_common")
    return TekkenTokenizer(path)


def test_markers_are_found_by_name(tekken):
    assert tekken.special == SpecialIds(bos=1, begin_audio=25, next_text=36, repeat=35, pad=11)
    assert tekken.vocab_size == 1_000 + len(PIECES) - 1


def test_ids_are_ranks_after_the_special_ones(tekken):
    assert tekken.encode(" the the") == [1_258, 1_258]
    assert tekken.encode("that") == [1_256, 1_000 + ord("a"), 1_000 + ord("t")]


@pytest.mark.parametrize("text", ["", "the [REPEAT_AUDIO_TEXT] <s>", "Größe नमस्ते 🙂\n\n x"])
def test_text_comes_back_and_holds_no_marker(tekken, text):
    ids = tekken.encode(text)
    assert all(1_000 <= i < tekken.vocab_size for i in ids)
    assert tekken.decode([tekken.special.bos, *ids, tekken.special.repeat]) == text


@pytest.mark.parametrize("text", ["", "that the", "Größe नमस्ते 🙂!"])
def test_spans_cover_the_text_in_order(tekken, text):
    check_spans(tekken, text)


def test_save_copies_the_file(tekken, path, tmp_path):
    tekken.save(tmp_path / "copy.json")
    assert (tmp_path / "copy.json").read_bytes() == path.read_bytes()


def test_a_model_without_speech_is_refused(path, content):
    pytest.importorskip("mistral_common")
    for token in content["special_tokens"]:
        token["token_str"] = NAMES.get(token["rank"], f"<SPECIAL_{token['rank']}>")
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"tekken\.json: no special tokens \[NEXT_AUDIO_TEXT\], \[REPEAT_AUDIO_TEXT\]"):
        TekkenTokenizer(path)


@pytest.mark.parametrize("damage", ["not json", "{}", '{"config": 3}', None])
def test_damaged_files_are_named(damage, path):
    pytest.importorskip("mistral_common")
    path.unlink() if damage is None else path.write_text(damage)
    with pytest.raises(ValueError, match=r"tekken\.json: not a"):
        TekkenTokenizer(path)


def test_missing_package_is_named(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mistral_common.tokens.tokenizers.tekken", None)
    with pytest.raises(MissingDependencyError, match=r"mistral-common: pip install 'codec37\[voxtral\]'"):
        TekkenTokenizer(path)
