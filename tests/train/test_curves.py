"""Pictures of what runs have logged."""

import json

import pytest

from train.curves import learning_curves, main
from train.log import METRICS, read_metrics


@pytest.fixture
def runs(tmp_path):
    """Two runs, of which the second went on from the first for four steps and is still going on."""
    logged = {
        "first": [{"step": 1, "loss/total": 9.0}, {"step": 2, "loss/total": 8.0}, {"step": 2, "valid/score": 0.5}],
        "second": [{"step": 3, "loss/total": 7.0}, {"step": 4, "valid/score": 0.75, "valid/explained": 0.3}],
    }
    for name, lines in logged.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    with (tmp_path / "second" / METRICS).open("a") as file:
        file.write('{"step": 5, "valid/sc')
    return [str(tmp_path / name) for name in logged]


@pytest.fixture
def drawn(monkeypatch):
    """Points of the lines drawn last, by panel and label, and the steps marked in all panels."""
    found = {}

    def draw(*args):
        figure = learning_curves(*args)
        found.clear()
        for axis in figure.axes:
            for line in axis.lines:
                found[axis.get_title(), line.get_label()] = line.get_xydata().tolist()
        return figure

    monkeypatch.setattr("train.curves.learning_curves", draw)
    return found


def test_runs_are_lines_of_the_metrics_of_validation(runs, drawn, tmp_path):
    assert main([*runs, "--out", str(tmp_path / "curves")]) == 0
    first, second = runs
    assert drawn == {
        ("valid/score", first): [[2, 0.5]],
        ("valid/score", second): [[4, 0.75]],
        ("valid/explained", first): [],
        ("valid/explained", second): [[4, 0.3]],
    }
    assert {path.name for path in tmp_path.glob("curves.*")} == {"curves.png", "curves.svg", "curves.pdf"}


def test_runs_that_went_on_from_each_other_are_one_line(runs, drawn, tmp_path):
    assert main([*runs, "--chain", "--metrics", "loss/total", "--out", str(tmp_path / "curves")]) == 0
    line, mark = drawn.values()
    assert line == [[1, 9.0], [2, 8.0], [5, 7.0]]
    assert [x for x, _ in mark] == [2, 2]


def test_without_validation_all_is_drawn(runs, drawn, tmp_path):
    (tmp_path / "first" / METRICS).write_text('{"step": 1, "loss/total": 9.0, "lr": 0.1}\n')
    assert main([runs[0], "--out", str(tmp_path / "curves")]) == 0
    assert [title for title, _ in drawn] == ["loss/total", "lr"]


@pytest.mark.parametrize("n_panels", range(1, 8))
def test_panels_are_as_many_as_metrics(n_panels):
    assert len(learning_curves({"run": []}, [str(i) for i in range(n_panels)]).axes) == n_panels


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{second}", "--metrics", "valid/sore"], "--metrics valid/sore: the runs have loss/total, valid/score"),
        (["{second}", "{empty}"], f"empty/{METRICS}: nothing is logged yet"),
        (["{nothing}"], f"nothing: no {METRICS} in it; expected the folder of a run"),
    ],
)
def test_what_cannot_be_drawn_is_told_and_nothing_is_written(runs, tmp_path, capsys, arguments, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / METRICS).touch()
    places = {name: tmp_path / name for name in ("second", "empty", "nothing")}
    arguments = [argument.format(**places) for argument in arguments]
    assert main([*arguments, "--out", str(tmp_path / "curves")]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("curves*"))


def test_a_damaged_line_is_named(runs, tmp_path):
    path = tmp_path / "first" / METRICS
    path.write_text('{"step": 1, "a" 2}\n')
    with pytest.raises(ValueError, match=f"{path}: damaged"):
        read_metrics(path.parent)
