"""The tiny codec in transformers, beside a text tokenizer of a few words."""

import pytest
from tokenizers import Tokenizer as Words
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from codec.hf import Codec37FeatureExtractor, Codec37Model, Codec37Processor


@pytest.fixture(scope="session")
def model(tokenizer):
    return Codec37Model.from_codec(tokenizer)


@pytest.fixture(scope="session")
def words():
    ids = {word: i for i, word in enumerate(["<pad>", "<unk>", "say", "this", "again"])}
    vocabulary = Words(WordLevel(ids, "<unk>"))
    vocabulary.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=vocabulary, pad_token="<pad>", unk_token="<unk>")


@pytest.fixture(scope="session")
def processor(model, words):
    return Codec37Processor(Codec37FeatureExtractor.of(model.config), words, model, num_quantizers=3)
