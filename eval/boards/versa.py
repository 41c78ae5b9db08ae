"""`python -m eval.boards.versa RUN SCORES`: add scores of VERSA to the results and tables of a run.

VERSA takes lists of files as Kaldi's `wav.scp`, a line `key path` for each, and texts as `key text`; its scores are a
line for each recording, JSON or a Python dictionary, with the field `key`. So say versa/bin/scorer.py and
versa/scorer_shared.py of wavlab-speech/versa; versa/reporting.py reads the same two forms.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codec.files import write_text
from codec.recordings.utterance import read_text
from eval.boards.outputs import Output, folder_of, read_outputs
from eval.command import reports_errors
from eval.metrics.base import Column
from eval.results import Results
from eval.tables import markdown
from eval.tables import write as write_tables

LISTS, TEXTS = "wav.scp", "text"
SCORES = "scores.jsonl"
PREFIX = "versa_"  # of keys in results
LOWER = re.compile(r"(^|_)(mcd|f0_?rmse|[wcp]er|wss|llr|cd|nomad|noresqa|warpq|distance|error_rate)(_|$)")  # is better
COUNTS = re.compile(r"(.*_[wcp]er)_(delete|insert|replace|equal)")  # of words, characters or phonemes


def write(systems: dict[str, list[Output]], out: Path) -> None:
    """Write `OUT/SYSTEM/wav.scp`, and `text` if all texts are known; VERSA reads them with `--io soundfile`."""
    for outputs in systems.values():
        folder = folder_of(out, outputs[0])
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / LISTS, "".join(f"{o.name} {o.path.absolute()}\n" for o in outputs))
        if all(o.recording.text.split() for o in outputs):
            texts = (f"{o.name} {' '.join(o.recording.text.split())}\n" for o in outputs)
            write_text(folder / TEXTS, "".join(texts))


@reports_errors
def main(argv: Sequence[str] | None = None) -> int:
    """Add scores of VERSA to results.json, table.md and table.csv of a run, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m eval.boards.versa", description=main.__doc__)
    parser.add_argument("run", type=Path, help="folder of a run of python -m eval")
    parser.add_argument("scores", type=Path, help=f"folder with SYSTEM/{SCORES}, as VERSA wrote them")
    args = parser.parse_args(argv)
    results = add_scores(args.run, args.scores)
    results.save(args.run)
    write_tables(args.run, results)
    print(markdown(results), end="")
    return 0


def add_scores(run: Path, scores: Path) -> Results:
    """Return the results of a run with a column for each number in `SCORES/SYSTEM/scores.jsonl`.

    Numbers that are not finite are left out, and earlier columns of VERSA are replaced. Systems without such a file
    have no values.

    Raises:
        ValueError: no such file, a bad line, or a recording that the run does not have; the message names it.
        OSError: a file cannot be read.
    """
    results, outputs = Results.load(run), read_outputs(run)
    results.columns = [c for c in results.columns if not c.key.startswith(PREFIX)]
    keys: dict[str, None] = {}
    for system in results.systems:
        system.values = {key: own for key, own in system.values.items() if not key.startswith(PREFIX)}
        own = outputs.get(system.system, [])
        if not own or not (path := folder_of(scores, own[0]) / SCORES).is_file():
            continue
        ids = {o.name: o.recording.id for o in own}
        for key, values in read_scores(path, ids).items():
            system.values[PREFIX + key] = values
            keys[key] = None
    if not keys:
        raise ValueError(f"{scores}: no SYSTEM/{SCORES} with scores in it; give VERSA --output_file SYSTEM/{SCORES}")
    results.columns += [_column(key) for key in keys]
    return results


def _column(key: str) -> Column:
    return Column(PREFIX + key, f"{key} (VERSA)", not LOWER.search(key), 3, measured_by="VERSA")


def read_scores(path: Path, ids: dict[str, str]) -> dict[str, dict[str, float]]:
    """Read the finite numbers in a file of VERSA, by field and id; of counts of errors, their rate.

    Args:
        path: of the file.
        ids: id of the recording by its key; VERSA's `--io dir` adds a suffix to keys.

    Raises:
        ValueError: a bad line, or an unknown key; the message names it.
        OSError: the file cannot be read.
    """
    values: dict[str, dict[str, float]] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            fields = _parse(f"{path}:{number}", line)
            key = str(fields.pop("key"))
            name = key if key in ids else re.sub(r"\.(flac|wav)$", "", key)
            if name not in ids:
                raise ValueError(f"{path}:{number}: {key} is not in the run; score what python -m eval.boards wrote")
            for field, value in _numbers(fields).items():
                values.setdefault(field, {})[ids[name]] = value
    return values


def _numbers(fields: dict[str, Any]) -> dict[str, float]:
    numbers, counts = dict[str, float](), dict[str, dict[str, float]]()
    for field, value in fields.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            continue
        if counted := COUNTS.fullmatch(field):
            counts.setdefault(counted[1], {})[counted[2]] = value
        else:
            numbers[field] = float(value)
    return numbers | {rate: _error_rate(**n) for rate, n in counts.items()}


def _error_rate(delete: float = 0, insert: float = 0, replace: float = 0, equal: float = 0) -> float:
    return (delete + insert + replace) / max(1, delete + replace + equal)


def _parse(place: str, line: str) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError:
        try:
            fields = ast.literal_eval(re.sub(r"(?<=: )-?(nan|inf)(?=[,}])", "None", line.strip()))
        except (ValueError, SyntaxError) as error:
            raise ValueError(f"{place}: neither JSON nor a Python dictionary; expected scores of VERSA") from error
    if not isinstance(fields, dict) or "key" not in fields:
        raise ValueError(f"{place}: no field 'key'; expected scores of VERSA")
    return fields


if __name__ == "__main__":
    sys.exit(main())
