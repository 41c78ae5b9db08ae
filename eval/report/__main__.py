"""`python -m eval.report FOLDER [FOLDER...]`: write `report.html` on one or several runs of `python -m eval`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from codec.files import ESCAPE, atomic_file
from eval.command import command, reports_errors
from eval.report.content import content
from eval.report.media import media
from eval.report.page import ASSETS, render
from eval.report.runs import gather

PAGE = "report.html"
SCRIPTS = ("spectrogram", "heatmap", "overview", "chart", "table", "recording", "usage", "worst", "report")


def write_report(folders: Sequence[Path]) -> Path:
    """Write `report.html` into the first folder, whole or not at all.

    Raises:
        ValueError: a folder is no run, they share no recordings, or a kept file is damaged; the message names it.
    """
    runs = gather(folders)
    scripts = [ASSETS / f"{name}.js" for name in SCRIPTS]
    text = render(ASSETS / "report.html", [ASSETS / "report.css"], scripts, content(runs), media(runs))
    path = folders[0] / PAGE
    with atomic_file(path) as new:
        new.write_text(text, encoding="utf-8", errors=ESCAPE)
    return path


@reports_errors
def main(argv: Sequence[str] | None = None) -> int:
    """Write a page with tables, curves, audio and spectrograms, which opens from disk, without a network."""
    parser = command("eval.report", main.__doc__)
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="FOLDER",
        help="folder of a run of python -m eval; the page goes into the first, with the recordings that all have",
    )
    path = write_report(parser.parse_args(argv).folders)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
