"""Language models as backbones: hidden states are those of transformers, and what cannot be is refused by name."""

import dataclasses
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from codec.checkpoint.store import CONFIG, WEIGHTS, CheckpointError
from codec.dataset.folder import write_index
from codec.tts.backbone import Backbone
from codec.tts.checkpoint import load_tts
from codec.tts.config import PRESETS, TransformerConfig, TTSConfig
from codec.tts.model import TTSModel
from codec.tts.pretrained import HF, INDEX, TOKENIZER, adjacent_pairs, read_backbone, read_tokenizer
from codec.tts.text.tokenizer import SPECIAL_TOKENS
from train.data.tokens.sequences import SpeechDataConfig
from train.data.tokens.shards import TokenUtterance, write_shard
from train.losses.config import TTSLossConfig
from train.tasks.tts import TTSTask

transformers = pytest.importorskip("transformers")
VOCAB = 300
SIZES = {
    "vocab_size": VOCAB, "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 6,
    "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-5, "initializer_range": 0.2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 5e4},
}  # fmt: skip
TEXTS = ["the cat sat on the mat, the hat and the bat", "<s> a b </s>", "Größe, ça va"] * 5


def make_llama(**changes):
    torch.manual_seed(0)
    return transformers.LlamaModel(transformers.LlamaConfig(**{**SIZES, **changes})).eval()


def make_mistral(**changes):
    torch.manual_seed(0)
    config = transformers.MistralConfig(**{**SIZES, "sliding_window": None, **changes})
    return transformers.MistralForCausalLM(config).eval()


