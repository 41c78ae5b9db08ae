"""Settings of a training run that every task shares, and the way from dataclasses to Hydra and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import reduce
from operator import getitem
from typing import Any, Literal, TypeVar, get_type_hints

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from codec.settings import change, read, require

T = TypeVar("T")


@dataclass
class OptimConfig:
    """AdamW, gradient clipping, learning-rate schedule and weight averaging.

    The learning rate rises over `warmup_steps`, stays, and falls along a half cosine to `final_lr`
    times its peak over the last `decay_share` of the run, in steps or minutes: 1.0 is the usual cosine,
    0.2 a plateau that can be prolonged.
    """

    lr: float = 1e-3  # learning rate at its peak
    lr_scale: dict[str, float] = field(default_factory=dict)  # factors for single networks, by name
    betas: tuple[float, float] = (0.9, 0.95)  # of AdamW: shares of the averages that a step keeps
    weight_decay: float = 0.01  # of matrices; vectors are not decayed
    clip_norm: float = 1.0  # of each network's gradient
    warmup_steps: int = 100  # over which the learning rate rises
    decay_share: float = 1.0  # of the run, at its end, over which it falls
    final_lr: float = 0.0  # what it falls to, as a share of the peak
    ema_decay: float = 0.0  # of the averaged weights, which validation and the exported model use; 0: none

    def __post_init__(self) -> None:
        self.betas = tuple(self.betas)  # type: ignore[assignment]  # a list, from YAML
        for name in ("lr", "clip_norm"):
            require(0 < getattr(self, name) < math.inf, name, getattr(self, name), "a positive number")
        for name in ("weight_decay", "warmup_steps"):
            require(0 <= getattr(self, name) < math.inf, name, getattr(self, name), "0 or more")
        good = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        require(good, "betas", self.betas, "two numbers in [0, 1)")
        for name in ("decay_share", "final_lr"):
            require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "a number in [0, 1]")
        require(0 <= self.ema_decay < 1, "ema_decay", self.ema_decay, "a number in [0, 1)")


@dataclass
class TrainerConfig:
    """How long, how often, and on what."""

    steps: int = 10_000  # of the whole run
    minutes: float = 0.0  # of training in all, over all starts of the run, if that is less than `steps`; 0: no limit
    accumulate: int = 1  # batches per step
    device: str = "auto"  # auto: a GPU if there is one
    precision: Literal["auto", "float32", "bfloat16"] = "float32"  # bfloat16: by autocast; auto: where it is fast
    compile: bool = False  # the networks, with torch.compile: needs a C++ compiler
    parallel: Literal["ddp", "fsdp"] = "ddp"  # when started by torchrun
    freeze: tuple[str, ...] = ()  # parts of the main network that stay as they are, see `train.init.freeze`
    log_every: int = 20  # steps
    validate_every: int = 1_000  # steps; 0: never
    validate_clips: int = 16  # recordings that are judged, or sentences that are spoken
    save_every: int = 500  # steps
    keep_last: int = 2  # checkpoints; older ones are deleted
    best: str = "estoi"  # validation metric, higher is better, by which the best model is kept; none: keep no best
    max_bad_steps: int = 5  # NaN or infinite gradients in a row before going back to the last checkpoint

    def __post_init__(self) -> None:
        require(not isinstance(self.freeze, str), "freeze", self.freeze, "a list, such as [encoder,quantizer]")
        self.freeze = tuple(self.freeze)
        for name in ("steps", "accumulate", "log_every", "save_every", "keep_last", "max_bad_steps"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("minutes", "validate_every", "validate_clips"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        good = self.precision in ("auto", "float32", "bfloat16")
        require(good, "precision", self.precision, "auto, float32 or bfloat16")
        require(self.parallel in ("ddp", "fsdp"), "parallel", self.parallel, "ddp or fsdp")

    def passed(self, step: int, seconds: float) -> float:
        """The share of a run that is over, by steps or by time, whichever is more; 1 or more at its end."""
        return max(step / self.steps, seconds / (60 * self.minutes) if self.minutes else 0.0)


@dataclass
class LoggerConfig:
    """Where numbers, clips and pictures go; `metrics.jsonl` in the run folder is always written."""

    wandb: Literal["online", "offline", "disabled"] = "offline"  # offline: into the run folder
    project: str = "codec37"  # of wandb
    progress: bool = True  # a bar in the terminal, a line every 30 s in a log file

    def __post_init__(self) -> None:
        good = self.wandb in ("online", "offline", "disabled")
        require(good, "wandb", self.wandb, "online, offline or disabled")


def register(group: str, name: str, settings: Any, **extra: Any) -> None:
    """Make a dataclass's values a choice `group=name` in `conf/`, so that each can be overridden there.

    Those of a quantizer may be of another kind there.
    """
    node = OmegaConf.create({**asdict(settings), **extra})
    if "quantizer" in node:
        OmegaConf.set_struct(node.quantizer, False)
    ConfigStore.instance().store(name=name, group=group, node=node)


def of_one_kind(cls: Any, fields: Mapping[str, Any], where: str, overrides: Sequence[str]) -> dict[str, Any]:
    """All settings of the dataclass of their `kind`, without those at `where` that are left over from another kind.

    So presets and experiments can say what they like of theirs; what overrides name must be known to the kind.

    Raises:
        ValueError: there is no such kind among the dataclasses `cls`, or a setting is unknown or invalid.
    """
    named: dict[str, Any] = {}
    for override in overrides:
        name = override.lstrip("+").partition("=")[0]
        path = name.removeprefix(f"{where}.").split(".")
        if not name.startswith(f"{where}.") or isinstance(value := reduce(getitem, path, fields), Mapping):
            continue  # a mapping has merged with what was there
        reduce(lambda place, part: place.setdefault(part, {}), path[:-1], named)[path[-1]] = value
    return json.loads(json.dumps(asdict(read(cls, change(cls, fields, named, where), where))))


def from_mapping(cls: type[T], mapping: Mapping[str, Any], where: str) -> T:
    """A dataclass `cls` with nested dataclasses, from plain values; absent fields take their defaults.

    Raises:
        ValueError: unknown fields, wrong types or invalid values, with the path of the field.
    """
    hints = get_type_hints(cls)
    if unknown := mapping.keys() - hints.keys():
        raise ValueError(f"{where}: unknown settings {sorted(unknown)}; known are {', '.join(hints)}")
    values = {}
    for name, value in mapping.items():
        _check_finite(value, f"{where}.{name}")
        kind = hints[name]
        if is_dataclass(kind) and isinstance(kind, type):
            value = from_mapping(kind, value or {}, f"{where}.{name}")
        elif kind in (int, float, bool, str):
            value = float(value) if kind is float and type(value) is int else value
            if type(value) is not kind:
                raise ValueError(f"{where}.{name} = {value!r}: expected {kind.__name__}")
        values[name] = value
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error


def _check_finite(value: Any, where: str) -> None:
    """Raises ValueError where a number in a setting is infinite or NaN."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _check_finite(inner, f"{where}.{name}")
    numbers = value if isinstance(value, list | tuple) else [value]
    if not all(math.isfinite(number) for number in numbers if isinstance(number, float)):
        raise ValueError(f"{where} = {value}: expected a finite number")
