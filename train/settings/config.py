"""Settings of training that all tasks share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from codec.settings import AtLeast1, BelowOne, NonNegativeFloat, NonNegativeInt, PositiveFloat, Settings, Share, require


@dataclass
class OptimConfig(Settings):
    """AdamW, gradient clipping, learning-rate schedule and weight averaging.

    The learning rate rises linearly over `warmup_steps`, stays constant, and falls along a half cosine to `final_lr`
    times its peak over the last `decay_share` of the run, in steps or minutes: 1.0 is the usual cosine, 0.2 a plateau
    that can be prolonged.
    """

    lr: PositiveFloat = 1e-3  # learning rate at its peak
    lr_scale: dict[str, float] = field(default_factory=dict)  # factors of the learning rate by network
    betas: tuple[float, float] = (0.9, 0.95)  # of AdamW
    weight_decay: NonNegativeFloat = 0.01  # of matrices; vectors have none
    clip_norm: PositiveFloat = 1.0  # largest gradient norm of each network
    warmup_steps: NonNegativeInt = 100  # steps of the linear rise
    decay_share: Share = 1.0  # share of the run, at its end, with a falling rate
    final_lr: Share = 0.0  # final learning rate, as a share of the peak
    ema_decay: BelowOne = 0.0  # decay of averaged weights for validation and export; 0: no average

    def __post_init__(self) -> None:
        super().__post_init__()
        require(all(0 <= beta < 1 for beta in self.betas), "betas", self.betas, "numbers in [0, 1)")


@dataclass
class TrainerConfig(Settings):
    """Length of a training, its device, and how often it logs, validates and saves."""

    steps: AtLeast1 = 10_000  # of the whole run
    minutes: NonNegativeFloat = 0.0  # limit of training time, over all starts of the run; 0: none
    accumulate: AtLeast1 = 1  # batches per step
    device: str = "auto"  # auto: a GPU if available
    precision: Literal["auto", "float32", "bfloat16"] = (
        "float32"  # bfloat16: by autocast; auto: bfloat16 where it is fast
    )
    compile: bool = False  # use torch.compile, which needs a C++ compiler
    parallel: Literal["ddp", "fsdp"] = "ddp"  # with torchrun
    freeze: tuple[str, ...] = ()  # frozen parts of the main network, see `train.init.freeze`
    log_every: AtLeast1 = 20  # steps
    validate_every: NonNegativeInt = 1_000  # steps; 0: never
    validate_clips: NonNegativeInt = 16  # recordings to evaluate, or sentences to speak
    save_every: AtLeast1 = 500  # steps
    keep_last: AtLeast1 = 2  # checkpoints; older ones are deleted
    best: str = "estoi"  # validation metric, higher is better, that selects best/; none: no best/
    max_bad_steps: AtLeast1 = 5  # consecutive NaN or infinite gradients before rolling back to a checkpoint

    @property
    def n_valid(self) -> int:
        """Recordings to evaluate, or sentences to speak, in a validation; 0 without validation."""
        return self.validate_clips if self.validate_every else 0

    def passed(self, step: int, seconds: float) -> float:
        """Share of a run that is done, by steps or time, whichever is larger; 1 or more at its end."""
        return max(step / self.steps, seconds / (60 * self.minutes) if self.minutes else 0.0)


@dataclass
class LoggerConfig(Settings):
    """Logging; `metrics.jsonl` in the run folder is always written."""

    tracker: Literal["wandb", "trackio", "tensorboard", "none"] = "wandb"  # of metrics, clips and pictures
    wandb: Literal["online", "offline", "disabled"] = "offline"  # mode of wandb; offline: to the run folder
    project: str = "codec37"  # of wandb and Trackio
    progress: bool = True  # progress bar; in a log file, a line every 30 s