def train_tokenizer():
    """Byte-level BPE as language models have it: BOS before each text, special tokens found in texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=290, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.add_special_tokens(["<|extra|>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return tokenizer


@pytest.fixture(scope="module")
def theirs():
    return train_tokenizer()


@pytest.fixture
def folder(tmp_path, theirs):
    make_llama().save_pretrained(tmp_path / "llama")
    theirs.save(str(tmp_path / "llama" / TOKENIZER))
    return tmp_path / "llama"


def edit_config(folder, **changes):
    config = json.loads((folder / CONFIG).read_text()) | changes
    (folder / CONFIG).write_text(json.dumps({name: v for name, v in config.items() if v != "absent"}))


def backbone_of(pretrained):
    backbone = Backbone(pretrained.config, pretrained.rope_theta).requires_grad_(False)
    backbone.load_state_dict(pretrained.state)
    return backbone


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("make", [make_llama, make_mistral])
@pytest.mark.parametrize("changes", [{}, {"num_key_value_heads": 6}, {"tie_word_embeddings": True}])
def test_hidden_states_are_those_of_transformers(tmp_path, make, changes, cached):
    model = make(**changes).requires_grad_(False)
    model.save_pretrained(tmp_path)
    pretrained = read_backbone(tmp_path)
    backbone = backbone_of(pretrained)
    ids = torch.randint(0, VOCAB, (2, 30))
    expected = model.base_model(input_ids=ids).last_hidden_state
    x = pretrained.text_embedding[ids]
    if cached:
        state, parts = backbone.init_state(2, 40), []
        for chunk in x.split([9, 1, 1, 19], dim=1):
            h, state = backbone.step(chunk, state)
            parts.append(h)
        h = torch.cat(parts, dim=1)
    else:
        h = backbone(x)
    assert expected.std() > 0.5
    torch.testing.assert_close(h, expected, atol=1e-4, rtol=0)


def test_the_order_of_channels_matters(folder):
    """Without the permutation the hidden states are others: the comparison above can fail."""
    pretrained = read_backbone(folder)
    c = pretrained.config
    n = (c.n_heads + c.n_kv_heads) * c.head_dim
    state = dict(pretrained.state)
    for i in range(c.n_layers):
        name = f"layers.{i}.attention.qkv.weight"
        state[name] = torch.cat([adjacent_pairs(state[name][:n], c.head_dim), state[name][n:]])
    x = torch.randn(1, 10, c.dim)
    wrong = backbone_of(dataclasses.replace(pretrained, state=state))(x)
    assert (wrong - backbone_of(pretrained)(x)).abs().max() > 0.1


def test_channels_i_and_half_become_neighbours():
    rows = torch.arange(12.0)[:, None]
    assert adjacent_pairs(rows, 6).flatten().tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]


def test_many_files(tmp_path, folder):
    make_llama().save_pretrained(tmp_path / "sharded", max_shard_size="50KB")
    assert not (tmp_path / "sharded" / WEIGHTS).exists()
    whole, sharded = read_backbone(folder), read_backbone(tmp_path / "sharded")
    assert all(torch.equal(tensor, sharded.state[name]) for name, tensor in whole.state.items())
    assert torch.equal(whole.text_embedding, sharded.text_embedding)
    shard = sorted((tmp_path / "sharded").glob("*-00001-*.safetensors"))[0]
    shard.unlink()
    with pytest.raises(CheckpointError, match=f"{shard.name}: not found"):
        read_backbone(tmp_path / "sharded")
    (tmp_path / "sharded" / INDEX).write_text("{}")
    with pytest.raises(CheckpointError, match=f"{INDEX}: no weight_map"):
        read_backbone(tmp_path / "sharded")


def test_older_configs(folder):
    """`rope_theta` at the top, heads and width of heads by default."""
    theta = {"rope_parameters": "absent", "rope_theta": 5e4, "rope_scaling": None}
    expected = read_backbone(folder)
    edit_config(folder, **theta)
    assert read_backbone(folder).rope_theta == expected.rope_theta == 5e4
    make_llama(num_attention_heads=4, num_key_value_heads=4, head_dim=12).save_pretrained(folder)
    edit_config(folder, num_key_value_heads="absent", head_dim="absent", rope_parameters="absent")
    older = read_backbone(folder)
    assert (older.config.n_kv_heads, older.config.head_dim, older.rope_theta) == (4, 12, 10_000)


def test_types_are_those_of_the_file(tmp_path):
    make_llama().bfloat16().save_pretrained(tmp_path)
    pretrained = read_backbone(tmp_path)
    assert {t.dtype for t in (*pretrained.state.values(), pretrained.text_embedding)} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "qwen2"}, "model_type = 'qwen2' is not supported, only 'llama' and 'mistral'"),
        ({"attention_bias": True}, "attention_bias = True is not supported"),
        ({"mlp_bias": True}, "mlp_bias = True is not supported"),
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu' is not supported"),
        ({"model_type": "mistral", "sliding_window": 64}, "sliding_window = 64 is not supported"),
        ({"model_type": "mistral"}, "sliding_window = 4096 is not supported"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}}, "rope_type = 'llama3' is not supported"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "type = 'linear' is not supported"),
        ({"hidden_size": "absent"}, "key 'hidden_size' is missing"),
        ({"num_key_value_heads": 4}, "n_kv_heads = 4"),
        ({"hidden_size": "48"}, ""),
    ],
)
def test_unsupported_features_are_named(folder, changes, message):
    edit_config(folder, **changes)
    with pytest.raises(CheckpointError, match=f"{CONFIG}: .*{message}"):
        read_backbone(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": 4}, "missing layers.3.input_layernorm.weight"),
        ({"num_hidden_layers": 2}, "unexpected layers.2.input_layernorm.weight"),
        ({"intermediate_size": 64}, r"layers.0.mlp.down_proj.weight has shape \(48, 96\), expected \(48, 64\)"),
        ({"vocab_size": 10}, "embed_tokens.weight has shape"),
    ],
)
def test_tensors_that_do_not_fit_are_named(folder, changes, message):
    edit_config(folder, **changes)
    with pytest.raises(CheckpointError, match=message):
        read_backbone(folder)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_missing_or_cut_file(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=f"{name}: cannot be read"):
        read_backbone(folder)
    path.unlink()
    with pytest.raises(CheckpointError, match=f"{name}: (not found|cannot be read)"):
        read_backbone(folder)


def test_a_hub_id_downloads_only_what_is_needed(folder, monkeypatch):
    asked = []

    def download(name, allow_patterns, local_files_only):
        asked.append((name, allow_patterns))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", lambda self, name, timeout: None)
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    read_backbone("owner/model")
    assert asked == [("owner/model", [CONFIG, TOKENIZER, INDEX, "model*.safetensors"])]


def test_no_such_folder():
    with pytest.raises(CheckpointError, match="no/such/model: no such folder"):
        read_backbone("no/such/model")


@given(st.text(max_size=40) | st.lists(st.sampled_from([*SPECIAL_TOKENS, "<s>", "<|extra|>", "the "])).map("".join))
@settings(max_examples=100, deadline=None)
def test_text_has_the_ids_of_the_language_model_and_no_marker(tmp_path_factory, theirs, text):
    folder = tmp_path_factory.getbasetemp()
    theirs.save(str(folder / TOKENIZER))
    tokenizer = read_tokenizer(folder)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not {*ids} & {*dataclasses.astuple(tokenizer.special)}
    if "<" not in text:
        assert ids == theirs.encode(text, add_special_tokens=False).ids


def test_markers_come_after_the_text(folder, theirs, tmp_path):
    tokenizer = read_tokenizer(folder)
    first = theirs.get_vocab_size(with_added_tokens=False)
    assert sorted(dataclasses.astuple(tokenizer.special)) == list(range(first, first + 5))
    assert tokenizer.vocab_size == first + 5
    tokenizer.save(tmp_path / "saved.json")
    again = type(tokenizer).load(tmp_path / "saved.json")
    assert again.special == tokenizer.special
    assert again.encode("the hat <s>") == tokenizer.encode("the hat <s>")


@pytest.mark.parametrize("content", [None, "{", "{}", '{"model": {"type": "Unigram", "vocab": []}}'])
def test_other_tokenizers_are_named(folder, content):
    (folder / TOKENIZER).unlink() if content is None else (folder / TOKENIZER).write_text(content)
    with pytest.raises(CheckpointError, match=TOKENIZER):
        read_tokenizer(folder)


def test_markers_stay_random(folder):
    pretrained, tokenizer = read_backbone(folder), read_tokenizer(folder)
    config = pretrained.adapt_config(dataclasses.replace(PRESETS["tiny"], vocab_size=tokenizer.vocab_size))
    assert config.head_transformer == dataclasses.replace(pretrained.config, n_layers=3)
    model = TTSModel(config)
    pretrained.copy_to(model, tokenizer.special)
    weight = model.text_embedding.weight
    n_text = tokenizer.vocab_size - 5
    assert torch.equal(weight[:n_text], pretrained.text_embedding[:n_text])
    markers = weight[n_text:].detach()
    assert torch.isfinite(markers).all()
    assert float(markers.std()) == pytest.approx(float(pretrained.text_embedding.std()), rel=0.3)
    small = dataclasses.replace(pretrained, text_embedding=pretrained.text_embedding[:100])
    with pytest.raises(ValueError, match=f"the tokenizer has id {n_text - 1}, the language model embeds 100"):
        small.copy_to(model, tokenizer.special)


def write_tokens(folder, n=4):
    folder.mkdir()
    index = {"codec": "tiny", "fingerprint": "ab12", "codebook_sizes": [64, *[21] * 8], "frame_rate": 12.5}
    write_index(folder, index | {"n_shards": 1, "speeds": [1.0]})
    speech = [torch.randint(0, 21, (9, 12), dtype=torch.int16) for _ in range(n)]
    activity = torch.full((12,), 255, dtype=torch.uint8)
    said = [TokenUtterance(f"clip{i}", "the cat", "ann", "en", 1.0, codes, activity) for i, codes in enumerate(speech)]
    write_shard(folder, 0, said, 9)


@pytest.mark.parametrize("freeze", [False, True])
def test_a_training_step_from_a_language_model(folder, tmp_path, freeze):
    write_tokens(tmp_path / "tokens")
    config = TTSConfig(
        semantic_codebook_size=64, acoustic_dim=8,
        head_transformer=TransformerConfig(dim=64, n_layers=2), backbone=TransformerConfig(dim=64),
    )  # fmt: skip
    data = SpeechDataConfig(str(tmp_path / "tokens"), row_steps=128, batch_size=1, num_workers=0)
    task = TTSTask(config, data, TTSLossConfig(freeze_text=freeze), 0, HF + str(folder))
    pretrained = read_backbone(folder)
    assert (task.config.backbone, task.config.rope_theta) == (pretrained.config, 5e4)
    assert task.config.head_transformer == dataclasses.replace(pretrained.config, n_layers=2)
    before = task.model.text_embedding.weight.clone()
    optimizer = torch.optim.SGD([p for p in task.model.parameters() if p.requires_grad], 1e-2)
    metrics = task.backward(next(task.batches(0, 0, 1)), 0, 1.0, torch.Generator().manual_seed(0))
    optimizer.step()
    assert torch.isfinite(metrics["loss/total"])
    assert torch.equal(task.model.text_embedding.weight, before) is freeze
    changed = task.model.backbone.layers[0].attention.qkv.weight
    assert not torch.equal(changed, pretrained.state["layers.0.attention.qkv.weight"])
    task.export(tmp_path / "exported", task.model.state_dict())
    model, tokenizer = load_tts(tmp_path / "exported")
    assert model.config == task.config
    assert tokenizer.special == task.tokenizer.special
