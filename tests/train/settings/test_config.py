"""The settings of training, read from plain values: nesting, names of what is wrong, nothing of a wrong type."""

from dataclasses import fields
from importlib import import_module

import pytest

from codec.settings import read
from train.losses.config import CodecLossConfig, TermConfig
from train.settings.config import OptimConfig, TrainerConfig
from train.settings.help import SECTIONS


def test_nested_and_converted():
    terms = {"stft": {"module": "reconstruction", "weight": 2}}
    config = read(CodecLossConfig, {"terms": terms, "fft_sizes": [64], "discriminator": {"channels": 4}}, "loss")
    assert config.terms == {"stft": TermConfig("reconstruction", 2)}
    assert (config.fft_sizes, config.discriminator.channels) == ((64,), 4)
    assert config.distill.kind == "ctc"
    assert CodecLossConfig(distill={"kind": "none"}).distill.kind == "none"


@pytest.mark.parametrize(
    ("cls", "mapping", "message"),
    [
        (OptimConfig, {"warmup": 1}, r"x\.warmup: no such setting; did you mean x\.warmup_steps\?"),
        (OptimConfig, {"colour": 1}, r"x\.colour: no such setting; there are lr, lr_scale, betas"),
        (OptimConfig, {"lr": float("inf")}, r"x\.lr = inf: expected a finite number"),
        (OptimConfig, {"betas": [0.9, float("nan")]}, r"x\.betas\[1\] = nan: expected a finite number"),
        (OptimConfig, {"betas": [0.9]}, r"x\.betas = \[0\.9\]: expected a list \[a number, a number\]"),
        (OptimConfig, {"betas": (0.9,)}, r"x\.betas = \(0\.9,\): expected a list \[a number, a number\]"),
        (OptimConfig, {"lr_scale": {"a": float("inf")}}, r"x\.lr_scale\.a = inf"),
        (OptimConfig, {"lr": "fast"}, r"x\.lr = 'fast': expected a number"),
        (TrainerConfig, {"steps": 1.5}, r"x\.steps = 1\.5: expected a whole number"),
        (TrainerConfig, {"steps": True}, r"x\.steps = True: expected a whole number"),
        (TrainerConfig, {"compile": 1}, r"x\.compile = 1: expected true or false"),
        (TrainerConfig, {"steps": 0}, r"x\.steps = 0: expected at least 1"),
        (TrainerConfig, {"precision": "half"}, r"x\.precision = 'half': expected auto, float32 or bfloat16"),
        (CodecLossConfig, {"discriminator": {"channels": 0}}, r"x\.discriminator\.channels = 0"),
        (CodecLossConfig, {"terms": {"stft": {"decay": 0.0}}}, r"x\.terms\.stft\.decay = 0\.0"),
        (CodecLossConfig, {"terms": {"stft": {"wait": 1}}}, r"x\.terms\.stft\.wait: no such setting; did you mean"),
        (CodecLossConfig, {"terms": {"stft": 1}}, r"x\.terms\.stft = 1: expected settings by name"),
        (CodecLossConfig, [1], r"x = \[1\]: expected settings by name"),
    ],
)
def test_errors_name_the_setting(cls, mapping, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        read(cls, mapping, "x")


@pytest.mark.parametrize("path", [path for _, _, path in SECTIONS])
def test_no_setting_is_of_any_type(path):
    """Every dataclass checks its fields, whoever makes it."""
    module, _, name = path.rpartition(".")
    cls = getattr(import_module(module), name)
    needed = {"train": "a", "pairs": "b"}
    given = {field.name: needed[field.name] for field in fields(cls) if field.name in needed}
    for field in fields(cls):
        with pytest.raises(ValueError, match=rf"^{field.name} = \{{1\}}: expected "):
            cls(**given | {field.name: {1}})
