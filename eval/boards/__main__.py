"""`python -m eval.boards BOARD RUN --out FOLDER`: write outputs of a run as a scoreboard reads them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from eval.boards import seed_tts, ttsds, versa
from eval.boards.outputs import Output, read_outputs
from eval.command import command, reports_errors

BOARDS: dict[str, Callable[[dict[str, list[Output]], Path], None]] = {
    "versa": versa.write,
    "seed-tts": seed_tts.write,
    "ttsds": ttsds.write,
}


@reports_errors
def main(argv: Sequence[str] | None = None) -> int:
    """Write outputs of a run of python -m eval or eval.tts as a scoreboard reads them, a folder for each system."""
    args = _arguments(argv)
    systems = read_outputs(args.run)
    if absent := [name for name in args.systems or () if name not in systems]:
        raise ValueError(f"--systems {absent[0]}: not in {args.run}; there are {' '.join(systems)}")
    chosen = {name: systems[name] for name in args.systems or systems}
    BOARDS[args.board](chosen, args.out)
    for name, outputs in chosen.items():
        print(f"{name}: {len(outputs)} recordings")
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command("eval.boards", main.__doc__, out="folder to write to, made if need be")
    parser.add_argument("board", choices=BOARDS)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--systems", nargs="+", metavar="SYSTEM", help="only these; default: all, and the recordings")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
