"""A study: one training in several variants, as Hydra overrides on a common base, each with the same seeds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from codec.config import CodecConfig
from codec.settings import read
from train.__main__ import common, plain  # which also registers the settings that overrides change
from train.checkpoint import CHECKPOINTS, checkpoints, read_progress
from train.data.audio.crops import DataConfig
from train.data.manifest import read_manifest
from train.folder import CONFIG
from train.loop import LAST
from train.losses.config import CodecLossConfig
from train.settings.config import TrainerConfig, from_mapping
from train.settings.suggest import CONF, advice

ROOT = CONF.parent
GROUPS = {"data": DataConfig, "loss": CodecLossConfig}  # of the codec's task
BUDGET = ("steps", "minutes")  # of the trainer
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
        for name, kind in (("base", str), ("seeds", int), ("metrics", str), ("n_q", int)):
            _check_list(name, getattr(self, name), kind)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds = {self.seeds}: expected one or more, each 0 or more and once")
        if not self.metrics:
            raise ValueError("metrics = []: expected one or more")
        if not isinstance(self.variants, dict) or len(self.variants) < 2:
            raise ValueError(f"variants = {self.variants}: expected two or more, each a name and its overrides")
        for name, overrides in self.variants.items():
            if not isinstance(name, str) or not NAME.fullmatch(name):
                raise ValueError(f"variants: {name!r}; expected a name of letters, digits and _ . + - to call a folder")
            _check_list(f"variants.{name}", overrides, str)
        if self.reference not in ("", *self.variants):
            raise ValueError(f"reference = {self.reference!r}: expected one of {', '.join(self.variants)}")
        if len(set(self.n_q)) < len(self.n_q) or min(self.n_q, default=1) < 1:
            raise ValueError(f"n_q = {self.n_q}: expected numbers of codebooks, each 1 or more and once")


@dataclass(frozen=True)
class Run:
    """One training of a study."""

    variant: str
    seed: int
    folder: Path
    overrides: tuple[str, ...]  # of `python -m train`
    settings: dict[str, Any]  # what they compose to

    @property
    def name(self) -> str:
        return f"{self.variant}/{self.seed}"

    @property
    def config(self) -> CodecConfig:
        return _config(self.settings)

    @property
    def is_complete(self) -> bool:
        found = checkpoints(self.folder / CHECKPOINTS)
        if not found:
            return False
        progress = read_progress(found[-1])
        trainer = from_mapping(TrainerConfig, self.settings["trainer"], "trainer")
        return trainer.passed(progress.step, progress.seconds) >= 1

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
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected base, variants, seeds and metrics")
    return from_mapping(Study, {str(key): value for key, value in content.items()}, str(path))


def plan(study: Study, out: Path) -> list[Run]:
    """The trainings of a study in `out/VARIANT/SEED`, first seeds first; nothing is written.

    Raises:
        ValueError: a variant's overrides or settings are not valid, its data are not there, its budget is not
            that of the others, or `out` holds a run with other settings; the message names the variant.
    """
    settings = {}
    for variant, overrides in study.variants.items():
        try:
            settings[variant] = _compose([*study.base, *overrides, *FIXED])
        except ValueError as error:
            raise ValueError(f"variant {variant}: {error}") from error
    _check_budget(settings)
    _check_codebooks(study, settings)
    for source in {s["data"][key] for s in settings.values() for key in ("train", "valid")} - {None}:
        read_manifest(source)
    runs = [_make_run(study, variant, seed, out, settings[variant]) for seed in study.seeds for variant in settings]
    for run in runs:
        _check_unchanged(run)
    return runs


def _make_run(study: Study, variant: str, seed: int, out: Path, settings: dict[str, Any]) -> Run:
    folder = (out / variant / str(seed)).absolute()
    quoted = str(folder).replace('"', r"\"")  # for Hydra, to which a folder may look like a list
    overrides = (*study.base, *study.variants[variant], *FIXED, f"seed={seed}", f'run_dir="{quoted}"')
    return Run(variant, seed, folder, overrides, {**settings, "seed": seed, "run_dir": str(folder)})


def _compose(overrides: list[str]) -> dict[str, Any]:
    """The settings that `python -m train` would make of these overrides, checked as it would.

    Raises:
        ValueError: they do not compose, or not to valid settings.
    """
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            settings = plain(compose("train", [*overrides, "run_dir=''"]), overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(" ".join(advice(error, overrides).split())) from error
    common(settings)
    for group, cls in GROUPS.items():
        from_mapping(cls, settings[group], group)
    _config(settings)
    return settings


def _config(settings: dict[str, Any]) -> CodecConfig:
    return read(CodecConfig, {name: value for name, value in settings["model"].items() if name != "init"}, "model")


def _check_codebooks(study: Study, settings: dict[str, dict[str, Any]]) -> None:
    for variant, own in settings.items():
        n = _config(own).num_codebooks
        if max(study.n_q, default=0) > n:
            raise ValueError(f"n_q = {study.n_q}: variant {variant} has 1 to {n} codebooks")


def _check_budget(settings: dict[str, dict[str, Any]]) -> None:
    budgets = {variant: [s["trainer"][name] for name in BUDGET] for variant, s in settings.items()}
    (first, expected), *others = budgets.items()
    for variant, budget in others:
        for name, theirs, ours in zip(BUDGET, expected, budget, strict=True):
            if theirs != ours:
                raise ValueError(
                    f"variant {variant}: trainer.{name} = {ours}, and {theirs} for {first}; "
                    "variants are compared at one budget: set it in the base"
                )


def _check_unchanged(run: Run) -> None:
    path = run.folder / CONFIG
    if not path.exists():
        return
    before: Any = OmegaConf.to_container(OmegaConf.load(path))
    for group in run.settings.keys() - {"run_dir", "resume", "logger"}:
        if before.get(group) != run.settings[group]:
            raise ValueError(
                f"{path}: {group} = {before.get(group)}, and {run.settings[group]} now; "
                f"delete {run.folder} or choose another OUT"
            )


def _check_list(name: str, value: object, kind: type) -> None:
    if not isinstance(value, list) or any(type(item) is not kind for item in value):
        raise ValueError(f"{name} = {value!r}: expected a list of {kind.__name__}")
