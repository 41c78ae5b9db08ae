"""`python -m eval`: systems on a test set, as tables, audio and a folder that reports are made from."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from eval.metrics.registry import DEFAULT, METRICS
from eval.pictures import rate_quality, save_figure
from eval.provenance import environment
from eval.run import evaluate
from eval.systems.registry import ANCHORS, BASELINES, FILES, PRETRAINED
from eval.tables import markdown, write
from eval.testsets import Utterance, read_lines, read_testset

UNSEEN = "unseen speakers"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table and write it; the exit status is 1 if anything could not be measured."""
    args = _arguments(argv)
    try:
        utterances = read_testset(args.testset, args.ids)
        seen = {u.speaker for u in read_lines(args.train_manifest)} if args.train_manifest else None

        def groups(utterance: Utterance) -> tuple[str, ...]:
            unseen = seen is not None and utterance.speaker and utterance.speaker not in seen
            return (*((utterance.source,) if utterance.source else ()), *((UNSEEN,) if unseen else ()))

        results = evaluate(
            list(dict.fromkeys(args.systems)), utterances, args.metrics, args.out, args.workers, args.device, groups,
            environment(),
        )  # fmt: skip
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write(args.out, results)
    save_figure(rate_quality(results, results.columns[:3]), args.out / "rate_quality")
    print(markdown(results), end="")
    return int(bool(results.not_measured) or any(s.not_measured or s.failures for s in results.systems))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m eval", description=main.__doc__)
    parser.add_argument("testset", type=Path, help="manifest of JSON lines, or a folder of audio files")
    parser.add_argument("--ids", type=Path, help="file with an id a line: measure only these")
    parser.add_argument("--train-manifest", type=Path, help="to show speakers that are not in it as a group")
    parser.add_argument(
        "--systems",
        nargs="+",
        required=True,
        metavar="SYSTEM",
        help="checkpoint folder, hub id or preset, with :n_q for fewer codebooks; "
        f"{FILES}FOLDER, with the outputs of another system as FOLDER/ID.wav or .flac; or "
        + " ".join([*BASELINES, *PRETRAINED, *ANCHORS]),
    )
    parser.add_argument(
        "--metrics", nargs="+", default=list(DEFAULT), metavar="METRIC", help=f"among {' '.join(METRICS)}"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run, from which it also goes on")
    parser.add_argument("--workers", type=int, default=0, help="processes that score; 0: this one")
    parser.add_argument("--device", default="cpu", help="of our codecs")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
