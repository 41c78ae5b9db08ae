"""From mappings to dataclasses: types, nesting, names of what is wrong."""

import pytest

from train.losses.config import CodecLossConfig, TermConfig
from train.settings.config import OptimConfig, TrainerConfig, from_mapping


def test_nested_and_converted():
    terms = {"stft": {"module": "reconstruction", "weight": 2}}
    mapping = {"terms": terms, "fft_sizes": [64], "discriminator": {"channels": 4}}
    config = from_mapping(CodecLossConfig, mapping, "loss")
    assert config.terms == {"stft": TermConfig("reconstruction", 2)}
    assert (config.fft_sizes, config.discriminator.channels) == ((64,), 4)
    assert isinstance(from_mapping(OptimConfig, {"lr": 1}, "optim").lr, float)
    assert config.distill.kind == "ctc"
    assert CodecLossConfig(distill={"kind": "none"}).distill.kind == "none"


@pytest.mark.parametrize(
    ("cls", "mapping", "message"),
    [
        (OptimConfig, {"learning_rate": 1.0}, r"x: unknown settings \['learning_rate'\]"),
        (OptimConfig, {"lr": float("inf")}, r"x\.lr = inf: expected a finite number"),
        (OptimConfig, {"betas": [0.9, float("nan")]}, r"x\.betas"),
        (OptimConfig, {"lr_scale": {"a": float("inf")}}, r"x\.lr_scale"),
        (OptimConfig, {"lr": "fast"}, r"x\.lr = 'fast': expected float"),
        (TrainerConfig, {"steps": 1.5}, r"x\.steps = 1\.5: expected int"),
        (TrainerConfig, {"steps": 0}, r"x: steps = 0: expected at least 1"),
        (TrainerConfig, {"precision": "half"}, "precision = 'half'"),
        (CodecLossConfig, {"discriminator": {"channels": 0}}, r"x\.discriminator: channels = 0"),
        (CodecLossConfig, {"terms": {"stft": {"decay": 0.0}}}, r"x: terms\.stft\.decay = 0\.0"),
        (CodecLossConfig, {"terms": {"stft": {"wait": 1}}}, r"x: terms\.stft: unknown settings \['wait'\]"),
    ],
)
def test_errors_name_the_setting(cls, mapping, message):
    with pytest.raises(ValueError, match=message):
        from_mapping(cls, mapping, "x")
