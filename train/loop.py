"""The training loop of all tasks: steps, checkpoints, validation, and recovery from bad gradients."""

from __future__ import annotations

import json
import math
import signal
import time
from collections import defaultdict
from collections.abc import Collection, Iterable
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from codec.checkpoint.store import RUN_FOLDERS, check_tensors
from train import checkpoint
from train.checkpoint import Progress
from train.dist import World, barrier, choose_precision, max_over_ranks, mean_over_ranks, parallelize
from train.init.freeze import freeze
from train.log import Logger
from train.optim import WeightAverage, learning_rate, make_optimizer
from train.settings.config import OptimConfig, TrainerConfig
from train.tasks.base import Task

MAX_ROLLBACKS = 3
BEST, LAST = RUN_FOLDERS
TRAINING = "training.json"  # in both: their step, and the validation metrics of the best
NONE = "none"  # as `trainer.best`
REMEDY = "lower optim.lr or optim.clip_norm, or train in float32, in another run_dir"


class TrainingError(RuntimeError):
    """Training cannot continue; the message says why and what to change."""


class Trainer:
    """Train a task in a run folder; resumes from its last checkpoint.

    Args:
        task: what to train.
        config: settings of the loop.
        optim: settings of the optimizers.
        seed: of all random choices.
        folder: of the run.
        world: this process among all.

    Raises:
        ValueError: `config.freeze`, `config.best` or `optim.lr_scale` has a name that the task does not have.
        CheckpointError: the folder or its checkpoints are unusable.
    """

    def __init__(
        self, task: Task, config: TrainerConfig, optim: OptimConfig, seed: int, folder: Path, world: World
    ) -> None:
        self.task, self.config, self.optim, self.seed = task, config, optim, seed
        self.precision = choose_precision(config.precision, world)
        self.folder, self.checkpoints, self.world = folder, folder / checkpoint.CHECKPOINTS, world
        _check_names("trainer.best", [config.best], [*task.best_metrics, NONE])
        _check_names("optim.lr_scale", optim.lr_scale, task.networks)
        freeze(task.networks[task.main], config.freeze)
        checkpoint.make_folder(self.checkpoints)
        checkpoint.check_disk_space(folder, task.networks.values(), config.keep_last)
        for network in task.networks.values():
            network.to(world.device).train()
        task.parallel = parallelize(task.networks, task.main, config.parallel, world)
        self.optimizers = {
            name: make_optimizer(network, optim)
            for name, network in task.networks.items()
            if any(p.requires_grad for p in network.parameters())
        }
        self.average = WeightAverage(task.networks[task.main], optim.ema_decay) if optim.ema_decay else None
        if config.compile:
            task.compile()
        self.progress, self.saved_step = Progress(), -1
        self.stop = 0  # number of the signal to stop
        if checkpoint.checkpoints(self.checkpoints):
            self.load()

    def fit(self, log: Logger) -> int:
        """Train to the last step, or until SIGTERM or SIGINT; saves the last step.

        Returns:
            0 if the run is complete, else the number of the signal that stopped it.

        Raises:
            TrainingError: gradients are bad again after several roll-backs, or weights are not finite.
            CheckpointError: the disk is full.
        """
        if self._passed() >= 1:
            self._check_steps()
            log.info(
                f"{self.folder} is complete at step {self.progress.step}, its weights are in {LAST}/; to continue, "
                "give more trainer.steps or trainer.minutes; to start again, another run_dir"
            )
            return 0
        log.info(self.precision.note)
        handlers = {s: signal.signal(s, self._on_signal) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            self._fit(log)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if self._passed() >= 1:
            self._check_steps()
            return 0
        log.info(f"stopped at step {self.progress.step} of {self.config.steps}; the same command resumes from here")
        return self.stop

    def _fit(self, log: Logger) -> None:
        c, p = self.config, self.progress
        batches = self.task.batches(p.batch, self.world.rank, self.world.size)
        if p.step == 0:
            self.save()
        logged: dict[str, list[float | Tensor]] = defaultdict(list)  # not every step has every metric
        n_summed, n_bad, since = 0, 0, time.perf_counter()
        before = since - p.seconds
        while (passed := self._passed()) < 1 and not self._stopped():
            lr = learning_rate(p.step, passed, self.optim)
            metrics = self._step(batches, lr)
            p.step += 1
            p.seconds = time.perf_counter() - before
            if metrics is None:
                p.n_bad_steps, n_bad = p.n_bad_steps + 1, n_bad + 1
                log.info(f"step {p.step}: NaN or infinite gradients; skipped, {p.n_bad_steps} so far")
                if n_bad >= c.max_bad_steps:
                    p = self._roll_back(log)
                    n_bad, n_summed = 0, 0
                    logged.clear()
                    continue
            else:
                n_bad, n_summed = 0, n_summed + 1
                for name, value in metrics.items():
                    logged[name].append(value)
                log.advance()
            if p.step % c.log_every == 0 and n_summed:
                own = {name: float(sum(values)) / len(values) for name, values in logged.items()}
                means = mean_over_ranks(own, self.world.device)
                means |= {"lr": lr, "time/step": (time.perf_counter() - since) / n_summed, "bad_steps": p.n_bad_steps}
                log.log(p.step, means)
                logged.clear()
                n_summed, since = 0, time.perf_counter()
            if c.validate_every and (p.step % c.validate_every == 0 or self._passed() >= 1):
                self.validate(log)
                since = time.perf_counter()
            if p.step % c.save_every == 0:
                self.save()
        if p.step != self.saved_step:
            self.save()

    def _check_steps(self) -> None:
        p = self.progress
        if 2 * p.n_bad_steps > p.step:
            raise TrainingError(f"{p.n_bad_steps} of {p.step} steps had NaN or infinite gradients; {REMEDY}")

    def _passed(self) -> float:
        """Share of the run that is done, the same on all ranks; see `TrainerConfig.passed`."""
        seconds = self.progress.seconds
        if self.config.minutes:
            seconds = mean_over_ranks({"seconds": seconds}, self.world.device)["seconds"]
        return self.config.passed(self.progress.step, seconds)

    def _stopped(self) -> int:
        """Number of a signal to stop that any rank received, else 0."""
        if number := max_over_ranks(self.stop, self.world.device):  # one may arrive meanwhile
            self.stop = number
        return self.stop

    def _step(self, batches: Any, lr: float) -> dict[str, Any] | None:
        """Take a step over `accumulate` batches; None if gradients were not finite and it was skipped."""
        c, p, task = self.config, self.progress, self.task
        metrics: dict[str, Any] = defaultdict(float)
        for i in range(c.accumulate):
            start = time.perf_counter()
            batch = next(batches).to(self.world.device)
            metrics["time/data"] += time.perf_counter() - start
            with ExitStack() as stack:
                for network in task.parallel.values():
                    if isinstance(network, DistributedDataParallel) and i + 1 < c.accumulate:
                        stack.enter_context(network.no_sync())
                stack.enter_context(self.autocast())
                generator = self._generator(self.world.rank)
                torch.manual_seed(generator.initial_seed())  # of dropout
                losses = task.backward(batch, p.step, 1 / c.accumulate, generator)
            for name, value in losses.items():
                metrics[name] += value / c.accumulate
            p.batch += 1

        norms = {
            name: _full(torch.nn.utils.clip_grad_norm_(task.networks[name].parameters(), self.optim.clip_norm))
            for name in self.optimizers
        }
        good = all(math.isfinite(norm) for norm in norms.values())
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = lr * self.optim.lr_scale.get(name, 1.0)
            if good:
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if not good:
            task.skip_step()
            return None
        # The same random numbers on every rank, so that codebooks stay the same.
        metrics |= task.after_step(p.step, self._generator(None))
        if self.average is not None:
            self.average.update()
        return metrics | {f"grad_norm/{name}": norm for name, norm in norms.items()}

    def autocast(self) -> Any:
        if self.precision.name == "float32":
            return nullcontext()
        return torch.autocast(self.world.device.type, torch.bfloat16)

    def validate(self, log: Logger) -> None:
        """Validate with the averaged weights, and export them to `best/` if they are the best so far."""
        p, metric = self.progress, self.config.best
        main = self.task.networks[self.task.main]
        with self.average.applied() if self.average is not None else nullcontext():
            main.eval()
            validation = self.task.validate()
            main.train()
            state = checkpoint.full_state(main)
        if self.world.is_main:
            log.log_validation(p.step, validation)
            if metric != NONE and metric not in validation.metrics:
                hint = "give data.valid and trainer.validate_clips above 0"
                log.info(f"step {p.step}: validation has no {metric} ({hint}): no {BEST}/")
            value = validation.metrics.get(metric, -math.inf)
            if value > (p.best if p.best_metric in ("", metric) else -math.inf):
                p.best, p.best_metric = value, metric
                self._export(BEST, state, {"step": p.step, "judged_by": metric, "metrics": validation.metrics})
        barrier()

    def save(self) -> None:
        """Write `last/`, then a checkpoint to resume from.

        Raises:
            TrainingError: a weight is NaN or infinite; earlier checkpoints stay.
            CheckpointError: the disk is full.
        """
        parts: dict[str, dict[str, Tensor]] = {}
        for name, network in self.task.networks.items():
            parts[f"network.{name}"] = checkpoint.full_state(network)
            if name in self.optimizers:
                parts[f"optimizer.{name}"] = checkpoint.optimizer_state(network, self.optimizers[name])
        if self.average is not None:
            self.progress.n_averaged = self.average.n_updates
            with self.average.applied():
                parts["average"] = checkpoint.full_state(self.task.networks[self.task.main])
        if self.world.is_main:
            self._check_finite(parts)
            state = parts.get("average", parts[f"network.{self.task.main}"])
            self._export(LAST, state, {"step": self.progress.step})
            checkpoint.save(self.checkpoints, self.progress, parts, self.config.keep_last)
        self.saved_step = self.progress.step
        barrier()

    def _check_finite(self, parts: dict[str, dict[str, Tensor]]) -> None:
        for part, state in parts.items():
            for name, t in state.items():
                if not part.startswith("optimizer.") and not torch.isfinite(t).all():
                    raise TrainingError(
                        f"step {self.progress.step}: {part} has NaN or infinite weights, first {name}; not saved: "
                        f"{REMEDY}"
                    )

    def _export(self, name: str, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Write the main network's `state` to a folder for users, with `facts` about it."""
        with checkpoint.writing(self.folder / name) as new:
            self.task.export(new, state)
            (new / TRAINING).write_text(json.dumps(facts, indent=1))

    def load(self) -> None:
        """Restore networks, optimizers, averages and the position in the data from the newest checkpoint.

        Raises:
            CheckpointError: none is intact, or it has other networks.
        """
        folder, self.progress, parts = checkpoint.load_newest(self.checkpoints)
        self.saved_step = self.progress.step
        for name, network in self.task.networks.items():
            check_tensors(f"{folder}, {name}", network.state_dict(), parts[f"network.{name}"])
            if "average" in parts and self.average is not None and name == self.task.main:
                checkpoint.load_state(network, parts["average"])
                self.average.tensors = {k: t.detach().clone() for k, t in network.state_dict().items()}
                self.average.n_updates = self.progress.n_averaged
            checkpoint.load_state(network, parts[f"network.{name}"])
            if name in self.optimizers:
                checkpoint.load_optimizer_state(network, self.optimizers[name], parts[f"optimizer.{name}"])
        for key, p in self.task.networks[self.task.main].named_parameters():
            if not p.requires_grad:  # newly frozen: its average becomes its value
                self.optimizers[self.task.main].state.pop(p, None)
                if self.average is not None:
                    self.average.tensors[key].copy_(p.detach())

    def _roll_back(self, log: Logger) -> Progress:
        p = self.progress
        if p.n_rollbacks >= MAX_ROLLBACKS:
            raise TrainingError(
                f"step {p.step}: gradients are NaN or infinite again after {MAX_ROLLBACKS} roll-backs; {REMEDY}"
            )
        barrier()
        self.load()
        kept, self.progress = p, self.progress
        self.progress.batch, self.progress.n_bad_steps = kept.batch, kept.n_bad_steps  # so that other data follow
        self.progress.n_rollbacks = kept.n_rollbacks + 1
        self.progress.best, self.progress.best_metric = kept.best, kept.best_metric  # as best/ is still there
        log.info(f"{self.config.max_bad_steps} bad steps in a row: back to step {self.progress.step}, with other data")
        return self.progress

    def _generator(self, rank: int | None) -> torch.Generator:
        """Random generator of the current batch, seeded by the run's seed, the batch number, and the rank if given."""
        key = (self.seed, self.progress.batch) if rank is None else (self.seed, self.progress.batch, rank)
        seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
        return torch.Generator(self.world.device).manual_seed(seed)

    def _on_signal(self, number: int, _: Any) -> None:
        if self.stop:  # a second signal
            raise KeyboardInterrupt
        self.stop = number


def _check_names(setting: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{setting}: no {name!r}; there are {', '.join(known)}")


def _full(norm: Tensor) -> float:
    return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
