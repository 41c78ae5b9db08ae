"""`python -m eval.listen.score KEY ANSWERS...`: evaluate the answers of listeners."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.command import command, reports_errors
from eval.listen.answers import Answers, read_answers
from eval.listen.key import Key
from eval.stats import CONFIDENCE, N_RESAMPLES, Interval
from eval.store import REFERENCE
from eval.tables import table

# Post-screening of ITU-R BS.1534-3: listeners who do not find the hidden reference are excluded.
LOWEST_REFERENCE = 90
MOST_MISSED = 0.15


@dataclass(frozen=True)
class Choices:
    """ABX answers; `p` is the probability of as many correct ones or more by guessing."""

    n: int
    correct: int
    p: float


def post_screen(key: Key, answers: Sequence[Answers]) -> dict[str, str]:
    """Return the listeners of a MUSHRA test who are excluded, and why."""
    rejected = {}
    for a in answers:
        scores = [a.by_trial[trial.id][_name_of(REFERENCE, trial.stimuli)] for trial in key.trials]
        missed = sum(score < LOWEST_REFERENCE for score in scores)
        if missed > MOST_MISSED * len(scores):
            rejected[a.listener] = (
                f"rated the hidden reference below {LOWEST_REFERENCE} in {missed} of {len(scores)} trials"
            )
    return rejected


def mushra_scores(key: Key, answers: Sequence[Answers]) -> dict[str, Interval]:
    """Mean score of each system over listeners and trials, the best first; at least one listener."""
    systems = list(key.trials[0].stimuli.values())
    scores = {}
    for system in systems:
        names = {trial.id: _name_of(system, trial.stimuli) for trial in key.trials}
        scores[system] = bootstrap_both(np.array([[a.by_trial[t][name] for t, name in names.items()] for a in answers]))
    return dict(sorted(scores.items(), key=lambda item: -item[1].mean))


def bootstrap_both(values: NDArray, seed: int = 0) -> Interval:
    """Mean of `[listeners, trials]` with an interval for other listeners and other recordings.

    Listeners and trials are resampled independently, each with all of its scores.
    """
    x, rng = np.asarray(values, np.float64), np.random.default_rng(seed)
    weights = [rng.multinomial(n, np.full(n, 1 / n), N_RESAMPLES) / n for n in x.shape]
    means = np.einsum("rl,lt,rt->r", weights[0], x, weights[1])
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(x.mean()), float(low), float(high), x.size)


def abx_choices(key: Key, answers: Sequence[Answers]) -> Choices:
    """Count the correct answers of all listeners of an ABX test."""
    right = [a.by_trial[trial.id] == trial.answer for a in answers for trial in key.trials]
    n, correct = len(right), sum(right)
    return Choices(n, correct, sum(math.comb(n, k) for k in range(correct, n + 1)) / 2**n)


@reports_errors
def main(argv: Sequence[str] | None = None) -> int:
    """Print scores with 95% intervals, or shares of correct answers; exit status 1 if any file is bad."""
    parser = command("eval.listen.score", main.__doc__)
    parser.add_argument("key", type=Path, help="listen.key.json from the folder of the page")
    parser.add_argument("answers", nargs="+", type=Path, metavar="ANSWERS", help="files that listeners saved")
    args = parser.parse_args(argv)
    key = Key.load(args.key)
    answers, n_bad = _read_all(args.answers, key)
    if answers:
        print(_mushra_report(key, answers) if key.kind == "mushra" else _abx_report(key, answers))
    return int(n_bad > 0)


def _read_all(paths: Sequence[Path], key: Key) -> tuple[list[Answers], int]:
    """Read the answers of all good files, each listener once; print bad files and count them."""
    known: dict[str, Path] = {}
    answers = []
    for path in paths:
        try:
            a = read_answers(path, key)
            if a.listener in known:
                raise ValueError(f"{path}: answers of {a.listener}, as in {known[a.listener]}; give one of them")
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            continue
        known[a.listener] = path
        answers.append(a)
    return answers, len(paths) - len(answers)


def _mushra_report(key: Key, answers: Sequence[Answers]) -> str:
    rejected = post_screen(key, answers)
    counted = [a for a in answers if a.listener not in rejected]
    lines = [f"not counted: {listener}: {reason}" for listener, reason in rejected.items()]
    lines += [f"{len(counted)} listeners, {len(key.trials)} trials", ""]
    if counted:
        scores = mushra_scores(key, counted)
        rows = [[name, f"{x.mean:.1f}", f"[{x.low:.1f}, {x.high:.1f}]"] for name, x in scores.items()]
        lines.append(table(["system", "score", "95% interval"], rows))
    return "\n".join(lines)


def _abx_report(key: Key, answers: Sequence[Answers]) -> str:
    groups = {a.listener: [a] for a in answers} | {"all": list(answers)}
    rows = []
    for name, some in groups.items():
        x = abx_choices(key, some)
        rows.append([name, f"{x.correct} of {x.n}", f"{x.correct / x.n:.0%}", f"{x.p:.4f}"])
    systems = " and ".join(sorted(key.trials[0].stimuli.values()))
    return f"{systems} told apart:\n\n" + table(["listener", "correct", "share", "p"], rows)


def _name_of(system: str, stimuli: dict[str, str]) -> str:
    return next(name for name, other in stimuli.items() if other == system)


if __name__ == "__main__":
    sys.exit(main())
