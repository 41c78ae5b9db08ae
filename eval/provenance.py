"""Provenance of a run."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch


def environment() -> dict[str, Any]:
    """Command, time, code version, packages and machine, for JSON."""
    root = Path(__file__).parent.parent
    return {
        "command": sys.argv,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git(root, "rev-parse", "HEAD"),
        "changed_files": _git(root, "status", "--porcelain", "--untracked-files=no").splitlines(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def _git(root: Path, *command: str) -> str:
    try:
        return subprocess.run(["git", *command], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
