"""CTC distillation: the loss is PyTorch's own per character, and only what can be spelled counts."""

import pytest
import torch
import torch.nn.functional as F

from codec.config import preset
from eval.ctc import BLANK, CHARSET, N_SYMBOLS
from train.losses.ctc import CTCHead
from train.losses.distill import Distillation, DistillConfig, make_distillation

CONFIG = preset("tiny")
HOP, DIM = CONFIG.hop_length, CONFIG.quantizer.semantic_dim
TEXTS = ["hello world", "it's a bee", "no"]


@pytest.fixture
def distill() -> Distillation:
    torch.manual_seed(0)
    return make_distillation(DistillConfig(kind="ctc"), CONFIG)


def batch(lengths: list[int], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    n_frames = -(-max(lengths) // HOP)
    embedding = torch.randn(len(lengths), n_frames, DIM, generator=generator)
    return embedding, torch.zeros(len(lengths), n_frames * HOP), torch.tensor(lengths)


def test_loss_is_ctc_per_character(distill: Distillation) -> None:
    embedding, waveform, lengths = batch([5 * HOP])
    logits = distill.head.linear(embedding[0]).reshape(5 * 4, 1, N_SYMBOLS)
    target = torch.tensor([[1 + CHARSET.index(c) for c in "hello"]])
    expected = F.ctc_loss(logits.log_softmax(-1), target, [20], [5], BLANK, reduction="sum") / 5
    torch.testing.assert_close(distill(embedding, waveform, lengths, ["Hello!"]), expected)


def test_batch_is_the_mean_of_its_items_whatever_the_padding(distill: Distillation) -> None:
    embedding, waveform, lengths = batch([9 * HOP, 6 * HOP - 7, 3 * HOP + 1])
    singles = []
    for i, n in enumerate([9, 6, 4]):
        singles.append(distill(embedding[i : i + 1, :n], waveform[i : i + 1], lengths[i : i + 1], TEXTS[i : i + 1]))
    torch.testing.assert_close(distill(embedding, waveform, lengths, TEXTS), torch.stack(singles).mean())
    torch.testing.assert_close(distill(embedding, waveform[:, None], lengths, TEXTS), torch.stack(singles).mean())


@pytest.mark.parametrize("nothing", [None, "", "привет", "far too long for a few frames", "aaaaaaaaaaa"])
def test_items_that_cannot_be_spelled_count_as_0(distill: Distillation, nothing: str | None) -> None:
    embedding, waveform, lengths = batch([5 * HOP, 5 * HOP])
    alone = distill(embedding[:1], waveform[:1], lengths[:1], ["hello"])
    torch.testing.assert_close(distill(embedding, waveform, lengths, ["hello", nothing]), alone / 2)


@pytest.mark.parametrize("text", [None, ""])
def test_batch_without_text_is_a_connected_zero(distill: Distillation, text: str | None) -> None:
    loss = distill(*batch([HOP, HOP]), [text, text])
    loss.backward()
    assert loss == 0
    assert all(p.grad is not None and not p.grad.any() for p in distill.parameters())


def test_gradient_reaches_the_embedding_inside_the_item_only(distill: Distillation) -> None:
    embedding, waveform, lengths = batch([3 * HOP, 6 * HOP])
    embedding.requires_grad_()
    distill(embedding, waveform, lengths, ["no", "yes"]).backward()
    assert embedding.grad[0, :3].any(-1).all()
    assert not embedding.grad[0, 3:].any()


def test_bfloat16_embeddings_give_a_float32_loss(distill: Distillation) -> None:
    embedding, waveform, lengths = batch([5 * HOP])
    with torch.autocast("cpu", torch.bfloat16):
        loss = distill(embedding, waveform, lengths, ["hello"])
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, distill(embedding, waveform, lengths, ["hello"]), rtol=0.02, atol=0)


def test_learns_to_spell() -> None:
    torch.manual_seed(0)
    head = CTCHead(DIM, HOP)
    distill, (embedding, waveform, lengths) = Distillation(head), batch([9 * HOP, 7 * HOP, 4 * HOP])
    embedding.requires_grad_()
    optimizer = torch.optim.Adam([embedding, *distill.parameters()], lr=0.1)
    for _ in range(80):
        optimizer.zero_grad()
        loss = distill(embedding, waveform, lengths, TEXTS)
        loss.backward()
        optimizer.step()
    assert loss < 0.05
    assert head.decode(head.logits(embedding), lengths) == TEXTS


def test_names_are_those_of_checkpoints(distill: Distillation) -> None:
    shapes = {name: tuple(t.shape) for name, t in distill.state_dict().items()}
    assert shapes == {"head.linear.weight": (4 * N_SYMBOLS, DIM), "head.linear.bias": (4 * N_SYMBOLS,)}


def test_none_has_no_parameters_and_no_loss() -> None:
    distill = make_distillation(DistillConfig(kind="none"), CONFIG)
    assert list(distill.parameters()) == []
    assert distill(*batch([HOP]), ["text"]) == 0


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ValueError, match="kind = 'asr'"):
        DistillConfig(kind="asr")
    with pytest.raises(ValueError, match="steps_per_frame = 0"):
        DistillConfig(steps_per_frame=0)
