"""Results as a folder keeps them: the same after a round trip, damaged ones named."""

import json

import pytest

from eval.metrics.base import Column
from eval.results import Recording, Results, SystemResult
from eval.stats import bootstrap
from eval.store import file_of
from eval.tables import markdown, write


@pytest.fixture
def results():
    recordings = [Recording("a", 1.0, ("old",)), Recording("b/c", 2.0, ("old", "new"), "someone", "en", "say | that")]
    ours = SystemResult(
        "x:2", "v1", 1.5, codebook_sizes=(4, 4), values={"m": {"a": 1.0, "b/c": 2.0}}, failures={"a": {"n": "why"}}
    )
    theirs = SystemResult("y", values={"m": {"a": 0.0}})
    absent = SystemResult("z", not_measured="install it")
    return Results(recordings, [Column("m", "M", True, 1, "dB")], [ours, theirs, absent], {"n": "needs weights"})


def test_an_unknown_bitrate_is_not_nought(results):
    assert "| x:2 | 1 | 1.50 |" in markdown(results)
    assert "| y | 2 | not measured |" in markdown(results)


def test_round_trip(results, tmp_path):
    results.save(tmp_path)
    assert Results.load(tmp_path) == results
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["systems"][0]["means"]["m"]["mean"] == 1.5


def test_means_over_all_and_over_groups(results):
    ours, theirs, absent = results.systems
    assert results.groups == {"old": ["a", "b/c"], "new": ["b/c"]}
    assert ours.mean("m") == bootstrap([1.0, 2.0])
    assert ours.restrict(results.groups["new"]).mean("m").mean == 2.0
    assert absent.mean("m") is theirs.restrict(["b/c"]).mean("m") is None
    assert ours.minus(theirs, "m").mean == 1.0
    assert ours.minus(absent, "m") is None


def test_tables(results, tmp_path):
    text = markdown(results)
    assert "| system | files | kbit/s | M (dB) |" in text
    assert "| x:2 | 1 | 1.50 | 1.5 [1.0, 2.0] |" in text
    assert "- n: not measured: needs weights\n- x:2: 1 recordings failed:\n  - a: n: why\n" in text
    assert "- z: not measured: install it" in text
    write(tmp_path, results)
    assert (tmp_path / "table.md").read_text() == text
    assert (tmp_path / "table.csv").read_text().splitlines()[:3] == ["system,recording,m", "x:2,a,1.0", "x:2,b/c,2.0"]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"recordings": [1]}'])
def test_damaged_results_are_named(tmp_path, content):
    with pytest.raises(ValueError, match=r"results\.json.*expected the folder of a run"):
        Results.load(tmp_path)
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(ValueError, match=r"results\.json"):
        Results.load(tmp_path)


def test_names_that_are_not_utf8(results, tmp_path):
    results.recordings[0] = Recording("caf\udce9", 1.0, ("old",))
    results.systems[0].values["m"]["caf\udce9"] = 1.0
    results.save(tmp_path)
    write(tmp_path, results)
    assert Results.load(tmp_path).recordings[0].id == "caf\udce9"
    assert file_of(tmp_path, "audio", "x", "caf\udce9").name == "caf%E9.flac"


def test_names_never_leave_their_folder(tmp_path):
    paths = [file_of(tmp_path, "audio", system, name) for system in ("../a", "a:2", "..") for name in ("b/c", "b%2Fc")]
    assert len(set(paths)) == 6
    for path in paths:
        assert path.parent.parent == tmp_path / "audio"
