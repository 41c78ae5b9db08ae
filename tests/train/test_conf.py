"""Every experiment composes and makes valid settings; every field can be overridden by name."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from codec.config import CodecConfig, preset
from codec.quant.residual import ResidualVQConfig
from codec.settings import read
from codec.tts.config import TTSConfig
from train.__main__ import plain  # which also registers the base settings
from train.data.audio.made import MadeDataConfig
from train.data.pairs.dataset import PreferenceDataConfig
from train.data.tokens.sequences import SpeechDataConfig
from train.settings.config import LoggerConfig, OptimConfig, TrainerConfig, from_mapping
from train.tasks.codec import CodecLossConfig
from train.tasks.dpo import DPOLossConfig
from train.tasks.tts import TTSLossConfig

CONF = Path(__file__).parents[2] / "conf"
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
COMMON = {"optim": OptimConfig, "trainer": TrainerConfig, "logger": LoggerConfig}
CLASSES = {
    "codec": {**COMMON, "data": MadeDataConfig, "loss": CodecLossConfig, "model": CodecConfig},
    "tts": {**COMMON, "data": SpeechDataConfig, "loss": TTSLossConfig, "model": TTSConfig},
    "dpo": {**COMMON, "data": PreferenceDataConfig, "loss": DPOLossConfig},  # the model is that of a checkpoint
}


def settings(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", [*overrides, "run_dir=x"])
    return OmegaConf.to_container(config, resolve=True)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_experiments_are_valid(experiment):
    s = settings(f"experiment={experiment}", "data.train=somewhere")
    for name in ("init", "init_encoder"):
        s["model"].pop(name, None)
    for group, cls in CLASSES[s["task"]].items():
        from_mapping(cls, s[group], group)


def test_the_paper_recipe():
    s = settings("experiment=codec_voxtral", "data.train=somewhere")
    assert s["model"].pop("init") == "transform"
    assert CodecConfig(**s["model"]) == preset("voxtral")
    loss = from_mapping(CodecLossConfig, s["loss"], "loss")
    weights = {name: row.weight for name, row in loss.terms.items() if row.weight}
    assert weights == {"feature": 1.0, "semantic": 1.0, "waveform": 1.0, "stft": 1.0, "commit": 0.1}
    assert {name for name, row in loss.terms.items() if row.decay != 1} == {"waveform", "stft"}
    assert (loss.terms["stft"].at(0), loss.terms["stft"].at(100)) == (1.0, 0.9999**100)
    assert loss.discriminator.channels == 256
    assert loss.discriminator.fft_sizes == (2296, 1418, 876, 542, 334, 206, 126, 76)
    assert loss.distill.kind == "whisper"


@pytest.mark.parametrize("experiment", ["codec_tiny_cpu", "tts_tiny_cpu"])
@pytest.mark.parametrize("group", CLASSES["codec"])
def test_every_field_can_be_overridden(experiment, group):
    base = settings(f"experiment={experiment}")
    for name, value in base[group].items():
        if isinstance(value, bool | int | float):
            settings(f"experiment={experiment}", f"{group}.{name}={value}")


@pytest.mark.parametrize(("experiment", "learns"), [("encoder_only", "encoder"), ("decoder_only", "decoder")])
def test_parts_are_trained_for_any_architecture(experiment, learns):
    """The released one too: the settings of the experiment stay on top of the chosen losses."""
    s = settings(f"experiment={experiment}", "data.train=somewhere", "model=voxtral", "loss=reconstruction")
    assert s["model"]["init"] == "CHECKPOINT"  # no such folder: it has to be given
    assert set(s["trainer"]["freeze"]) == {"encoder", "quantizer", "decoder"} - {learns}
    assert s["model"]["dim"] == 1024
    assert [s["loss"]["terms"][name]["weight"] for name in ("waveform", "semantic", "pitch")] == [30.0, 0.0, 0.0]
    assert s["model"]["quantizer"]["semantic"]["quantize_prob"] == 1.0
    assert s["loss"]["distill"]["kind"] == "none"


def quantizer(*overrides):
    overrides = ["experiment=codec_small", "data.train=somewhere", "run_dir=x", *overrides]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        model = plain(compose("train", overrides), overrides)["model"]
    return read(CodecConfig, {name: value for name, value in model.items() if name != "init"}, "model").quantizer


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
        with pytest.raises(ValueError, match=rf"model\.quantizer: unknown settings \['{name}'\]"):
            quantizer("model.quantizer.kind=residual_vq", f"model.quantizer.{mistake}")
