"""One table, three writers."""

import csv

import pytest

from eval.metrics.base import Column
from eval.paper import Bold, Estimate, Table, write_table
from eval.report.__main__ import write_paper
from eval.results import Recording, Results, SystemResult
from eval.stats import Comparison, Interval
from eval.tables import differences

SURE, UNSURE = (Comparison(-0.5, -0.75, -0.25, 8, p, 2 * p) for p in (0.01, 0.03))
TABLE = Table(
    ["a_b & 50%", "M"],
    [
        [Bold("x^{2}"), Estimate(Interval(1.25, 1.0, 1.5, 8), 2, " (3)", {"seeds": 3.0})],
        ["y\\z", Estimate(SURE, 1, ", p")],
        ["~", Estimate(UNSURE, 1)],
        ["none", "-"],
    ],
    "About # | <",
    "In notes.",
)


def test_markdown():
    assert TABLE.markdown().splitlines() == [
        "About # | < In notes.",
        "",
        "| a_b & 50% | M |",
        "| --- | --- |",
        "| **x^{2}** | 1.25 [1.00, 1.50] (3) |",
        "| y\\z | -0.5 [-0.8, -0.2], p |",
        "| ~ | -0.5 [-0.8, -0.2] |",
        "| none | - |",
    ]


def test_latex_escapes_and_marks_what_is_significant():
    lines = TABLE.latex("x").splitlines()
    assert r"\caption{About \# $|$ $<$ * marks p $<$ 0.05 with Holm's correction.}" in lines
    assert r"a\_b \& 50\% & M \\" in lines
    assert r"\textbf{x\textasciicircum{}\{2\}} & $1.25$ {\scriptsize $[1.00, 1.50]$} \\" in lines
    assert r"y\textbackslash{}z & $-0.5^{*}$ {\scriptsize $[-0.8, -0.2]$} \\" in lines
    assert r"\textasciitilde{} & $-0.5$ {\scriptsize $[-0.8, -0.2]$} \\" in lines


def test_csv_has_a_column_for_every_number(tmp_path):
    write_table(tmp_path, "t", TABLE)
    header, first, *_, last = csv.reader((tmp_path / "t.csv").open(newline=""))
    assert header == ["a_b & 50%", "M", "M low", "M high", "M seeds"]
    assert first == ["x^{2}", "1.25", "1", "1.5", "3"]
    assert last == ["none", "-", "", "", ""]


def test_what_papers_need_of_a_run(tmp_path):
    values = {"a": [1.0] * 8, "b": [2.0] * 8, "c": [1.0] * 7 + [2.0]}
    systems = [
        SystemResult(s, "v", 1.0, values={"m": dict(zip("12345678", v, strict=True))}) for s, v in values.items()
    ]
    systems.append(SystemResult("absent", not_measured="install it"))
    results = Results([Recording(i, 1.0) for i in "12345678"], [Column("m", "M", True)], systems)
    write_paper(tmp_path / "paper", results)
    rows = list(csv.DictReader((tmp_path / "paper/differences.csv").open(newline="")))
    assert [(row["minus a"], row["M"]) for row in rows] == [("b", "1"), ("c", "0.125")]
    p = [float(row["M p"]) for row in rows]
    assert p == pytest.approx([2 / 2**8, 1], rel=1e-5)
    assert [float(row["M p corrected"]) for row in rows] == pytest.approx([4 / 2**8, 1], rel=1e-5)
    assert r"b & $+1.00^{*}$" in (tmp_path / "paper/differences.tex").read_text()
    assert (tmp_path / "paper/rate_quality.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(ValueError, match="d: no such system; expected one of a, b, c"):
        differences(results, "d")
