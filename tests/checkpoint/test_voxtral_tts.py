"""The released layout of the TTS: a release in small from the golden files, there and back, and what is refused."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import GOLDEN, make_codec
from tiny_tekken import tekken_content

import codec
from codec.checkpoint.store import CONFIG, CheckpointError
from codec.checkpoint.voxtral import PARAMS, WEIGHTS
from codec.checkpoint.voxtral_tts import config_from_params, from_released, params_from_config, to_released
from codec.tts.checkpoint import load_tts, save_tts
from codec.tts.config import PRESETS, TransformerConfig, TTSConfig
from codec.tts.export import export_voxtral
from codec.tts.generate import FrameLoop
from codec.tts.heads.base import HeadSampling
from codec.tts.model import TTSModel
from codec.tts.sampling import Sampling
from codec.tts.sequence import NONE

pytest.importorskip("mistral_common")
TINY = {"dim": 64, "n_heads": 4, "n_kv_heads": 2, "head_dim": 16, "hidden_dim": 128}
GREEDY = Sampling(temperature=0, max_frames=6)


@pytest.fixture(scope="module")
def golden():
    return load_file(GOLDEN / "golden_flow_tiny.safetensors")


@pytest.fixture(scope="module")
def tensors(golden):
    """Of a whole release: what the golden files lack, a backbone and text embeddings, is random."""
    torch.manual_seed(0)
    backbone = TransformerConfig(n_layers=2, **TINY)
    head = TransformerConfig(n_layers=3, **TINY)
    sizes = {"semantic_codebook_size": 64, "acoustic_dim": 8, "vocab_size": 512}
    theirs = to_released(TTSModel(TTSConfig(**sizes, backbone=backbone, head_transformer=head)).state_dict())
    parts = (golden, load_file(GOLDEN / "golden_codec_tiny.safetensors"))
    return theirs | {n: t for part in parts for n, t in part.items() if not n.startswith("golden.")}


@pytest.fixture
def release(tensors, tmp_path):
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / PARAMS).write_text((GOLDEN / "params_codec_tiny.json").read_text())
    (folder / "tekken.json").write_text(json.dumps(tekken_content(100)))
    save_file(tensors, folder / WEIGHTS)
    return folder


def edit_params(folder, path, **changes):
    params = json.loads((folder / PARAMS).read_text())
    args = params
    for key in path.split(".") if path else []:
        args = args[key]
    args |= changes
    for key in [key for key, value in changes.items() if value is None]:
        del args[key]
    (folder / PARAMS).write_text(json.dumps(params))


def test_golden_frames(release, golden):
    model, _ = load_tts(release)
    model.requires_grad_(False)
    hidden, alpha = golden["golden.hidden"], golden["golden.cfg_alpha"]
    logits = model.semantic_logits(hidden)
    torch.testing.assert_close(logits, golden["golden.semantic_logits"], atol=1e-5, rtol=0)
    semantic = logits.argmax(1)
    assert torch.equal(semantic, golden["golden.semantic_codes"])
    points = model.acoustic_head.solve(hidden, golden["golden.x0"], HeadSampling(), alpha)
    frames = model.make_frames(semantic, model.acoustic_head.round(points[-1]))
    assert torch.equal(frames, golden["golden.codes"])
    embedded = model.embed(torch.full((1, 4, 1), NONE), frames[None])[0]
    torch.testing.assert_close(embedded, golden["golden.frame_embedding"], atol=1e-5, rtol=0)
    assert model.layout.offsets == tuple(golden["golden.codebook_offsets"].tolist())


def test_the_first_frames_are_those_of_the_prompt(release):
    """The released prompt by its ids, in one pass: its last position gives the first frame, and each frame the next."""
    model, tokenizer = load_tts(release)
    voice = torch.randint(0, 21, (9, 5))
    loop = FrameLoop(model, tokenizer.special)
    loop.start(0, loop.prefill(voice), tokenizer.encode("the"), GREEDY)
    frames = [loop.advance()[0].codes[:, 0] for _ in range(3)]
    inputs = [*(voice.T + 2), torch.tensor([1] + [0] * 8)]
    ids = [1, 25, *[NONE] * len(inputs), 36, *tokenizer.encode("the"), 35, 25]
    for n in range(3):
        text = torch.tensor([ids + [NONE] * n])[..., None]
        read = torch.full((1, text.shape[1], 9), NONE)
        read[0, 2 : 2 + len(inputs)] = torch.stack(inputs)
        if n:
            read[0, -n:] = torch.stack(frames[:n]) + 2
        h = model.backbone(model.embed(text, read))[:, -1]
        assert int(model.semantic_logits(h).argmax()) == frames[n][0] + 2


def test_the_codec_is_that_of_the_folder(release):
    model, _ = load_tts(release)
    assert codec.load(model.config.codec).config.codebook_sizes == model.config.codebook_sizes


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_round_trip(release, tmp_path, dtype):
    model, tokenizer = load_tts(release, dtype)
    export_voxtral(tmp_path / "again", model, tokenizer, codec.load(release))
    again, same = load_tts(tmp_path / "again", None)
    assert again.config.codec == str(tmp_path / "again")
    again.config.codec = model.config.codec
    assert again.config == model.config
    for (name, a), b in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        assert a.dtype == b.dtype == dtype, name
        assert torch.equal(a, b), name
    assert same.encode("the hat") == tokenizer.encode("the hat")
    codes = torch.randint(0, 21, (1, 9, 4))
    audio, audio_again = (codec.load(folder).decode(codes)[0] for folder in (release, tmp_path / "again"))
    torch.testing.assert_close(audio_again, audio, atol=1e-6, rtol=1e-5)


def test_as_a_checkpoint_of_ours(release, tmp_path):
    model, tokenizer = load_tts(release)
    save_tts(tmp_path / "ours", model.config, model.state_dict(), tokenizer)
    again, same = load_tts(tmp_path / "ours")
    assert again.config == model.config
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert same.special == tokenizer.special


def test_types_of_the_file_are_kept_on_request(release, tensors):
    save_file({name: t.bfloat16() for name, t in tensors.items()}, release / WEIGHTS)
    assert {p.dtype for p in load_tts(release, None)[0].parameters()} == {torch.bfloat16}
    assert {p.dtype for p in load_tts(release)[0].parameters()} == {torch.float32}


def config_of(params):
    return TTSConfig.from_json(json.dumps(config_from_params(params) | {"codec": PRESETS["voxtral"].codec}))


def test_params_of_the_release():
    """What params.json of the 4B model says makes the preset, and the preset says it again."""
    sizes = {"dim": 3072, "head_dim": 128, "hidden_dim": 9216, "n_heads": 32, "n_kv_heads": 8, "use_biases": False}
    unused = {"sigma": 1e-5, "sigma_max": 1.0, "rope_theta": 10000}
    audio = {
        "semantic_codebook_size": 8192, "acoustic_codebook_size": 21, "n_acoustic_codebook": 36,
        "audio_encoding_args": {"codebook_pattern": "parallel", "num_codebooks": 37, "frame_rate": 12.5},
        "input_embedding_concat_type": "sum", "p_uncond": 0.0,
        "acoustic_transformer_args": {"input_dim": 3072, **sizes, "n_layers": 3, **unused},
    }  # fmt: skip
    params = {
        **sizes, "n_layers": 26, "causal": True, "rope_theta": 1e6, "norm_eps": 1e-5, "vocab_size": 131072,
        "tied_embeddings": True, "model_type": "voxtral_tts", "fp8_matmul": False,
        "multimodal": {"bos_token_id": 1, "audio_model_args": audio},
    }  # fmt: skip
    assert config_of(params) == PRESETS["voxtral"]
    del audio["semantic_codebook_size"], audio["n_acoustic_codebook"], audio["acoustic_codebook_size"]
    audio["codebook_sizes"] = ",".join(["8192"] + ["21"] * 36)
    assert config_of(params) == PRESETS["voxtral"]
    written = params_from_config(json.loads(PRESETS["voxtral"].to_json()), codec.preset("voxtral"))
    assert config_of(written) == PRESETS["voxtral"]


def test_names_of_the_release():
    """All 270 that the language model has in the 4B release, and their shapes."""
    with torch.device("meta"):
        theirs = to_released(TTSModel(PRESETS["voxtral"]).state_dict())
    assert len(theirs) == 234 + 1 + 2 + 33
    shapes = {
        "mm_audio_embeddings.tok_embeddings.weight": (131072, 3072),
        "mm_audio_embeddings.audio_codebook_embeddings.embeddings.weight": (9088, 3072),
        "norm.weight": (3072,),
        "layers.25.attention.wq.weight": (4096, 3072),
        "layers.25.attention.wk.weight": (1024, 3072),
        "layers.25.attention.wo.weight": (3072, 4096),
        "layers.25.feed_forward.w3.weight": (9216, 3072),
        "layers.25.feed_forward.w2.weight": (3072, 9216),
        "layers.25.ffn_norm.weight": (3072,),
        "acoustic_transformer.layers.2.attention.wv.weight": (1024, 3072),
        "acoustic_transformer.input_projection.weight": (3072, 36),
        "acoustic_transformer.llm_projection.weight": (3072, 3072),
        "acoustic_transformer.semantic_codebook_output.weight": (8320, 3072),
        "acoustic_transformer.acoustic_codebook_output.weight": (36, 3072),
    }
    assert {name: tuple(theirs[name].shape) for name in shapes} == shapes


def test_renaming_there_and_back():
    state = TTSModel(PRESETS["tiny"]).state_dict()
    again = from_released(to_released(state))
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], state[name]) for name in state)


def test_tensors_that_speech_does_not_need_are_ignored(release, tensors):
    more = {"output.weight": torch.ones(4), "acoustic_transformer.time_embedding.inv_freq": torch.ones(4)}
    save_file(tensors | more, release / WEIGHTS)
    load_tts(release)


AUDIO = "multimodal.audio_model_args"
HEAD = AUDIO + ".acoustic_transformer_args"


@pytest.mark.parametrize(
    ("path", "changes", "message"),
    [
        ("", {"use_biases": True}, "use_biases = True is not supported"),
        ("", {"causal": False}, "causal = False is not supported"),
        ("", {"sliding_window": 4096}, "sliding_window = 4096 is not supported"),
        ("", {"n_kv_heads": 3}, "n_kv_heads = 3"),
        ("", {"n_layers": "2"}, "n_layers|TTS config.backbone"),
        ("", {"vocab_size": None}, "key 'vocab_size' is missing"),
        (AUDIO, {"input_embedding_concat_type": "mean"}, "input_embedding_concat_type = 'mean'"),
        (AUDIO, {"n_acoustic_codebook": None}, "key 'n_acoustic_codebook' is missing"),
        (AUDIO, {"codebook_sizes": "64,21,5"}, "codebook_sizes = '64,21,5'"),
        (AUDIO, {"codebook_sizes": "64"}, "codebook_sizes = '64'"),
        (AUDIO, {"codebook_sizes": [64, 21]}, "expected a string of comma-separated integers"),
        (AUDIO + ".audio_encoding_args", {"codebook_pattern": "delay"}, "codebook_pattern = 'delay'"),
        (HEAD, {"input_dim": 32}, "input_dim = 32 is not supported, only 64"),
        (HEAD, {"dim": 32, "input_dim": 32}, "head_transformer.dim = 32"),
        ("multimodal", {"audio_model_args": None}, "key 'audio_model_args' is missing"),
    ],
)
def test_unsupported_params(release, path, changes, message):
    edit_params(release, path, **changes)
    with pytest.raises(CheckpointError, match=f"{PARAMS}: .*({message})"):
        load_tts(release)


@pytest.mark.parametrize(
    "name",
    [
        "norm.weight",
        "layers.1.attention.wk.weight",
        "mm_audio_embeddings.tok_embeddings.weight",
        "acoustic_transformer.llm_projection.weight",
        "acoustic_transformer.layers.2.attention_norm.weight",
    ],
)
def test_missing_and_misshapen_tensors_are_named(release, tensors, name):
    save_file({n: t for n, t in tensors.items() if n != name}, release / WEIGHTS)
    with pytest.raises(CheckpointError, match=f"{WEIGHTS}: .*missing {name}"):
        load_tts(release)
    save_file(tensors | {name: tensors[name][:-1].clone()}, release / WEIGHTS)
    with pytest.raises(CheckpointError, match=f"{WEIGHTS}: .*{name} has shape"):
        load_tts(release)


def test_more_layers_than_params_say_are_refused(release):
    edit_params(release, "", n_layers=1)
    with pytest.raises(CheckpointError, match=r"unexpected layers\.1\."):
        load_tts(release)


@pytest.mark.parametrize("name", [PARAMS, WEIGHTS, "tekken.json"])
def test_missing_or_cut_file(release, name):
    path = release / name
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=name):
        load_tts(release)
    path.unlink()
    with pytest.raises(CheckpointError, match=f"{name}|{CONFIG}"):
        load_tts(release)


def test_a_tokenizer_of_another_model_is_refused(release):
    (release / "tekken.json").write_text(json.dumps(tekken_content(1_000)))
    with pytest.raises(CheckpointError, match="the tokenizer has 1259 ids, the network has 512"):
        load_tts(release)


def test_what_the_layout_cannot_say(release, tmp_path):
    model, tokenizer = load_tts(release)
    speaks = codec.load(release)
    model.config.sequence.design = "dual"
    with pytest.raises(ValueError, match="design = 'dual': the released layout supports only 'prefix'"):
        export_voxtral(tmp_path / "out", model, tokenizer, speaks)
    model.config.sequence.design = "prefix"
    model.config.acoustic_scale = 4.0
    with pytest.raises(ValueError, match="acoustic_scale"):
        export_voxtral(tmp_path / "out", model, tokenizer, speaks)
    model.config.acoustic_scale = 1.0
    with pytest.raises(ValueError, match="codec: its codebooks"):
        export_voxtral(tmp_path / "out", model, tokenizer, codec.Tokenizer(make_codec("16 kHz")))
    assert not (tmp_path / "out").exists()
