"""The codec's step: which loss acts when, who learns from what, and how a fresh codec starts."""

from pathlib import Path

import pytest
import torch

from codec.audio.io import read_audio
from codec.checkpoint.store import CheckpointError, save_checkpoint
from codec.config import preset
from codec.model import Codec
from eval.ctc import SemanticReader
from train.data.audio import DataConfig
from train.discriminators import DiscriminatorConfig
from train.losses.distill import DistillConfig
from train.tasks.codec import CodecLossConfig, CodecTask

CLIPS = Path(__file__).parents[2] / "data"
DISCRIMINATOR = DiscriminatorConfig((126, 76), 2)


def make(n_valid=0, init="transform", changes=None, **loss):
    data = DataConfig(str(CLIPS), str(CLIPS), crop_s=0.64, batch_size=2, num_workers=0)
    loss = CodecLossConfig(**{"fft_sizes": (256, 64), "discriminator": DISCRIMINATOR, "vq_frames": 100, **loss})
    return CodecTask(preset("tiny", **(changes or {})), data, loss, seed=0, init=init, n_valid=n_valid)


def step(task, number=0):
    generator = torch.Generator().manual_seed(0)
    task.codec.train()
    metrics = task.backward(next(iter(task.batches(0, 0, 1))), number, 1.0, generator)
    return {**metrics, **task.after_step(number, generator)}


def gradients(network):
    return {name: p.grad for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}


def test_paper_weights_decay_after_the_warmup():
    task = make(adversarial_start=100, decay=0.99)
    before, start, later = (task._weights(n) for n in (0, 100, 169))
    assert before["waveform"] == start["waveform"] == 1.0
    assert later["waveform"] == later["stft"] == pytest.approx(0.99**69)
    assert (before["feature"], start["feature"]) == (0, 1)
    assert later["commit"] == 0.1
    assert later["log_mel"] == later["adversarial"] == 0


def test_warmup_leaves_the_discriminators_alone():
    task = make(adversarial_start=10)
    metrics = step(task, 9)
    assert "loss/feature" not in metrics
    assert not gradients(task.discriminators)
    assert step(task, 10)["loss/feature"] > 0
    weights = {name for name, _ in task.discriminators.named_parameters() if name.endswith("original1")}
    assert weights <= gradients(task.discriminators).keys()  # those of biases cancel while all margins are missed


def test_discriminators_learn_from_their_own_loss_alone():
    a, b = make(feature=1.0), make(feature=100.0, adversarial=3.0)
    for task in (a, b):
        step(task)
    for x, y in zip(a.discriminators.parameters(), b.discriminators.parameters(), strict=True):
        torch.testing.assert_close(x.grad, y.grad)
    ratio = torch.stack([p.grad.norm() for p in b.codec.parameters()]) / torch.stack(
        [p.grad.norm() for p in a.codec.parameters()]
    )
    assert ratio.median() > 1.5


def test_without_discriminators_there_are_none():
    assert "discriminators" not in make(feature=0.0).networks


def test_every_parameter_learns():
    task = make(range=1.0, log_mel=1.0, vq_starts=(0,))
    step(task)
    assert bool(task.codec.quantizer.semantic.started)
    for network in task.networks.values():
        network.zero_grad()
    step(task, 1)
    missing = dict(task.codec.named_parameters()).keys() - gradients(task.codec).keys()
    assert not missing


def test_codebook_starts_when_told_on_current_latents():
    task = make(vq_starts=(3,))
    assert not any("codebook" in name for name in step(task, 2))
    assert not task.codec.quantizer.semantic.started
    step(task, 3)
    assert task.codec.quantizer.semantic.started
    metrics = step(task, 4)
    assert 1 <= metrics["codebook/00_perplexity"] <= 64
    assert {f"codebook/{k:02d}_usage" for k in range(1, 9)} <= metrics.keys()


def test_range_loss_by_hand():
    task = make(range=1.0)
    batch = next(iter(task.batches(0, 0, 1)))
    acoustic = task.codec.latents(batch.waveform).detach()[..., 32:]
    expected = (acoustic.abs() - 2).clamp(min=0).square().mean()
    assert float(step(task)["loss/range"]) == pytest.approx(float(expected), rel=1e-3)


