"""A study: one training in several variants, as Hydra overrides on a common base, each with the same seeds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from codec.settings import coerce, read, require
from train.checkpoint import CHECKPOINTS, checkpoints, read_progress
from train.data.manifest import read_manifest
from train.data.sources import paths
from train.folder import CONFIG, differences
from train.loop import LAST
from train.settings.compose import compose_run
from train.settings.run import CodecRun
from train.settings.suggest import CONF

ROOT = CONF.parent
BUDGET = ("steps", "minutes")  # of the trainer
FREE = ("run_dir", "resume", "logger")  # what may differ from a run that is there
FIXED = ("trainer.validate_every=0", "logger.progress=false")  # the study measures, once all is trained
NAME = re.compile(r"[\w.+-]*\w[\w.+-]*")


@dataclass(frozen=True)
class Study:
    """What is compared.

    Raises:
        ValueError: a field is of the wrong type, or empty; the message names it.
    """

    base: list[str]  # overrides of `python -m train` that all variants share
    variants: dict[str, list[str]]  # by name, which is a folder's: overrides that follow those of the base
    seeds: list[int]
    metrics: list[str]  # as in `eval.metrics.registry`; the first says which variant is best
    reference: str = ""  # the variant that the others are held against; the best one if none
    n_q: list[int] = field(default_factory=list)  # codebooks to measure every variant with; all of its own if none

    def __post_init__(self) -> None:
        coerce(self)
        good = len(set(self.seeds)) == len(self.seeds) > 0 <= min(self.seeds, default=0)
        require(good, "seeds", self.seeds, "one or more, each 0 or more and once")
        require(len(self.metrics) > 0, "metrics", self.metrics, "one or more")
        require(len(self.variants) > 1, "variants", self.variants, "two or more, each a name and its overrides")
        for name in self.variants:
            require(
                bool(NAME.fullmatch(name)), "variants", name, "names of letters, digits and _ . + - to call folders"
            )
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
    config: CodecRun  # what they compose to

    @property
    def name(self) -> str:
        return f"{self.variant}/{self.seed}"

    @property
    def is_complete(self) -> bool:
        found = checkpoints(self.folder / CHECKPOINTS)
        if not found:
            return False
        progress = read_progress(found[-1])
        return self.config.trainer.passed(progress.step, progress.seconds) >= 1

    @property
    def weights(self) -> Path:
        """The checkpoint folder that a run leaves."""
        return self.folder / LAST


def read_study(name: str) -> Study:
    """The study in `conf/ablation/NAME.yaml`, or in the file `name`.

    Raises:
        ValueError: there is none, or it is no study; the message names file and field.
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
        raise ValueError(f"{path}: no YAML: {error}") from error
    try:
        return read(Study, content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def plan(study: Study, out: Path) -> list[Run]:
    """The trainings of a study in `out/VARIANT/SEED`, first seeds first; nothing is written.

    Raises:
        ValueError: a variant's overrides or settings are not valid, its data are not there, its budget is not
            that of the others, or `out` holds a run with other settings; the message names the variant.
    """
    configs: dict[str, CodecRun] = {}
    for variant, overrides in study.variants.items():
        try:
            config = compose_run([*study.base, *overrides, *FIXED])
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
    quoted = str(folder).replace('"', r"\"")  # for Hydra, to which a folder may look like a list
    overrides = (*study.base, *study.variants[variant], *FIXED, f"seed={seed}", f'run_dir="{quoted}"')
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
    if differing := differences(run.folder, run.config, FREE):
        raise ValueError(f"{run.folder / CONFIG}: {'; '.join(differing)}; delete {run.folder} or choose another OUT")
