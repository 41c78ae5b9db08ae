"""The codec's step: which loss acts when, who learns from what, and how a fresh codec starts."""

import math
from pathlib import Path

import pytest
import torch

import codec
from codec.audio.io import read_audio
from codec.checkpoint.store import CheckpointError, save_checkpoint
from codec.config import preset
from codec.model import Codec
from eval.metrics.semantic_asr import SemanticRecognizer
from train.data.audio.crops import DataConfig
from train.losses.config import CodecLossConfig, DiscriminatorConfig, DistillConfig, paper_terms
from train.tasks.codec import CodecTask

CLIPS = Path(__file__).parents[2] / "data"
DISCRIMINATOR = DiscriminatorConfig((126, 76), 2)


def make(n_valid=0, init="transform", changes=None, weights=None, start=0, **loss):
    """`start`: of the discriminators."""
    terms = paper_terms(**(weights or {}))
    terms["feature"].start = terms["adversarial"].start = start
    data = DataConfig(str(CLIPS), str(CLIPS), crop_s=0.64, batch_size=2, num_workers=0)
    loss = CodecLossConfig(terms, **{"fft_sizes": (256, 64), "discriminator": DISCRIMINATOR, "vq_frames": 100, **loss})
    return CodecTask(preset("tiny", **(changes or {})), data, loss, seed=0, init=init, n_valid=n_valid)


def step(task, number=0):
    generator = torch.Generator().manual_seed(0)
    task.codec.train()
    metrics = task.backward(next(iter(task.batches(0, 0, 1))), number, 1.0, generator)
    return {**metrics, **task.after_step(number, generator)}


def gradients(network):
    return {name: p.grad for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}


def test_warmup_leaves_the_discriminators_alone():
    task = make(start=10)
    metrics = step(task, 9)
    assert "loss/feature" not in metrics
    assert not gradients(task.networks["discriminators"])
    assert step(task, 10)["loss/feature"] > 0
    discriminators = task.networks["discriminators"]
    weights = {name for name, _ in discriminators.named_parameters() if name.endswith("original1")}
    assert weights <= gradients(discriminators).keys()  # those of biases cancel while all margins are missed


def test_discriminators_learn_from_their_own_loss_alone():
    a, b = make(), make(weights={"feature": 100.0, "adversarial": 3.0})
    for task in (a, b):
        step(task)
    for x, y in zip(*(t.networks["discriminators"].parameters() for t in (a, b)), strict=True):
        torch.testing.assert_close(x.grad, y.grad)
    ratio = torch.stack([p.grad.norm() for p in b.codec.parameters()]) / torch.stack(
        [p.grad.norm() for p in a.codec.parameters()]
    )
    assert ratio.median() > 1.5


def test_without_discriminators_there_are_none():
    assert "discriminators" not in make(weights={"feature": 0.0}).networks


def test_every_parameter_learns():
    task = make(weights={"range": 1.0, "log_mel": 1.0}, vq_starts=(0,))
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


def test_codebooks_of_a_checkpoint_stay_in_place(tmp_path):
    first = make(weights={"feature": 0.0}, vq_starts=(0,))
    step(first)
    for buffer in (first.codec.quantizer.semantic.embedding_sum, first.codec.quantizer.semantic.cluster_usage):
        buffer.copy_(buffer.flip(0))  # no start would give them this order
    save_checkpoint(tmp_path, first.config, first.codec.state_dict())
    task = make(weights={"feature": 0.0}, vq_starts=(0,), init=str(tmp_path))
    before = task.codec.quantizer.semantic.embedding.clone()
    step(task)
    after = task.codec.quantizer.semantic.embedding
    assert (after - before).norm() < 0.1 * before.norm()


def test_a_skipped_step_leaves_no_trace_in_the_codebook():
    """Latents that are not finite would spoil it for good."""
    task, undisturbed = make(weights={"feature": 0.0}, vq_starts=(0,)), make(weights={"feature": 0.0}, vq_starts=(0,))
    step(task), step(undisturbed)
    bad = next(iter(task.batches(0, 0, 1)))
    bad.waveform.fill_(math.inf)
    task.backward(bad, 1, 1.0, torch.Generator().manual_seed(0))
    task.codec.zero_grad()
    task.skip_step()
    step(task, 2), step(undisturbed, 2)
    ours, theirs = (t.codec.quantizer.semantic.embedding for t in (task, undisturbed))
    assert torch.equal(ours, theirs)


def test_range_loss_by_hand():
    task = make(weights={"range": 1.0})
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
    with pytest.raises(CheckpointError, match=r"model\.init.*do not match.*expected"):
        make(init=str(tmp_path / "a"), changes={"dim": 16})


def test_validation_scores_reads_and_shows(tmp_path):
    manifest = tmp_path / "valid.jsonl"
    manifest.write_text(f'{{"path": "{CLIPS / "kathleen.flac"}", "text": "some words"}}\n')
    data = DataConfig(str(CLIPS), str(manifest), crop_s=0.64, batch_size=2, num_workers=0)
    loss = CodecLossConfig(paper_terms(feature=0.0))
    task = CodecTask(preset("tiny"), data, loss, seed=0, n_valid=1)
    task.codec.eval()
    validation = task.validate()
    assert {"pesq_wb", "estoi", "mel", "stft", "cer", "semantic_perplexity"} <= validation.metrics.keys()
    assert validation.metrics["failed"] == 0
    (name,) = validation.pictures
    assert validation.audio.keys() == {f"{name}_original", f"{name}_reconstruction"}


