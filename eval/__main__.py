"""`python -m eval`: measure systems on a test set; tables, audio and codes go to a folder, also for reports."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from codec.recordings.manifest import list_utterances
from codec.recordings.utterance import Utterance
from eval.command import command, reports_errors
from eval.metrics.registry import DEFAULT, METRICS
from eval.pictures import rate_quality, save_figure
from eval.provenance import environment
from eval.run import evaluate
from eval.systems.registry import ANCHORS, BASELINES, FILES, PRETRAINED
from eval.tables import markdown, write
from eval.testsets import read_testset

UNSEEN = "unseen speakers"


@reports_errors
def main(argv: Sequence[str] | None = None) -> int:
    """Measure systems on a test set, print a table and write it; exit status 1 if anything could not be measured."""
    args = _arguments(argv)
    utterances = read_testset(args.testset, args.ids)
    seen = {u.speaker for u in list_utterances(args.train_manifest)} if args.train_manifest else None

    def groups(utterance: Utterance) -> tuple[str, ...]:
        unseen = seen is not None and utterance.speaker and utterance.speaker not in seen
        return (*((utterance.source,) if utterance.source else ()), *((UNSEEN,) if unseen else ()))

    results = evaluate(
        list(dict.fromkeys(args.systems)), utterances, args.metrics, args.out, args.workers, args.device, groups,
        environment(),
    )  # fmt: skip
    write(args.out, results)
    save_figure(rate_quality(results, results.columns[:3]), args.out / "rate_quality")
    print(markdown(results), end="")
    return int(bool(results.not_measured) or any(s.not_measured or s.failures for s in results.systems))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command(
        "eval",
        main.__doc__,
        out="folder of the run; what it has is not measured again",
        workers="score in this many processes; 0: in this one",
        device="run our codecs on this device",
    )
    parser.add_argument("testset", type=Path, help="recordings in any form of docs/data.md")
    parser.add_argument("--ids", type=Path, help="measure only the ids in this file, one a line")
    parser.add_argument("--train-manifest", type=Path, help="show speakers that are not in this manifest as a group")
    parser.add_argument(
        "--systems",
        nargs="+",
        required=True,
        metavar="SYSTEM",
        help="checkpoint folder, hub id or preset, with :n_q for fewer codebooks; "
        f"{FILES}FOLDER with outputs of another system, FOLDER/ID.wav or .flac; or "
        + " ".join([*BASELINES, *PRETRAINED, *ANCHORS]),
    )
    parser.add_argument(
        "--metrics", nargs="+", default=list(DEFAULT), metavar="METRIC", help=f"among {' '.join(METRICS)}"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
