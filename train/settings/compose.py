"""Compose the settings of a run from Hydra's groups and overrides; other modules know neither Hydra nor OmegaConf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from operator import getitem
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from codec.config import PRESETS, preset
from codec.quant import AnyQuantizerConfig
from codec.settings import change, read
from codec.tts.config import PRESETS as TTS_PRESETS
from train.data.audio.crops import DataConfig
from train.data.pairs.dataset import PreferenceDataConfig
from train.data.tokens.sequences import SpeechDataConfig
from train.losses.config import CodecLossConfig, DPOLossConfig, TTSLossConfig
from train.settings.config import LoggerConfig, OptimConfig, TrainerConfig
from train.settings.name import default_name
from train.settings.run import AnyRun, read_run
from train.settings.suggest import CONF, advice


def register(group: str, name: str, settings: Any, **extra: Any) -> None:
    """Register the values of a dataclass as a choice `group=name`, so that overrides can change each.

    The quantizer may be changed to another kind.
    """
    node = OmegaConf.create({**asdict(settings), **extra})
    if "quantizer" in node:
        OmegaConf.set_struct(node.quantizer, False)
    ConfigStore.instance().store(name=name, group=group, node=node)


for _name in PRESETS:
    register("model", _name, preset(_name), init="transform")
for _name, _config in TTS_PRESETS.items():
    register("model", f"tts_{_name}", _config, init="random")
register("data", "base", DataConfig(train="???"))
register("data", "speech", SpeechDataConfig(train="???"))
register("data", "preferences", PreferenceDataConfig(train="???", pairs="???"))
register("loss", "base", CodecLossConfig())
register("loss", "tts", TTSLossConfig())
register("loss", "dpo", DPOLossConfig())
register("optim", "base", OptimConfig())
register("trainer", "base", TrainerConfig())
register("logger", "base", LoggerConfig())
OmegaConf.register_new_resolver("run_name", default_name, replace=True)


def compose_run(overrides: Sequence[str]) -> AnyRun:
    """Compose the run of `python -m train OVERRIDES`; `run_dir` is empty unless given.

    Raises:
        ValueError: unknown or invalid settings.
    """
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("train", ["run_dir=''", *overrides])
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(" ".join(advice(error, overrides).split())) from error
    return to_run(config, overrides)


def to_run(config: DictConfig, overrides: Sequence[str]) -> AnyRun:
    """Convert composed settings to a run; `overrides` are those of the command line.

    Raises:
        ValueError: missing or invalid values; the message names them.
    """
    if missing := OmegaConf.missing_keys(config):
        raise ValueError(f"settings without a value: {', '.join(sorted(missing))}; give them as name=value")
    settings: Any = OmegaConf.to_container(config, resolve=True)
    if "quantizer" in settings["model"]:
        settings["model"]["quantizer"] = _quantizer(settings["model"]["quantizer"], overrides)
    return read_run(settings)


def _quantizer(fields: Mapping[str, Any], overrides: Sequence[str]) -> Any:
    """Settings of a quantizer of its `kind`, without those that presets or experiments gave another kind.

    Settings named in overrides must exist in this kind.
    """
    where = "model.quantizer"
    named: dict[str, Any] = {}
    for override in overrides:
        name = override.lstrip("+").partition("=")[0]
        path = name.removeprefix(f"{where}.").split(".")
        if not name.startswith(f"{where}.") or isinstance(value := reduce(getitem, path, fields), Mapping):
            continue  # a mapping was merged with the former values
        reduce(lambda place, part: place.setdefault(part, {}), path[:-1], named)[path[-1]] = value
    return read(AnyQuantizerConfig, change(AnyQuantizerConfig, fields, named, where), where)