def test_the_head_is_exported_with_the_codec_that_it_reads(tmp_path):
    task = make(weights={"feature": 0.0}, distill=DistillConfig("ctc", steps_per_frame=2))
    with torch.no_grad():
        task.head.linear.bias.zero_()
        task.head.linear.weight *= 20
    for value in (0.0, 1e-3):  # the second export takes the place of the first
        next(task.codec.decoder.parameters()).data += value
        task.export(tmp_path / "best", task.codec.state_dict())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best"]
    reader = SemanticRecognizer(tmp_path / "best")
    waveform = read_audio(CLIPS / "kathleen.flac", None, 24_000)[: 20 * task.config.hop_length]
    task.codec.eval()
    with torch.no_grad():
        z = task.codec(waveform[None]).quantized.z[..., : task.config.quantizer.semantic_dim]
        (expected,) = task.head.decode(task.head.logits(z), torch.tensor([len(waveform)]))
    assert reader.transcribe(waveform.numpy(), "") == expected != ""


def test_without_transcripts_no_head_is_exported(tmp_path):
    for kind in ("ctc", "none"):
        task = make(weights={"feature": 0.0}, distill=DistillConfig(kind))
        task.export(tmp_path / "best", task.codec.state_dict())
    assert sorted(p.name for p in (tmp_path / "best").iterdir()) == ["config.json", "model.safetensors"]


def test_discriminators_may_be_shown_a_crop_and_some_resolutions():
    metrics = step(make(discriminator=DiscriminatorConfig((126, 76, 64), 2, n_sampled=2, crop_s=0.1)))
    assert metrics["loss/feature"] > 0


def test_a_step_without_any_loss_is_refused():
    task = make(weights={"feature": 0.0})
    for row in task.loss.terms.values():
        row.start = 5
    with pytest.raises(ValueError, match=r"loss\.terms: none has a weight in step 4"):
        step(task, 4)
    assert step(task, 5)["loss/total"] > 0


QUANTIZERS = {
    "fsq": ({"kind": "fsq", "n_channels": 8}, {"commit": 0.0, "range": 0.1}),
    "residual_vq": ({"kind": "residual_vq", "n_q": 4, "codebook_size": 32, "dim": 16}, {}),
    "split_residual_vq": ({"acoustic": {"kind": "residual_vq", "n_q": 3, "codebook_size": 32, "dim": 16}}, {}),
}


@pytest.mark.parametrize("kind", QUANTIZERS)
def test_other_quantizers_learn_and_are_codecs(tmp_path, kind):
    """The loss falls, codebooks start, and what is saved is loaded: its stream is exact, any prefix decodes."""
    quantizer, weights = QUANTIZERS[kind]
    weights = {"waveform": 30.0, "feature": 0.0, **weights}
    task = make(changes={"quantizer": quantizer}, weights=weights, distill=DistillConfig("none"), vq_starts=(3,))
    optimizer = torch.optim.AdamW(task.codec.parameters(), 3e-3)
    batch, losses = next(task.batches(0, 0, 1)), []
    for number in range(40):
        metrics = task.backward(batch, number, 1.0, torch.Generator().manual_seed(number))
        optimizer.step()
        optimizer.zero_grad()
        usage = task.after_step(number, torch.Generator().manual_seed(number))
        losses.append(float(metrics["loss/waveform"]))
    assert sum(losses[-5:]) < 0.9 * sum(losses[5:10])
    assert task.codec.quantizer.started
    assert {f"codebook/{k:02d}_perplexity" for k in range(task.config.num_codebooks)} <= usage.keys()

    task.export(tmp_path / "best", task.codec.eval().state_dict())
    tokenizer = codec.load(tmp_path / "best")
    waveform = batch.waveform[0]
    tokens = tokenizer.encode(waveform, 24_000)
    torch.testing.assert_close(tokenizer.decode(tokens)[0], task.codec.decode(tokens.codes)[0].detach())
    stream = tokenizer.encoder_stream()
    parts = [stream.push(chunk).codes for chunk in waveform.split(1000)] + [stream.flush().codes]
    assert torch.equal(torch.cat(parts, dim=2), tokens.codes)
    path = tmp_path / "best" / "config.json"
    path.write_text(path.read_text().replace('"dropout": 0.5', '"dropout": 0.25'))
    with pytest.raises(CheckpointError, match="checksum"):
        codec.load(tmp_path / "best")


def test_a_quantizer_without_a_semantic_codebook_is_not_taught():
    with pytest.raises(ValueError, match=r"loss\.distill\.kind = 'ctc': .*'fsq' has no semantic codebook .*kind=none"):
        make(changes={"quantizer": {"kind": "fsq"}}, weights={"commit": 0.0, "feature": 0.0})


def test_a_penalty_that_the_quantizer_lacks_is_refused():
    with pytest.raises(ValueError, match=r"loss\.terms\.commit\.weight = 0\.1: .* only range; set it to 0"):
        make(changes={"quantizer": {"kind": "fsq"}}, weights={"feature": 0.0}, distill=DistillConfig("none"))
