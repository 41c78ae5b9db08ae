"""`python -m eval.report FOLDER [FOLDER...]`: write `report.html` on one or several runs of `python -m eval`.

Beside it, `paper/` has the tables `means` and `differences` as LaTeX, Markdown and CSV, and the figure `rate_quality`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from codec.files import write_text
from eval.command import command, reports_errors
from eval.paper import write_table
from eval.pictures import rate_quality, save_figure
from eval.report.content import content
from eval.report.media import media
from eval.report.page import ASSETS, render
from eval.report.runs import gather
from eval.results import Results
from eval.tables import differences, means

PAGE, PAPER = "report.html", "paper"
SCRIPTS = ("spectrogram", "heatmap", "overview", "chart", "table", "recording", "usage", "worst", "report")


def write_report(folders: Sequence[Path], reference: str = "") -> Path:
    """Write `report.html` and what papers need into the first folder; each file whole or not at all.

    Args:
        folders: of runs.
        reference: the system that the table of differences compares with; empty: the first.

    Raises:
        ValueError: a folder is no run, they share no recordings, a kept file is damaged, or there is no such system;
            the message names it.
    """
    runs = gather(folders)
    write_paper(folders[0] / PAPER, runs.results, reference)
    scripts = [ASSETS / f"{name}.js" for name in SCRIPTS]
    text = render(ASSETS / "report.html", [ASSETS / "report.css"], scripts, content(runs), media(runs))
    path = folders[0] / PAGE
    write_text(path, text)
    return path


def write_paper(folder: Path, results: Results, reference: str = "") -> None:
    """Write the tables and the figure of results.

    Raises:
        ValueError: no such reference; the message lists the systems.
    """
    reference = reference or next((s.system for s in results.systems if not s.not_measured), "")
    tables = {"means": means(results), "differences": differences(results, reference)}
    folder.mkdir(exist_ok=True)
    for name, table in tables.items():
        write_table(folder, name, table)
    save_figure(rate_quality(results, results.columns), folder / "rate_quality")


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
    parser.add_argument("--reference", default="", metavar="SYSTEM", help="tables compare with it; default: the first")
    args = parser.parse_args(argv)
    path = write_report(args.folders, args.reference)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; tables and a figure for papers in {path.parent / PAPER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
