"""`python -m eval.listen FOLDER --systems ...`: make a blind listening test of systems of a run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from codec.files import write_text
from eval.command import command, reports_errors
from eval.listen.key import KINDS
from eval.listen.trials import N_TRIALS, make_test
from eval.report.page import render

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("random", "stage", "mushra", "abx", "listen")
PAGE, KEY = "listen.html", "listen.key.json"


@reports_errors
def main(argv: Sequence[str] | None = None) -> int:
    """Write listen.html for listeners, and listen.key.json with the systems' names, to be kept from them."""
    args = _arguments(argv)
    test = make_test(args.folder, args.kind, args.systems, args.trials, args.seed)
    scripts = [ASSETS / f"{name}.js" for name in SCRIPTS]
    text = render(ASSETS / "listen.html", [ASSETS / "listen.css"], scripts, test.data, test.sounds.items())
    write_text(args.folder / PAGE, text)
    test.key.save(args.folder / KEY)
    print(f"{args.folder / PAGE}: {len(test.key.trials)} trials, {len(text) / 1e6:.1f} MB; give it to listeners")
    print(f"{args.folder / KEY}: the systems' names; for python -m eval.listen.score with their answers")
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    defaults = ", ".join(f"{n} for {kind}" for kind, n in N_TRIALS.items()) + ", in mushra at most the recordings,"
    parser = command("eval.listen", main.__doc__, seed="seed of the choice of recordings")
    parser.add_argument("folder", type=Path, help="folder of a run of python -m eval; the page is written into it")
    parser.add_argument("--systems", nargs="+", required=True, metavar="SYSTEM", help="as in the run; two for abx")
    parser.add_argument("--kind", choices=KINDS, default="mushra", help="rate all, or distinguish two")
    parser.add_argument("--trials", type=int, help=f"screens; {defaults} by default")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
