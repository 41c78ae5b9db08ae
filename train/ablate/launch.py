"""The trainings of a study as jobs of a launcher of Hydra: on SLURM, on Ray, or in processes here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from train.ablate import job
from train.ablate.study import Run
from train.ablate.training import reason
from train.settings.suggest import CONF

QUIET = ("hydra/job_logging=disabled", "hydra/hydra_logging=disabled", "hydra.output_subdir=null")


def is_for_launcher(override: str) -> bool:
    return override.startswith(("hydra/launcher=", "hydra.launcher."))


def launch_all(runs: Sequence[Run], overrides: Sequence[str], out: Path) -> dict[str, str]:
    """Run all incomplete runs as jobs; returns when all have ended.

    They are a multirun of Hydra over the numbers of the runs. Jobs must see `out` and the data at the same paths.

    Args:
        runs: in the order in which they are submitted.
        overrides: `hydra/launcher=NAME`, and any of its settings, `hydra.launcher.SETTING=VALUE`.
        out: folder of the study; files of the launcher go to its `jobs/`.

    Returns:
        Reasons of failed runs, by name.

    Raises:
        ValueError: no such launcher or setting, or a job was lost, for example to a limit of time.
    """
    todo = [run for run in runs if not run.is_complete]
    if not todo:
        return {}
    os.environ["PYTHONPATH"] = job.python_path()  # from which jobs import the task
    task = partial(job.run, [(run.folder, run.overrides) for run in todo])
    folder = str((out / "jobs").absolute()).replace('"', r"\"")
    numbers = f"+job={','.join(map(str, range(len(todo))))}"
    try:
        with initialize_config_dir(str(CONF), version_base="1.3", job_name="ablate"):
            hydra = GlobalHydra.instance().hydra
            assert hydra is not None
            places = [f'hydra.sweep.dir="{folder}"', "hydra.sweep.subdir=."]
            batches = hydra.multirun(None, task, [*QUIET, *places, *overrides, numbers])
        statuses = [result.return_value for batch in batches for result in batch]
    except RuntimeError as error:  # from launchers and jobs
        raise ValueError(
            f"{overrides[0]}: a job was lost: {error}; when no job is left, the same command resumes"
        ) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(f"{' '.join(overrides)}: {' '.join(str(error).split())}") from error
    return {run.name: reason(run, status) for run, status in zip(todo, statuses, strict=True) if not run.is_complete}
