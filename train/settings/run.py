"""Settings of a run by task, and their conversion from and to plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from codec.config import CodecConfig
from codec.settings import NonNegativeInt, Settings, read, require
from codec.tts.config import TTSConfig
from train.data.audio.synthetic import SyntheticDataConfig
from train.data.pairs.dataset import PreferenceDataConfig
from train.data.tokens.sequences import SpeechDataConfig
from train.losses.config import CodecLossConfig, DPOLossConfig, TTSLossConfig
from train.settings.config import LoggerConfig, OptimConfig, TrainerConfig

START = ("init", "init_encoder")  # in plain values part of the group `model`


@dataclass(kw_only=True)
class RunConfig(Settings):
    """Settings of every run; each task adds its `model`, `data` and `loss`.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    task: str
    seed: NonNegativeInt = 0  # of all random choices
    run_dir: str
    resume: Literal["auto", "force"] = "auto"
    init: str  # weights to start from
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)

    def plain(self) -> dict[str, Any]:
        """Convert to plain values for `read_run`, JSON and YAML."""
        settings = json.loads(json.dumps(asdict(self)))
        start = {name: settings.pop(name) for name in START if name in settings}
        return settings | {"model": start | settings.get("model", {})}


@dataclass(kw_only=True)
class CodecRun(RunConfig):
    """Training of a codec."""

    task: str = "codec"
    init: str = "transform"
    init_encoder: str = ""
    model: CodecConfig
    data: SyntheticDataConfig
    loss: CodecLossConfig = field(default_factory=CodecLossConfig)


@dataclass(kw_only=True)
class TTSRun(RunConfig):
    """Training of a voice model."""

    task: str = "tts"
    init: str = "random"
    model: TTSConfig
    data: SpeechDataConfig
    loss: TTSLossConfig = field(default_factory=TTSLossConfig)


@dataclass(kw_only=True)
class DPORun(RunConfig):
    """Preference training of the voice model `init`."""

    task: str = "dpo"
    data: PreferenceDataConfig
    loss: DPOLossConfig = field(default_factory=DPOLossConfig)


AnyRun = CodecRun | TTSRun | DPORun
RUNS: dict[str, Any] = {"codec": CodecRun, "tts": TTSRun, "dpo": DPORun}


def read_run(settings: Mapping[str, Any]) -> AnyRun:
    """Convert plain values to a run.

    Raises:
        ValueError: an unknown task, or an unknown, missing or invalid setting; the message names it.
    """
    task = settings.get("task")
    require(task in RUNS, "task", task, f"one of {', '.join(RUNS)}")
    model = dict(settings.get("model", {}))
    start = {name: model.pop(name) for name in START if name in model}
    others = {name: value for name, value in settings.items() if name != "model"}
    return read(RUNS[str(task)], others | start | ({"model": model} if model else {}))
