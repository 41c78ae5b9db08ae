"""The default name of a run; imports nothing slow, as Hydra hands the function to jobs of a cluster."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence

# Settings that may differ between the starts of a run: length, place and logging of the training.
MAY_DIFFER = (
    "run_dir", "resume", "logger", "data.num_workers", "trainer.steps", "trainer.minutes", "trainer.device",
    "trainer.compile", "trainer.parallel", "trainer.log_every", "trainer.validate_every", "trainer.save_every",
    "trainer.keep_last", "trainer.max_bad_steps",
)  # fmt: skip
MAX_NAME = 80  # characters


def default_name(experiment: str | None, overrides: Sequence[str]) -> str:
    """Name a run by its experiment, the other settings of the command line, and a hash of them.

    The name does not depend on their order, nor on settings in `MAY_DIFFER`.

    Args:
        experiment: of `conf/experiment`, if any.
        overrides: such as `loss=adversarial` and `experiment=codec_small`.
    """
    name = experiment or "train"
    chosen = sorted(o for o in overrides if not is_in(_key(o), (*MAY_DIFFER, "experiment")))
    if not chosen:
        return name
    digest = hashlib.sha256("\n".join(chosen).encode()).hexdigest()[:6]
    words = [f"{_key(o).split('.')[-1]}_{_word(o.partition('=')[2])}" for o in chosen]
    return f"{'-'.join([name, *words])[:MAX_NAME]}-{digest}"


def is_in(name: str, groups: Collection[str]) -> bool:
    """Whether a setting is one of `groups`, or in one."""
    return any(name == group or name.startswith(f"{group}.") for group in groups)


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~").partition("@")[0]


def _word(value: str) -> str:
    """A value, or the last part of a path, in characters that are safe in folder names."""
    return re.sub(r"[^\w.+-]+", "_", value.rstrip("/").rpartition("/")[2]).strip("_")