def test_a_fresh_codec_passes_the_waveform_unless_it_is_to_be_random():
    snr = {}
    for init in ("transform", "random"):
        task = make(init=init, changes={"layer_scale_init": 0.0})
        x = next(iter(task.batches(0, 0, 1))).waveform
        with torch.no_grad():
            y = task.codec.synthesize(task.codec.latents(x))
        snr[init] = float(10 * torch.log10(x.square().sum() / (x - y).square().sum()))
    assert snr["transform"] > 0.1 > 0.01 > snr["random"]


def test_it_starts_from_given_weights(tmp_path):
    source = Codec(preset("tiny"))
    half = {name: t.half() if t.is_floating_point() else t for name, t in source.state_dict().items()}
    save_checkpoint(tmp_path / "a", source.config, half)
    codec = make(init=str(tmp_path / "a")).codec
    for x, y in zip(source.parameters(), codec.parameters(), strict=True):
        torch.testing.assert_close(x, y, atol=1e-3, rtol=1e-3)
    with pytest.raises(CheckpointError, match=r"model\.init.*do not fit.*expected"):
        make(init=str(tmp_path / "a"), changes={"dim": 16})


def test_validation_scores_reads_and_shows(tmp_path):
    manifest = tmp_path / "valid.jsonl"
    manifest.write_text(f'{{"path": "{CLIPS / "kathleen.flac"}", "text": "some words"}}\n')
    data = DataConfig(str(CLIPS), str(manifest), crop_s=0.64, batch_size=2, num_workers=0)
    loss = CodecLossConfig(feature=0.0, distill=DistillConfig("ctc"))
    task = CodecTask(preset("tiny"), data, loss, seed=0, n_valid=1)
    task.codec.eval()
    validation = task.validate()
    assert {"pesq_wb", "estoi", "mel", "stft", "cer", "semantic_perplexity"} <= validation.metrics.keys()
    assert validation.metrics["failed"] == 0
    (name,) = validation.pictures
    assert validation.audio.keys() == {f"{name}_original", f"{name}_reconstruction"}


def test_the_head_is_exported_with_the_codec_that_it_reads(tmp_path):
    task = make(feature=0.0, distill=DistillConfig("ctc", steps_per_frame=2))
    with torch.no_grad():
        task.distillation.head.linear.bias.zero_()
        task.distillation.head.linear.weight *= 20
    for value in (0.0, 1e-3):  # the second export takes the place of the first
        next(task.codec.decoder.parameters()).data += value
        task.export(tmp_path / "best", task.codec.state_dict())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best"]
    reader = SemanticReader(tmp_path / "best")
    waveform = read_audio(CLIPS / "kathleen.flac", None, 24_000)[: 20 * task.config.hop_length]
    task.codec.eval()
    with torch.no_grad():
        z = task.codec(waveform[None]).quantized.z[..., : task.config.semantic_dim]
        (expected,) = task.distillation.head.decode(task.distillation.head.logits(z), torch.tensor([len(waveform)]))
    assert reader.transcribe(waveform.numpy(), "") == expected != ""


def test_without_transcripts_no_head_is_exported(tmp_path):
    for kind in ("ctc", "none"):
        task = make(feature=0.0, distill=DistillConfig(kind))
        task.export(tmp_path / "best", task.codec.state_dict())
    assert sorted(p.name for p in (tmp_path / "best").iterdir()) == ["config.json", "model.safetensors"]


def test_discriminators_may_be_shown_a_crop_and_some_resolutions():
    """Which ones is a matter of the step alone; the crop is the same of original and reconstruction."""
    task = make(discriminator=DiscriminatorConfig((126, 76, 64), 2, n_sampled=2, crop_s=0.1))
    assert task._choose(3) == task._choose(3)
    assert {tuple(task._choose(n)) for n in range(30)} == {(0, 1), (0, 2), (1, 2)}
    x = torch.arange(12_000.0).expand(3, -1)
    a, b = task._show(x, x, torch.Generator().manual_seed(0))
    assert a.shape == (3, 2400)
    assert torch.equal(a, b)
    assert torch.equal(a[0].diff(), torch.ones(2399))
    assert step(task)["loss/feature"] > 0
