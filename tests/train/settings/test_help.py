"""The help: every setting there is, what it means and what it may be, without waiting for it."""

import importlib
import re
import subprocess
import sys
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import get_args, get_origin, get_type_hints

import pytest
from hydra.core.config_store import ConfigStore

import train.__main__  # noqa: F401  registers the groups
from train.settings import help

CLASSES = [path for _, _, path in help.SECTIONS]
FREE = {"OptimConfig.lr_scale"}  # any numbers


def named(path):
    module, _, name = path.rpartition(".")
    return module, name


def names_of(cls):
    """Names of a dataclass's fields, those of dataclasses in it included, as Python sees them."""
    hints = get_type_hints(cls)
    for field in fields(cls):
        hint, name = hints[field.name], field.name
        if get_origin(hint) is dict and is_dataclass(get_args(hint)[1]):
            hint, name = get_args(hint)[1], f"{name}.NAME"
        options = get_args(hint) if get_origin(hint) is UnionType else (hint,)
        if all(map(is_dataclass, options)):
            yield from dict.fromkeys(f"{name}.{inner}" for option in options for inner in names_of(option))
        else:
            yield name


@pytest.mark.parametrize("path", CLASSES)
def test_every_field_is_found(path):
    module, name = named(path)
    cls = getattr(importlib.import_module(module), name)
    assert [s.name for s in help.settings(module, name)] == list(names_of(cls))


@pytest.mark.parametrize("path", CLASSES)
def test_every_setting_has_a_meaning_and_every_number_a_range(path):
    module, cls = named(path)
    for setting in help.settings(module, cls):
        assert setting.meaning, f"{cls}.{setting.name}: say beside it what it means"
        if re.search(r"\b(int|float)\b", setting.kind) and f"{cls}.{setting.name}" not in FREE:
            assert setting.expected, f"{cls}.{setting.name}: require what it may be"


def test_whatever_can_be_set_is_explained():
    text = help.text()
    groups = ConfigStore.instance().repo
    for group in ("model", "data", "loss", "optim", "trainer", "logger"):
        for file, node in groups[group].items():
            for name in leaves(node.node):
                shown = re.sub(r"^terms\.\w+", "terms.NAME", name)
                assert f"  {group}.{shown}" in text, f"{group}/{file}: {name}"
            assert file == "base.yaml" or file.removesuffix(".yaml") in text


def leaves(tree, prefix=""):
    for key in tree:
        value = tree._get_node(key)
        nested = hasattr(value, "keys") and prefix + key not in ("lr_scale",)
        yield from leaves(value, f"{prefix}{key}.") if nested else [prefix + key]


def test_ranges_are_those_of_the_checks():
    trainer = {s.name: s for s in help.settings("train.settings.config", "TrainerConfig")}
    assert trainer["steps"].expected == "at least 1"
    assert trainer["minutes"].expected == "0 or more"
    loss = {s.name: s for s in help.settings("train.losses.config", "CodecLossConfig")}
    assert loss["terms.NAME.weight"].expected == "0 or more"
    assert loss["distill.kind"].expected == "none, ctc, whisper"
    codec = {s.name: s for s in help.settings("codec.config", "CodecConfig")}
    assert codec["dim"].expected == "a positive number"  # by way of a constant
    assert codec["quantizer.kind"].expected == "split, fsq, residual_vq"
    assert loss["discriminator.channels"].expected == "at least 1"
    tts = {s.name: s for s in help.settings("codec.tts.config", "TTSConfig")}
    assert (tts["backbone.n_layers"].default, tts["head_transformer.n_layers"].default) == ("10", "3")
    made = {s.name: s for s in help.settings("train.data.audio.synthetic", "SyntheticDataConfig")}
    assert made["crop_s"].expected == "seconds above 0"  # inherited
    assert made["augment.gain_db"].default == "[-6.0,6.0]"


def test_it_comes_without_torch():
    code = "import runpy, sys\nsys.argv[1:] = ['--help']\ntry: runpy.run_module('train', run_name='__main__')\n"
    code += "except SystemExit as end: assert not end.code\nprint('loaded', *sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    text, _, modules = result.stdout.partition("loaded ")
    assert "  optim.lr=0.001" in text
    assert not {"torch", "hydra", "numpy"} & set(modules.split())
