"""Answers of listeners, from the files that they saved."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.listen.key import Key, Trial


@dataclass(frozen=True)
class Answers:
    """One listener's answers to every trial of a test."""

    listener: str
    by_trial: dict[str, Any]  # MUSHRA: scores 0 to 100 by opaque name; ABX: the opaque name that X is said to be


def read_answers(path: Path, key: Key) -> Answers:
    """Read and check a file of answers.

    Raises:
        ValueError: it is no such file, of another test, or lacks answers; the message names it.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        test, listener, answers = content["test"], content["listener"], content["answers"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: {error!r}; expected the answers that a listening page saves") from error
    if test != key.test:
        raise ValueError(f"{path}: answers to test {test}, the key is of {key.test}; use the key made with that page")
    if not isinstance(listener, str) or not listener or not isinstance(answers, dict):
        raise ValueError(f"{path}: no listener or no answers; expected the answers that a listening page saves")
    for trial in key.trials:
        if trial.id not in answers:
            raise ValueError(f"{path}: no answer to trial {trial.id}; let {listener} finish the test")
        if not (_is_rating if key.kind == "mushra" else _is_choice)(answers[trial.id], trial):
            raise ValueError(f"{path}: trial {trial.id}: {answers[trial.id]!r} is no answer to it")
    return Answers(listener, answers)


def _is_rating(answer: Any, trial: Trial) -> bool:
    if not isinstance(answer, dict) or answer.keys() != trial.stimuli.keys():
        return False
    return all(type(score) in (int, float) and 0 <= score <= 100 for score in answer.values())


def _is_choice(answer: Any, trial: Trial) -> bool:
    return isinstance(answer, str) and answer in trial.stimuli
