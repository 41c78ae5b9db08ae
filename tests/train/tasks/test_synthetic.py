"""An encoder from its decoder: from made pairs alone its codes become those of the encoder that nobody released."""

from pathlib import Path
from statistics import mean

import pytest
import soundfile
import torch
from tiny import CONFIGS
from tts_tokens import write_tokens

import codec
from codec.checkpoint.store import CheckpointError, save_checkpoint
from codec.config import preset
from codec.model import Codec
from codec.tokenizer import Tokenizer
from train.data.audio.companions import write_companions
from train.data.audio.synthetic import RandomCodes, SyntheticDataConfig
from train.dist import World
from train.init.freeze import freeze
from train.log import Logger
from train.loop import Trainer
from train.losses.config import CodecLossConfig, DistillConfig, paper_terms
from train.settings.config import OptimConfig, TrainerConfig
from train.tasks.codec import CodecTask

CLIPS = str(Path(__file__).parents[2] / "data")
QUANTIZED = {
    "semantic": {"quantize_prob": 1.0},
    "acoustic": {"round_prob": 1.0, "noise_prob": 0.0},
    "dropout": 0.0,
}
# Linear while no block has learned anything.
LINEAR = {
    "layer_scale_init": 0.0,
    "strides": (2, 1),
    "kernel_sizes": (6, 1),
    "windows": (5, 1),
    "encoder_layers": (1, 0),
    "decoder_layers": (0, 1),
}


def make_task(init, train=CLIPS, changes=None, init_encoder="", loss=None, n_valid=0, start=0, **data):
    """`start`: of losses on the waveform."""
    data = {"crop_s": 0.64, "batch_size": 4, "num_workers": 0, "made_share": 0.5, **data}
    terms = paper_terms(**{"feature": 0.0, "codes": float(data["made_share"] > 0), **(loss or {})})
    for name in ("waveform", "stft", "log_mel"):
        terms[name].start = start
    return CodecTask(
        preset("tiny", **{"quantizer": QUANTIZED, **(changes or {})}),
        SyntheticDataConfig(str(train), str(train), **data),
        CodecLossConfig(terms, fft_sizes=(256,), distill=DistillConfig("none")),
        seed=0,
        init=str(init),
        n_valid=n_valid,
        init_encoder=init_encoder,
    )


def fit(task, folder, steps, parts=("decoder", "quantizer"), lr=3e-3):
    """The values of all losses at every step."""
    logged = []

    class Memory(Logger):
        def log(self, step, metrics):
            logged.append(metrics)

    config = TrainerConfig(steps=steps, validate_every=0, log_every=1, device="cpu", freeze=parts)
    optim = OptimConfig(lr=lr, warmup_steps=5, ema_decay=0.9)
    trainer = Trainer(task, config, optim, 0, folder, World(0, 1, torch.device("cpu")))
    assert trainer.fit(Memory()) == 0
    return logged


def validate(task):
    task.codec.eval()
    metrics = task.validate().metrics
    task.codec.train()
    return metrics


def save(folder, model, with_encoder=True):
    state = model.state_dict()
    if not with_encoder:
        state = {name: t for name, t in state.items() if not name.startswith("_encoder.")}
    save_checkpoint(folder, model.config, state)
    return folder


def fresh(changes=None):
    torch.manual_seed(1)
    model = Codec(preset("tiny", **(changes or {})))
    model.quantizer.semantic.started.fill_(True)
    return model


@pytest.fixture(scope="module")
def inverse(tmp_path_factory):
    """A checkpoint whose encoder finds the codes that its decoder was given, and three recordings for both.

    It is a transform; semantic channels are put on the components that the acoustic ones leave free.
    """
    folder = tmp_path_factory.mktemp("inverse")
    model = make_task("transform", changes=LINEAR, made_share=0.0).codec
    n, k = model.config.quantizer.semantic_dim, model.config.quantizer.acoustic_dim
    model.quantizer.semantic.started.fill_(True)
    with torch.no_grad():
        down, up = model.encoder.stack.layers[-1].weight, model.decoder.stack.layers[0].weight
        free = torch.linalg.qr(torch.randn(n, len(up) - k))[0]
        down[:n].zero_()
        down[:n, -1, k:] = 2 * free
        up[k:, -1, :n] = free.T / 2
        source = RandomCodes(torch.ones(64), model.config.codebook_sizes[1:])
        codes = source.draw(3, 100, torch.Generator().manual_seed(1))
        waveforms = model.decode(codes)
        assert (model.encode(waveforms)[:, 0] == codes[:, 0]).float().mean() > 0.9
    (folder / "clips").mkdir()
    for i, waveform in enumerate(waveforms):
        soundfile.write(folder / "clips" / f"{i}.wav", waveform.numpy(), 24_000, subtype="FLOAT")
    return save(folder / "init", model), folder / "clips"


