"""Suggestions for misspelt settings."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

CONF = Path(__file__).parents[2] / "conf"
_UNKNOWN = re.compile(r"Could not override '([\w.]+)'")


def advice(error: Exception, overrides: Sequence[str]) -> str:
    """Message for an error of composing; for an unknown setting, with the closest known name.

    Args:
        error: of Hydra or OmegaConf.
        overrides: of the command line; may include options with a dash.
    """
    unknown = _UNKNOWN.search(str(error))
    if not unknown:
        return str(error)
    name = unknown[1]
    others = [o for o in overrides if not o.startswith("-") and o.partition("=")[0] != name]
    names = _names(others)
    if name in names:
        return str(error)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"+{name}=VALUE adds one, if its group has such a field;"
    return f"{name}: no such setting; {hint} --cfg job prints all settings"


def _names(overrides: Sequence[str]) -> list[str]:
    """Names of all settings and groups under these overrides, or of the defaults if they do not compose."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        try:
            config = compose("train", [*overrides, "run_dir=''"])
        except (HydraException, OmegaConfBaseException):
            config = compose("train", ["run_dir=''"])
    return ["experiment", *_paths(OmegaConf.to_container(config), "")]


def _paths(tree: Any, prefix: str) -> Iterator[str]:
    """Dotted names of all nodes below a prefix."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield f"{prefix}{key}"
            yield from _paths(value, f"{prefix}{key}.")
