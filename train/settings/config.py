"""Settings of a training run that every task shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from codec.settings import coerce, require


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
        coerce(self)
        for name in ("lr", "clip_norm"):
            require(getattr(self, name) > 0, name, getattr(self, name), "a positive number")
        for name in ("weight_decay", "warmup_steps"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        require(all(0 <= beta < 1 for beta in self.betas), "betas", self.betas, "numbers in [0, 1)")
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
        coerce(self)
        for name in ("steps", "accumulate", "log_every", "save_every", "keep_last", "max_bad_steps"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("minutes", "validate_every", "validate_clips"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")

    @property
    def n_valid(self) -> int:
        """Recordings that are judged, or sentences that are spoken, in a validation; 0 without any."""
        return self.validate_clips if self.validate_every else 0

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
        coerce(self)