def test_codes_become_those_of_the_encoder_that_is_not_there(inverse, tmp_path):
    init, clips = inverse
    task = make_task(init, clips, LINEAR, "random", {"waveform": 30.0}, 3, crop_s=0.32, batch_size=16)
    before = validate(task)
    logged = fit(task, tmp_path / "run", 60, lr=1e-2)
    after = validate(task)
    assert logged[-1]["loss/codes"] < 0.8 * logged[0]["loss/codes"]
    assert after["codes_equal"] > 2 * before["codes_equal"]
    assert after["made_codes_equal"] > 2 * before["made_codes_equal"]
    assert before["semantic_equal"] < 0.1 < 0.4 < after["semantic_equal"]
    task.export(tmp_path / "best", task.codec.state_dict())
    ours, theirs = codec.load(tmp_path / "best").model.state_dict(), codec.load(init).model.state_dict()
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor) == (not name.startswith("_encoder.")), name


def test_the_encoder_of_a_checkpoint_goes_on(inverse):
    init, clips = inverse
    task = make_task(init, clips, LINEAR, n_valid=2)
    assert validate(task)["codes_equal"] == 1


@pytest.mark.parametrize("layout", ["ours", "released"])
def test_a_checkpoint_without_an_encoder_gets_one(tmp_path, layout):
    model = fresh()
    if layout == "released":
        model._encoder = None
        Tokenizer(model).export_voxtral(tmp_path / "init")
    else:
        save(tmp_path / "init", model, with_encoder=False)
    assert not codec.load(tmp_path / "init").model.has_encoder
    task = make_task(tmp_path / "init", n_valid=1)
    logged = fit(task, tmp_path / "run", 20)
    assert logged[-1]["loss/codes"] < logged[0]["loss/codes"]
    assert validate(task).keys() >= {"made_codes_equal", "made_semantic_equal", "estoi"}
    assert "codes_equal" not in validate(task)
    task.export(tmp_path / "best", task.codec.state_dict())
    tokenizer = codec.load(tmp_path / "best")
    for name, tensor in codec.load(tmp_path / "init").model.state_dict().items():
        assert torch.equal(tokenizer.model.state_dict()[name], tensor)
    assert tokenizer.encode(Path(CLIPS) / "kathleen.flac").codes.shape[1] == model.config.num_codebooks


def test_with_a_source_filter(tmp_path):
    """The controls of recordings teach the encoder too, through a decoder that stays as it is."""
    write_companions([CLIPS], tmp_path / "companions")
    data = {
        "changes": CONFIGS["source filter"],
        "companions": str(tmp_path / "companions"),
        "crop_s": 0.32,
        "batch_size": 8,
    }
    loss = {"envelope": 1.0, "motion": 0.3, "periodicity": 0.6, "pitch": 4.0, "waveform": 0.0}
    data["start"] = 29
    original = make_task("transform", made_share=0.0, loss=loss, **data).codec
    save(tmp_path / "init", original, with_encoder=False)
    task = make_task(tmp_path / "init", loss=loss, **data)
    assert task.codec.encoder.front.deviation.std() > 0.01  # measured on the recordings
    task = make_task(tmp_path / "init", loss=loss, init_encoder="random", **data)
    logged = fit(task, tmp_path / "run", 30, lr=5e-3)
    for name in ("codes", "pitch"):
        losses = [float(m[f"loss/{name}"]) for m in logged]
        assert mean(losses[-10:]) < 0.9 * mean(losses[:10])
    assert logged[-1]["loss/stft"] > 0
    task.loss.terms["codes"].weight = task.loss.terms["commit"].weight = 0.0
    task.backward(next(task.batches(0, 0, 1)), 0, 1.0, torch.Generator().manual_seed(0))
    assert all(p.grad.any() for p in task.codec.encoder.parameters())
    for name, tensor in codec.load(tmp_path / "init").model.state_dict().items():
        assert torch.equal(task.codec.state_dict()[name], tensor)


