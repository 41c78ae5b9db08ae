"""Definition of a study: variants of one training as Hydra overrides of a common base, each with the same seeds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from codec.recordings.manifest import read_manifest
from codec.settings import Settings, read, require
from train.checkpoint import CHECKPOINTS, Progress, checkpoints, read_progress
from train.data.sources import paths
from train.folder import CONFIG, differences
from train.loop import LAST
from train.settings.compose import compose_run
from train.settings.run import CodecRun
from train.settings.suggest import CONF

ROOT = CONF.parent
BUDGET = ("steps", "minutes")  # of the trainer
MAY_DIFFER = ("run_dir", "resume", "logger")  # settings that may differ from an existing run
FIXED_OVERRIDES = ("trainer.validate_every=0", "logger.progress=false")  # the study evaluates after training
NAME = re.compile(r"[\w.+-]*\w[\w.+-]*")


@dataclass(frozen=True)
class Study(Settings):
    """Variants to compare.

    Raises:
        ValueError: a field has the wrong type or is empty; the message names it.
    """

    base: list[str]  # overrides of `python -m train` that all variants share
    variants: dict[str, list[str]]  # overrides after those of the base, by name; it names a folder
    seeds: list[int]
    metrics: list[str]  # as in `eval.metrics.registry`; the first selects the best variant
    reference: str = ""  # variant to compare with; empty: the best
    n_q: list[int] = field(default_factory=list)  # codebooks to evaluate each variant with; empty: all

    def __post_init__(self) -> None:
        super().__post_init__()
        good = len(set(self.seeds)) == len(self.seeds) > 0 <= min(self.seeds, default=0)
        require(good, "seeds", self.seeds, "one or more, each 0 or more and once")
        require(len(self.metrics) > 0, "metrics", self.metrics, "one or more")
        require(len(self.variants) > 1, "variants", self.variants, "two or more, each a name and its overrides")
        for name in self.variants:
            require(bool(NAME.fullmatch(name)), "variants", name, "names of letters, digits and _ . + -")
        known = self.reference in ("", *self.variants)
        require(known, "reference", self.reference, f"one of {', '.join(self.variants)}")
        good = len(set(self.n_q)) == len(self.n_q) and min(self.n_q, default=1) >= 1
        require(good, "n_q", self.n_q, "numbers of codebooks, each 1 or more and once")


@dataclass(frozen=True)
class Run:
    """One training of a study."""

    variant: str
    seed: int
    folder: Path
    overrides: tuple[str, ...]  # of `python -m train`
    config: CodecRun  # composed from the overrides

    @property
    def name(self) -> str:
        return f"{self.variant}/{self.seed}"

    @property
    def progress(self) -> Progress:
        """That of the last checkpoint."""
        found = checkpoints(self.folder / CHECKPOINTS)
        return read_progress(found[-1]) if found else Progress()

    @property
    def is_complete(self) -> bool:
        return self.config.trainer.passed(self.progress.step, self.progress.seconds) >= 1

    @property
    def weights(self) -> Path:
        """Checkpoint folder of the trained weights."""
        return self.folder / LAST


def read_study(name: str) -> Study:
    """Read the study `conf/ablation/NAME.yaml`, or the file `name`.

    Raises:
        ValueError: no such file, or an invalid study; the message names file and field.
    """
    path = CONF / "ablation" / f"{name}.yaml"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in (CONF / "ablation").glob("*.yaml")))
        raise ValueError(f"{name}: no such study; give a YAML file, or one of {known}")
    try:
        content = OmegaConf.to_container(OmegaConf.load(path))
    except (OSError, ValueError, OmegaConfBaseException) as error:
        raise ValueError(f"{path}: invalid YAML: {error}") from error
    try:
        return read(Study, content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def plan(study: Study, out: Path) -> list[Run]:
    """List the trainings of a study in `out/VARIANT/SEED`, all variants of the first seed first; writes nothing.

    Raises:
        ValueError: invalid overrides, missing data, different budgets, or a run in `out` with other settings; the
            message names the variant.
    """
    configs: dict[str, CodecRun] = {}
    for variant, overrides in study.variants.items():
        try:
            config = compose_run([*study.base, *overrides, *FIXED_OVERRIDES])
            if not isinstance(config, CodecRun):
                raise ValueError(f"task = {config.task!r}: studies compare codecs; leave it at codec")
            configs[variant] = config
        except ValueError as error:
            raise ValueError(f"variant {variant}: {error}") from error
    _check_budget(configs)
    _check_codebooks(study, configs)
    for source in {p for c in configs.values() for p in (*paths(c.data.train), c.data.valid) if p}:
        read_manifest(source)
    runs = [_make_run(study, variant, seed, out, configs[variant]) for seed in study.seeds for variant in configs]
    for run in runs:
        _check_unchanged(run)
    return runs


def _make_run(study: Study, variant: str, seed: int, out: Path, config: CodecRun) -> Run:
    folder = (out / variant / str(seed)).absolute()
    quoted = str(folder).replace('"', r"\"")  # else Hydra may parse a path as a list
    overrides = (*study.base, *study.variants[variant], *FIXED_OVERRIDES, f"seed={seed}", f'run_dir="{quoted}"')
    return Run(variant, seed, folder, overrides, replace(config, seed=seed, run_dir=str(folder)))


def _check_codebooks(study: Study, configs: Mapping[str, CodecRun]) -> None:
    for variant, config in configs.items():
        n = config.model.num_codebooks
        if max(study.n_q, default=0) > n:
            raise ValueError(f"n_q = {study.n_q}: variant {variant} has 1 to {n} codebooks")


def _check_budget(configs: Mapping[str, CodecRun]) -> None:
    budgets = {variant: [getattr(config.trainer, name) for name in BUDGET] for variant, config in configs.items()}
    (first, expected), *others = budgets.items()
    for variant, budget in others:
        for name, theirs, ours in zip(BUDGET, expected, budget, strict=True):
            if theirs != ours:
                raise ValueError(
                    f"variant {variant}: trainer.{name} = {ours}, and {theirs} for {first}; "
                    "variants are compared at one budget: set it in the base"
                )


def _check_unchanged(run: Run) -> None:
    if differing := differences(run.folder, run.config, MAY_DIFFER):
        raise ValueError(f"{run.folder / CONFIG}: {'; '.join(differing)}; delete {run.folder} or choose another OUT")
