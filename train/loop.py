"""The order of events in training, for every task: steps, checkpoints, validation, and what goes wrong."""

from __future__ import annotations

import math
import signal
import time
from collections import defaultdict
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from codec.checkpoint.store import check_tensors
from train import checkpoint
from train.checkpoint import Progress
from train.config import OptimConfig, TrainerConfig
from train.dist import World, any_of, barrier, choose_precision, mean_of, parallelize
from train.freeze import freeze
from train.log import Logger
from train.optim import WeightAverage, learning_rate, make_optimizer
from train.tasks.base import Task

MAX_ROLLBACKS = 3


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why and what to change."""


class Trainer:
    """Train a task in a run folder, going on from its last checkpoint if there is one.

    Args:
        task: what to train.
        config: how long and on what.
        optim: how weights move.
        seed: of everything random.
        folder: the run's.
        world: this process among all.

    Raises:
        ValueError: `config.freeze` names what the main network does not have.
        CheckpointError: the folder or its last checkpoint cannot be used.
    """

    def __init__(
        self, task: Task, config: TrainerConfig, optim: OptimConfig, seed: int, folder: Path, world: World
    ) -> None:
        self.task, self.config, self.optim, self.seed = task, config, optim, seed
        self.precision = choose_precision(config.precision, world)
        self.folder, self.checkpoints, self.world = folder, folder / "checkpoints", world
        freeze(task.networks[task.main], config.freeze)
        checkpoint.check_folder(self.checkpoints, (config.keep_last + 1) * checkpoint.size_of(task.networks))
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
        self.progress = Progress()
        self.stop = False
        if found := list(checkpoint.checkpoints(self.checkpoints)):
            self.load(found[-1])

    def fit(self, log: Logger) -> bool:
        """Train to the last step, or until SIGTERM or SIGINT; either way the last step is saved.

        Returns:
            Whether the run is complete.

        Raises:
            TrainingError: gradients stay bad however often the run goes back.
        """
        log.say(self.precision.note)
        handlers = {s: signal.signal(s, self._on_signal) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            self._fit(log)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if self.stop:
            log.say(f"stopped at step {self.progress.step} of {self.config.steps}; the same command goes on from here")
        return not self.stop

    def _fit(self, log: Logger) -> None:
        c, p = self.config, self.progress
        if p.step == 0:
            self.save()
        batches = self.task.batches(p.batch, self.world.rank, self.world.size)
        sums: dict[str, float | Tensor] = defaultdict(float)
        n_summed, n_bad, since = 0, 0, time.perf_counter()
        before = since - p.seconds
        while (passed := self._passed()) < 1 and not any_of(self.stop, self.world.device):
            lr = learning_rate(p.step, passed, self.optim)
            metrics = self._step(batches, lr)
            p.step += 1
            p.seconds = time.perf_counter() - before
            if metrics is None:
                p.n_bad_steps, n_bad = p.n_bad_steps + 1, n_bad + 1
                log.say(f"step {p.step}: NaN or infinite gradients; skipped, {p.n_bad_steps} so far")
                if n_bad >= c.max_bad_steps:
                    p = self._roll_back(log)
                    n_bad, n_summed = 0, 0
                    sums.clear()
                continue
            n_bad, n_summed = 0, n_summed + 1
            for name, value in metrics.items():
                sums[name] += value
            log.advance()
            if p.step % c.log_every == 0:
                means = mean_of({name: float(x) / n_summed for name, x in sums.items()}, self.world.device)
                means |= {"lr": lr, "time/step": (time.perf_counter() - since) / n_summed, "bad_steps": p.n_bad_steps}
                log.log(p.step, means)
                sums.clear()
                n_summed, since = 0, time.perf_counter()
            if c.validate_every and (p.step % c.validate_every == 0 or self._passed() >= 1):
                self.validate(log)
                since = time.perf_counter()
            if p.step % c.save_every == 0:
                self.save()
        if p.step % c.save_every:
            self.save()

    def _passed(self) -> float:
        """The share of the run that is over, by steps or by time, whichever is more; 1 or more at its end."""
        c, p = self.config, self.progress
        by_steps = p.step / c.steps
        if not c.minutes:
            return by_steps
        seconds = mean_of({"seconds": p.seconds}, self.world.device)["seconds"]  # one for all ranks
        return max(by_steps, seconds / (60 * c.minutes))

    def _step(self, batches: Any, lr: float) -> dict[str, Any] | None:
        """One step over `accumulate` batches; None if its gradients were not finite and it was skipped."""
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
            return None
        # The same numbers on every rank: all of them make the same change to what learns without gradients.
        metrics |= task.after_step(p.step, self._generator(None))
        if self.average is not None:
            self.average.update()
        return metrics | {f"grad_norm/{name}": norm for name, norm in norms.items()}

    def autocast(self) -> Any:
        if self.precision.name == "float32":
            return nullcontext()
        return torch.autocast(self.world.device.type, torch.bfloat16)

    def validate(self, log: Logger) -> None:
        """Validate with the averaged weights, and keep them under `best/` if they are the best so far."""
        main = self.task.networks[self.task.main]
        with self.average.applied() if self.average is not None else nullcontext():
            main.eval()
            validation = self.task.validate()
            main.train()
            state = checkpoint.full_state(main)
        if self.world.is_main:
            log.log_validation(self.progress.step, validation)
            value = validation.metrics.get(self.config.best, -math.inf)
            if value > self.progress.best:
                self.progress.best = value
                self.task.export(self.folder / "best", state)
            self.task.export(self.folder / "last", state)
        barrier()

    def save(self) -> None:
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
            checkpoint.save(self.checkpoints, self.progress, parts, self.config.keep_last)
        barrier()

    def load(self, folder: Path) -> None:
        """Take up networks, optimizers, averages and the position in the data.

        Raises:
            CheckpointError: damaged, or of other networks.
        """
        self.progress, parts = checkpoint.load(folder)
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
            if not p.requires_grad:  # it may have learned until now: its average is at once what it stays at
                self.optimizers[self.task.main].state.pop(p, None)
                if self.average is not None:
                    self.average.tensors[key].copy_(p.detach())

    def _roll_back(self, log: Logger) -> Progress:
        p = self.progress
        if p.n_rollbacks >= MAX_ROLLBACKS:
            raise TrainingError(
                f"step {p.step}: gradients are NaN or infinite again after {MAX_ROLLBACKS} returns to a checkpoint; "
                "lower optim.lr or optim.clip_norm, or train in float32"
            )
        barrier()
        self.load(list(checkpoint.checkpoints(self.checkpoints))[-1])
        kept, self.progress = p, self.progress
        self.progress.batch, self.progress.n_bad_steps = kept.batch, kept.n_bad_steps  # other data than last time
        self.progress.n_rollbacks = kept.n_rollbacks + 1
        log.say(f"{self.config.max_bad_steps} bad steps in a row: back to step {self.progress.step}, with other data")
        return self.progress

    def _generator(self, rank: int | None) -> torch.Generator:
        """Random numbers for the current batch: a function of the seed, the batch's number, and the rank if given."""
        key = (self.seed, self.progress.batch) if rank is None else (self.seed, self.progress.batch, rank)
        seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
        return torch.Generator(self.world.device).manual_seed(seed)

    def _on_signal(self, number: int, _: Any) -> None:
        if self.stop:  # asked twice
            raise KeyboardInterrupt
        self.stop = True


def _full(norm: Tensor) -> float:
    return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