def test_pairs_are_made_of_tokens_by_the_checkpoint(inverse, tmp_path):
    init, clips = inverse
    task = make_task(init, clips, LINEAR, made_tokens=str(write_tokens(tmp_path)), made_mix=0.0)
    codes, waveform = task.synthetic.draw(3, 5, torch.device("cpu"))
    torch.testing.assert_close(waveform, codec.load(init).model.decode(codes))
    assert torch.equal(codes, task.synthetic.draw(3, 5, torch.device("cpu"))[0])
    assert not torch.equal(codes, task.synthetic.draw(3, 6, torch.device("cpu"))[0])


def test_a_share_of_every_batch_is_made(inverse):
    init, clips = inverse
    task = make_task(init, clips, LINEAR, made_share=0.25)
    freeze(task.codec, ("decoder", "quantizer"))
    seen = []
    task.parallel["codec"] = lambda x, *args: seen.append(len(x)) or task.codec(x, *args)
    task.backward(next(task.batches(0, 0, 1)), 0, 1.0, torch.Generator().manual_seed(0))
    assert seen == [3, 1]
    with pytest.raises(ValueError, match=r"made_share = 0\.25: 1 clips for 2 processes"):
        task.batches(0, 0, 2)


def test_mistakes_are_named(inverse, tmp_path):
    init, clips = inverse
    with pytest.raises(ValueError, match=r"made_share = 0\.5: give the checkpoint .* as model\.init"):
        make_task("random", clips, LINEAR)
    with pytest.raises(ValueError, match=r"model\.init_encoder = 'none': expected transform or random"):
        make_task(init, clips, LINEAR, "none")
    with pytest.raises(ValueError, match=r"model\.init_encoder = 'random': give a checkpoint"):
        make_task("random", clips, LINEAR, "random", made_share=0.0)
    with pytest.raises(ValueError, match=r"model\.windows = \(6, 1\): model\.init has \(5, 1\)"):
        make_task(init, clips, {**LINEAR, "windows": (6, 1)})
    coarse = {**LINEAR, "quantizer": {**QUANTIZED, "acoustic": {"levels": 5}}}
    with pytest.raises(
        ValueError, match=r"model\.quantizer: split with codebooks of 64, 5.* and split .*64, 21.*needs the same"
    ):
        make_task(init, clips, coarse)
    with pytest.raises(ValueError, match=r"codes\.weight: there are no synthetic pairs.*data\.made_share"):
        make_task(init, clips, LINEAR, loss={"codes": 1.0}, made_share=0.0)
    with pytest.raises(CheckpointError, match=r"model\.init = .*do not match"):
        make_task(init, clips, {**LINEAR, "dim": 16}, "transform")
    with pytest.raises(ValueError, match=r"made_share = 0\.5: .*trainer\.freeze=\[decoder,quantizer\]"):
        make_task(init, clips, LINEAR).batches(0, 0, 1)
    task = make_task(init, clips, LINEAR, "random", made_share=0.0)
    with pytest.raises(ValueError, match=r"trainer\.freeze: a fresh encoder .*encoder_only"):
        fit(task, tmp_path, 1, ("encoder", "quantizer"))


def test_a_decoder_learns_alone(inverse, tmp_path):
    """What was trained on the codes goes on working: the same recordings have the same codes."""
    init, clips = inverse
    task = make_task(init, CLIPS, LINEAR, loss={"semantic": 0.0, "commit": 0.0, "waveform": 30.0}, made_share=0.0)
    logged = fit(task, tmp_path / "run", 15, ("encoder", "quantizer"), lr=1e-2)
    assert sum(m["loss/total"] for m in logged[-5:]) < sum(m["loss/total"] for m in logged[:5])
    task.export(tmp_path / "best", task.codec.state_dict())
    ours, theirs = codec.load(tmp_path / "best"), codec.load(init)
    clip = clips / "0.wav"
    assert torch.equal(ours.encode(clip).codes, theirs.encode(clip).codes)
    assert not torch.equal(ours.decode(theirs.encode(clip).codes)[0], theirs.decode(theirs.encode(clip).codes)[0])
