"""Whisper distillation, with a tiny untrained teacher: the loss depends on the real audio and on nothing else."""

from pathlib import Path

import pytest
import torch
from tiny_whisper import END, save_teacher

from codec.config import preset
from train.losses.distill import Distillation, DistillConfig, make_distillation
from train.losses.teacher import TeacherStates, to_frames, token_attention
from train.losses.whisper import WhisperTeacher, alignment_heads, encode

CONFIG = preset("tiny")
HOP, DIM, RATE = CONFIG.hop_length, CONFIG.quantizer.semantic_dim, CONFIG.sample_rate
SECONDS = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_teacher(tmp_path_factory.mktemp("whisper"), SECONDS)


@pytest.fixture
def distill(folder: str) -> Distillation:
    torch.manual_seed(1)
    return make_distillation(DistillConfig(kind="whisper", whisper=folder, max_text_tokens=8), CONFIG)


def batch(*lengths: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[None]]:
    generator = torch.Generator().manual_seed(0)
    n_frames = -(-max(lengths) // HOP)
    embedding = torch.randn(len(lengths), n_frames, DIM, generator=generator)
    waveform = 0.1 * torch.randn(len(lengths), n_frames * HOP, generator=generator)
    return embedding, waveform, torch.tensor(lengths), [None] * len(lengths)


def test_teacher_decodes_text_and_alignments(distill: Distillation) -> None:
    _, waveform, lengths, _ = batch(12 * HOP, 7 * HOP + 1)
    read_out = distill.head.teacher.model.proj_out
    for item, length in zip(distill.head.teacher.transcribe(waveform, lengths), lengths.tolist(), strict=True):
        assert 0 < len(item.tokens) <= 8
        assert read_out(item.states)[:, :END].argmax(-1).equal(item.tokens), "states are those that predict the token"
        assert item.attention.shape == (len(item.states), -(-length * 50 // RATE))


def test_features_are_the_extractors_own(distill: Distillation) -> None:
    waveform = 0.1 * torch.randn(2, 16_000)
    teacher = distill.head.teacher
    teacher.sample_rate = 16_000
    expected = teacher.extractor(list(waveform.numpy()), sampling_rate=16_000, return_tensors="pt").input_features
    lengths = torch.tensor([16_000, 16_000])
    torch.testing.assert_close(teacher.features(waveform, lengths), expected, rtol=1e-4, atol=1e-4)
    short = teacher.features(waveform, lengths, 0.5)
    torch.testing.assert_close(short, expected[..., :150], rtol=1e-4, atol=1e-4)


def test_encoder_hears_less_than_its_full_length(distill: Distillation) -> None:
    encoder = distill.head.teacher.model.model.encoder
    features = torch.randn(2, 16, 100 * SECONDS)
    torch.testing.assert_close(encode(encoder, features), encoder(features).last_hidden_state)
    assert encode(encoder, features[..., :60]).shape == (2, 30, 16)


@pytest.mark.parametrize("languages", [None, ["nl-BE", "en"], [None, "xx"]])
def test_languages_are_given_or_guessed(distill: Distillation, languages: list[str | None] | None) -> None:
    teacher = distill.head.teacher
    config = teacher.model.generation_config
    config.is_multilingual, config.lang_to_id = True, {"<|en|>": 42, "<|nl|>": 43}
    config.task_to_id, config.no_timestamps_token_id = {"transcribe": 41}, 41
    _, waveform, lengths, _ = batch(12 * HOP, 7 * HOP)
    prompts = []
    generate = teacher.model.generate
    teacher.model.generate = lambda **options: prompts.append(options) or generate(**options)
    assert len(teacher.transcribe(waveform, lengths, 0.2, languages)) == 2
    given = prompts[0].get("language")
    assert given == (["<|nl|>", "<|en|>"] if languages == ["nl-BE", "en"] else given)
    assert (given is None) == (languages is None)
    assert set(given or []) <= {"<|en|>", "<|nl|>"}


@pytest.mark.parametrize(("n_tokens", "n_positions", "n_frames"), [(5, 100, 25), (1, 100, 25), (3, 2, 1), (4, 5, 10)])
def test_alignment_rows_sum_to_one(n_tokens: int, n_positions: int, n_frames: int) -> None:
    weights = torch.rand(3, n_tokens, n_positions).softmax(-1)
    alignment = to_frames(token_attention(weights), n_positions / n_frames, n_frames)
    assert alignment.shape == (n_tokens, n_frames)
    assert (alignment > 0).all()
    torch.testing.assert_close(alignment.sum(-1), torch.ones(n_tokens))


def test_alignment_finds_where_tokens_are() -> None:
    """Three tokens that attend to 0-0.4, 0.4-0.8 and 0.8-1.2 s, with noise in one head and clicks in both."""
    weights = torch.full((2, 3, 60), 1e-3)
    for token in range(3):
        weights[:, token, 20 * token : 20 * token + 20] = 1
    weights[:, 0, 50] = 100
    weights[1] += 0.1
    alignment = to_frames(token_attention(weights), 4, 15)
    assert alignment.argmax(0).tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert all(alignment[i, 5 * i : 5 * i + 5].sum() > 0.8 for i in range(3))


def test_loss_is_one_minus_the_mean_cosine(distill: Distillation, monkeypatch: pytest.MonkeyPatch) -> None:
    embedding, waveform, lengths, texts = batch(3 * HOP)
    attention, states = torch.eye(3).repeat_interleave(4, dim=1), torch.randn(3, 16)
    items = [TeacherStates(torch.arange(3), states, attention)]
    monkeypatch.setattr(distill.head.teacher, "transcribe", lambda *_: items)
    expected = 1 - torch.cosine_similarity(distill.head.project(embedding[0]), states, dim=-1).mean()
    torch.testing.assert_close(distill(embedding, waveform, lengths, texts), expected)
    monkeypatch.delattr(distill.head, "teacher")
    torch.testing.assert_close(distill(embedding, waveform, lengths, texts, items), expected)


def test_what_is_heard_needs_no_teacher(distill: Distillation) -> None:
    """A head of the same width, with the same weights, gives the same loss; items without states count as 0."""
    embedding, waveform, lengths, texts = batch(12 * HOP, 7 * HOP)
    cached = make_distillation(DistillConfig(kind="whisper", width=16), CONFIG)
    cached.load_state_dict(distill.state_dict())
    states: list[TeacherStates | None] = list(distill.head.teacher.transcribe(waveform, lengths))
    torch.testing.assert_close(cached(embedding, waveform, lengths, texts, states), distill(*batch(12 * HOP, 7 * HOP)))
    first = distill(embedding[:1], waveform[:1], lengths[:1], texts[:1])
    torch.testing.assert_close(cached(embedding, waveform, lengths, texts, [states[0], None]), first / 2)
    with pytest.raises(ValueError, match=r"the batch has none: set data\.companions"):
        cached(embedding, waveform, lengths, texts)
    with pytest.raises(ValueError, match=r"width = 8: the teacher states have 16; set"):
        make_distillation(DistillConfig(kind="whisper", width=8), CONFIG)(embedding, waveform, lengths, texts, states)


def test_teacher_or_width(folder: str) -> None:
    with pytest.raises(ValueError, match=r"whisper = .* and width = 16: give"):
        DistillConfig(kind="whisper", whisper=folder, width=16)
    with pytest.raises(ValueError, match="width = -1"):
        DistillConfig(kind="whisper", width=-1)


def spoken(n_tokens: int = 10, positions: int = 20) -> TeacherStates:
    """Token i is at positions 20 i to 20 i + 20, and says i."""
    attention = torch.eye(n_tokens).repeat_interleave(positions, dim=1)
    return TeacherStates(torch.arange(n_tokens), torch.arange(n_tokens)[:, None].repeat(1, 4).float(), attention)


@pytest.mark.parametrize("speed", [1.0, 0.8, 1.25])
def test_crop_keeps_the_tokens_inside_where_they_are(speed: float) -> None:
    """From 0.9 s to 2.9 s: of token 2, at 0.8 s to 1.2 s, three quarters are inside; of token 7, a quarter."""
    crop = spoken().crop(0.9, speed, round(100 / speed))
    assert crop is not None
    assert crop.tokens.tolist() == crop.states[:, 0].tolist() == [2, 3, 4, 5, 6]
    assert crop.attention.shape == (5, round(100 / speed))
    middles = (crop.attention * (torch.arange(crop.attention.shape[1]) + 0.5)).sum(1) / crop.attention.sum(1) / 50
    expected = (torch.tensor([1.05, 1.4, 1.8, 2.2, 2.6]) - 0.9) / speed
    torch.testing.assert_close(middles, expected, atol=0.011, rtol=0)


def test_crop_of_everything_is_the_same_and_of_nothing_none() -> None:
    whole = spoken()
    crop = whole.crop(0.0, 1.0, 200)
    assert all(getattr(crop, name).equal(getattr(whole, name)) for name in ("tokens", "states", "attention"))
    assert whole.crop(0.3, 1.0, 10) is None


def test_batch_is_the_mean_of_its_items_whatever_the_padding(distill: Distillation) -> None:
    embedding, waveform, lengths, texts = batch(20 * HOP, 9 * HOP - 7)
    singles = [
        distill(embedding[i : i + 1, :n], waveform[i : i + 1, : lengths[i]], lengths[i : i + 1], [None])
        for i, n in enumerate([20, 9])
    ]
    assert all(0 <= loss <= 2 for loss in singles)
    torch.testing.assert_close(distill(embedding, waveform, lengths, texts), torch.stack(singles).mean())


def test_gradient_reaches_the_embedding_and_not_the_teacher(distill: Distillation) -> None:
    embedding, waveform, lengths, texts = batch(12 * HOP, 7 * HOP)
    embedding.requires_grad_()
    distill(embedding, waveform, lengths, texts).backward()
    assert embedding.grad[0].any(-1).all()
    assert not embedding.grad[1, 7:].any()
    assert distill.head.project.weight.grad.any()
    assert all(p.grad is None and not p.requires_grad for p in distill.head.teacher.model.parameters())


def test_autocast_gives_a_float32_loss(distill: Distillation) -> None:
    inputs = batch(12 * HOP)
    with torch.autocast("cpu", torch.bfloat16):
        loss = distill(*inputs)
    assert loss.dtype == torch.float32
    assert 0 <= loss <= 2


def test_teacher_is_out_of_sight(distill: Distillation) -> None:
    assert list(distill.state_dict()) == ["head.project.weight"]
    assert [name for name, _ in distill.named_parameters()] == ["head.project.weight"]
    assert not distill.train().head.teacher.model.training


def test_nothing_heard_is_a_connected_zero(distill: Distillation) -> None:
    generation_config = distill.head.teacher.model.generation_config
    generation_config.begin_suppress_tokens = None
    generation_config.suppress_tokens = [i for i in range(44) if i != END]
    loss = distill(*batch(5 * HOP))
    loss.backward()
    assert loss == 0
    assert distill.head.project.weight.grad is not None


def test_alignment_heads_of_the_generation_config_come_first(folder: str, distill: Distillation) -> None:
    assert distill.head.teacher.heads == [(1, 0), (1, 1)]
    model = distill.head.teacher.model
    model.generation_config.alignment_heads = [[0, 1]]
    assert alignment_heads(model) == [(0, 1)]


def test_missing_teacher_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere.*cannot load a Whisper.*hub name"):
        make_distillation(DistillConfig(kind="whisper", whisper=str(tmp_path / "nowhere")), CONFIG)
    with pytest.raises(ValueError, match="cannot load a Whisper"):
        make_distillation(DistillConfig(kind="whisper"), CONFIG)


def test_positions_are_20_ms(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.losses.whisper.POSITIONS_PER_SECOND", 25)
    with pytest.raises(ValueError, match="50 positions a second, expected 25"):
        WhisperTeacher(folder, RATE)


def test_items_longer_than_whisper_hears_are_refused(distill: Distillation) -> None:
    with pytest.raises(ValueError, match=r"an item of 2\.1 s: Whisper takes 2 s"):
        distill(*batch(26 * HOP))
