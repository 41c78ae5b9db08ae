"""`python -m train.ablate STUDY --out OUT --test MANIFEST [overrides]`: train variants, evaluate and compare them.

    python -m train.ablate acoustic --out runs/acoustic --test test.jsonl --jobs 2 data.train=train.jsonl

Writes to OUT: `study.yaml` (the study with the overrides, to run again), a folder VARIANT/SEED for each training,
`eval/` with outputs and scores, `table.md`, its tables `scores` and `differences` for papers (`.tex`, `.csv`, `.md`),
`results.json`, and `figure.png`, `.svg` and `.pdf`. The same command resumes after an interruption and repeats neither
complete trainings nor scores. A budget in steps resumes exactly, one in minutes does not.

With `hydra/launcher=submitit_slurm`, or another launcher of Hydra, and `hydra.launcher.SETTING=VALUE` among the
overrides, trainings are jobs of a cluster.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from omegaconf import OmegaConf

from codec.files import write_text
from codec.recordings.utterance import Utterance
from codec.tokenizer import load
from eval.command import command, reports_errors
from eval.metrics.registry import make_metric
from eval.pictures import save_figure
from eval.provenance import environment
from eval.results import SystemResult
from eval.run import evaluate
from eval.systems.ours import CodecSystem
from eval.testsets import read_testset
from train.ablate.cost import measure_cost
from train.ablate.figure import study_figure
from train.ablate.launch import is_for_launcher, launch_all
from train.ablate.result import Point, StudyResult, summarize, to_markdown, write_results
from train.ablate.study import Run, Study, plan, read_study
from train.ablate.training import lock, train_all


@reports_errors
def main(argv: Sequence[str] | None = None) -> int:
    """Run a study; returns 1 if a training or recording failed or it was interrupted, 2 if it cannot start."""
    args = _arguments(argv)
    try:
        study = read_study(args.study)
        launcher = [override for override in args.overrides if is_for_launcher(override)]
        study = replace(study, base=[*study.base, *(o for o in args.overrides if o not in launcher)])
        runs = plan(study, args.out)
        utterances = read_testset(args.test, args.ids)
        for metric in study.metrics:
            make_metric(metric)
        with lock(args.out) as handle:
            write_text(args.out / "study.yaml", OmegaConf.to_yaml(asdict(study)))
            failures = launch_all(runs, launcher, args.out) if launcher else train_all(runs, args.jobs, handle)
            done = [run for run in runs if run.is_complete]
            if not done:
                print("error: every training failed", file=sys.stderr)
                return 1
            result = measure(study, done, utterances, args.out, args.jobs, failures)
            write_results(args.out, result, asdict(study), environment())
            save_figure(study_figure(result), args.out / "figure")
    except KeyboardInterrupt:
        print("interrupted; the same command resumes from here", file=sys.stderr)
        return 1
    print(to_markdown(result), end="")
    return int(bool(result.failures))


def measure(
    study: Study, runs: Sequence[Run], utterances: Sequence[Utterance], out: Path, jobs: int, failures: dict[str, str]
) -> StudyResult:
    """Evaluate complete runs on a test set and compare their variants; `failures` are those of the other runs.

    Raises:
        ValueError: unreadable weights, or no value to compare by.
    """
    numbers: list[int | None] = [*study.n_q] or [None]
    tokenizers = [load(run.weights) for run in runs]
    systems = [CodecSystem(t, n, _name(run, n)) for run, t in zip(runs, tokenizers, strict=True) for n in numbers]
    evaluated = evaluate(systems, utterances, study.metrics, out / "eval", jobs if jobs > 1 else 0)
    by_name = {result.system: result for result in evaluated.systems}
    results: dict[Point, dict[int, SystemResult]] = {}
    costs = {}
    for variant in dict.fromkeys(run.variant for run in runs):
        ours = [run for run in runs if run.variant == variant]
        for n in numbers:
            results[Point(variant, n)] = {run.seed: by_name[_name(run, n)] for run in ours}
            costs[Point(variant, n)] = measure_cost(ours[0].config.model, ours, n)
    unmeasured = {
        name: f"{len(result.failures)} recordings could not be measured; see {out / 'eval' / 'results.json'}"
        for name, result in by_name.items()
        if result.failures
    }
    return summarize(evaluated.columns, results, costs, failures | unmeasured, study.reference)


def _name(run: Run, n_q: int | None) -> str:
    """Name of the system: a run's codec with `n_q` codebooks."""
    return run.name if n_q is None else f"{run.name}:{n_q}"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command("train.ablate", __doc__, out="output folder")
    parser.add_argument("study", help="NAME of conf/ablation/NAME.yaml, or a YAML file")
    parser.add_argument("overrides", nargs="*", help="settings of all variants, such as data.train=train.jsonl")
    parser.add_argument("--test", type=Path, required=True, help="test recordings in any form of docs/data.md")
    parser.add_argument("--ids", type=Path, help="file with one id per line: evaluate only these recordings")
    parser.add_argument("--jobs", type=int, default=1, help="trainings that run at once, and scoring processes")
    args = parser.parse_intermixed_args(argv)
    if args.jobs < 1:
        parser.error(f"--jobs {args.jobs}: expected 1 or more")
    return args


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops the trainings, too
    sys.exit(main())
