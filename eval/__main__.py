"""`python -m eval`: systems on a test set, as a table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from eval.baselines.base import MissingProgramError
from eval.report import make_groups, markdown, summarize_outcome, write
from eval.run import Cache, Outcome, measure
from eval.systems import BASELINES, make_system
from eval.testsets import read_manifest


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table and write it; the exit status is 1 if anything could not be measured."""
    args = _arguments(argv)
    try:
        items = read_manifest(args.manifest, args.ids)
        trained = read_manifest(args.train_manifest) if args.train_manifest else []
        args.out.mkdir(parents=True, exist_ok=True)
        cache = Cache(args.out / "measurements.jsonl")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    groups, results = make_groups(items, trained), []
    for spec in dict.fromkeys(args.systems):
        try:
            outcome = measure(make_system(spec, args.device), items, cache, args.workers)
        except (MissingProgramError, ValueError) as error:
            outcome = Outcome(spec, not_measured=str(error))
        results.append(summarize_outcome(outcome, groups))
        write(args.out, results, groups)  # after each system, so that an interrupted run has a table too
    print(markdown(results, groups), end="")
    return int(any(r.not_measured or r.failures for r in results))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m eval", description=main.__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="JSON lines with id, path, source, speaker")
    parser.add_argument("--ids", type=Path, help="file with an id a line: measure only these")
    parser.add_argument("--train-manifest", type=Path, help="to show speakers that are not in it as a group")
    parser.add_argument(
        "--systems",
        nargs="+",
        required=True,
        metavar="SYSTEM",
        help=f"checkpoint folder, hub id or preset, with :n_q for fewer codebooks; or {' '.join(BASELINES)}",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for table.md, results.json and the cache")
    parser.add_argument("--workers", type=int, default=0, help="processes that score; 0: this one")
    parser.add_argument("--device", default="cpu", help="of our codecs")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
