"""Every experiment composes and makes valid settings; every field can be overridden by name."""

from pathlib import Path

import pytest

from codec.config import preset
from codec.quant.residual import ResidualVQConfig
from train.data.sources import SourceConfig
from train.settings.compose import compose_run
from train.settings.run import RUNS

CONF = Path(__file__).parents[2] / "conf"
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


def compose(experiment, *overrides):
    given = ["data.train=somewhere", *(["data.pairs=pairs", "model.init=x"] if experiment == "dpo_small" else [])]
    return compose_run([f"experiment={experiment}", *given, *overrides])


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_experiments_are_valid(experiment):
    task = experiment.partition("_")[0]
    assert compose(experiment).task == (task if task in RUNS else "codec")


def test_the_paper_recipe():
    run = compose("codec_voxtral")
    assert run.init == "transform"
    assert run.model == preset("voxtral")
    weights = {name: row.weight for name, row in run.loss.terms.items() if row.weight}
    assert weights == {"feature": 1.0, "semantic": 1.0, "waveform": 1.0, "stft": 1.0, "commit": 0.1}
    assert {name for name, row in run.loss.terms.items() if row.decay != 1} == {"waveform", "stft"}
    assert (run.loss.terms["stft"].at(0), run.loss.terms["stft"].at(100)) == (1.0, 0.9999**100)
    assert run.loss.discriminator.channels == 256
    assert run.loss.discriminator.fft_sizes == (2296, 1418, 876, 542, 334, 206, 126, 76)
    assert run.loss.distill.kind == "whisper"


@pytest.mark.parametrize("experiment", ["codec_tiny_cpu", "tts_tiny_cpu"])
@pytest.mark.parametrize("group", ["optim", "trainer", "logger", "data", "loss", "model"])
def test_every_field_can_be_overridden(experiment, group):
    base = compose(experiment)
    values = {name: v for name, v in base.plain()[group].items() if isinstance(v, bool | int | float)}
    names = values.keys() - {"made_share", "made_mix", "init_encoder"}  # of experiments that make speech
    same = compose(experiment, *(f"{group}.{name}={values[name]}" for name in names))
    assert same == base


@pytest.mark.parametrize(("experiment", "learns"), [("encoder_only", "encoder"), ("decoder_only", "decoder")])
def test_parts_are_trained_for_any_architecture(experiment, learns):
    """The released one too: the settings of the experiment stay on top of the chosen losses."""
    run = compose(experiment, "model=voxtral", "loss=reconstruction")
    assert run.init == "CHECKPOINT"  # no such folder: it has to be given
    assert set(run.trainer.freeze) == {"encoder", "quantizer", "decoder"} - {learns}
    assert run.model.dim == 1024
    assert [run.loss.terms[name].weight for name in ("waveform", "semantic", "pitch")] == [30.0, 0.0, 0.0]
    assert run.model.quantizer.semantic.quantize_prob == 1.0
    assert run.loss.distill.kind == "none"


def quantizer(*overrides):
    return compose("codec_small", *overrides).model.quantizer


def test_another_quantizer_by_its_kind():
    """What presets and experiments say of the one that is not chosen is left out; what is asked for is not."""
    assert quantizer().semantic.quantize_prob == 0.9
    chosen = quantizer("model.quantizer.kind=residual_vq", "model.quantizer.n_q=4", "+model.quantizer.decay=0.9")
    assert chosen == ResidualVQConfig(n_q=4, decay=0.9, dropout=0.25)
    beside = quantizer("model.quantizer.acoustic.kind=residual_vq", "model.quantizer.acoustic.n_q=4")
    assert beside.acoustic == ResidualVQConfig(n_q=4)
    assert beside.semantic.quantize_prob == 0.9
    whole = quantizer("model.quantizer.acoustic={kind:residual_vq,n_q:4}")
    assert whole.acoustic == beside.acoustic
    for name, mistake in (("semantic", "semantic.dim=3"), ("n_qs", "n_qs=3")):
        with pytest.raises(ValueError, match=rf"model\.quantizer\.{name}: no such setting"):
            quantizer("model.quantizer.kind=residual_vq", f"model.quantizer.{mistake}")


def test_sources_by_name():
    """On the command line, and one setting of them over a file's."""
    given = "data.train={libri:{path:a.jsonl,weight:3},made:{path:shards/}}"
    train = compose("codec_small", given).data.train
    assert train == {"libri": SourceConfig("a.jsonl", 3), "made": SourceConfig("shards/")}
    assert compose("tts_small", given, "data.train.libri.weight=0.5").data.train["libri"].weight == 0.5
    assert compose("codec_small", given, "data.train=b.jsonl").data.train == "b.jsonl"
    assert compose_run(["experiment=codec_tiny_cpu", given]).data.train == train, "where a file has given one path"
