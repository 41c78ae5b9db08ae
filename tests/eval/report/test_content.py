"""Numbers of the page are those of the results."""

import json

import numpy as np
import pytest

from eval.report.content import ALL, content
from eval.report.runs import gather
from eval.results import Results, SystemResult
from eval.store import file_of


@pytest.fixture
def shown(run):
    return content(gather([run]))


def test_it_is_plain_json(shown):
    json.dumps(shown, allow_nan=False)


def test_means_by_group(run, shown):
    results = Results.load(run)
    assert shown["groups"] == [{"name": ALL, "recordings": [0, 1, 2, 3]}, {"name": "new", "recordings": [0, 3]}]
    for group, ids in enumerate((None, ["a", "c"])):
        for s, system in enumerate(results.systems[:-1]):
            mean = (system.restrict(ids) if ids else system).mean("wer")
            assert shown["means"][group]["wer"][s]["mean"] == pytest.approx(mean.mean, rel=1e-5)
            assert shown["means"][group]["wer"][s]["n"] == mean.n
    assert shown["means"][0]["wer"][0]["n"] == 3
    assert shown["means"][0]["wer"][-1] is None


def test_differences_by_group(run, shown):
    systems = Results.load(run).systems
    expected = systems[0].minus(systems[2], "pesq_wb")
    for key in ("mean", "low", "high", "n", "p"):
        assert shown["differences"][0]["pesq_wb"][0][2][key] == pytest.approx(getattr(expected, key), rel=1e-5)
    new = shown["differences"][1]["pesq_wb"][0][2]
    assert new["n"] == 2
    assert new["mean"] == pytest.approx(
        np.mean([systems[0].values["pesq_wb"][i] - systems[2].values["pesq_wb"][i] for i in "ac"]), rel=1e-5
    )


def test_values_line_up_with_recordings(run, shown):
    values = Results.load(run).systems[0].values["wer"]
    assert shown["systems"][0]["values"]["wer"] == [values["a"], values["b/1"], None, values["c"]]


def test_families(shown):
    families = {s["name"]: (s["family"], s["is_curve"]) for s in shown["systems"]}
    assert families["model"] == families["model:2"] == ("model", True)
    assert families["opus-6"] == ("opus", False)
    assert {s["name"] for s in shown["systems"] if s["is_anchor"]} == {"identity", "lowpass-8k", "lowpass-16k"}


def test_misorders(run, shown):
    assert shown["misorders"] == []
    results = Results.load(run)
    results.systems[0].values["wer"] = dict.fromkeys(results.systems[0].values["wer"], -99.0)
    results.save(run)
    (misorder,) = content(gather([run]))["misorders"]
    assert (misorder["column"], misorder["better"], misorder["worse"]) == ("wer", "identity", "opus-6")
    assert misorder["difference"]["n"] == 3
    assert misorder["is_significant"] is False  # three recordings have eight patterns of signs


def test_files_made_elsewhere_are_families_of_their_own(run):
    results = Results.load(run)
    results.systems += [SystemResult(f"files=/x/my-{name}", values=results.systems[0].values) for name in "ab"]
    results.save(run)
    families = [(s["family"], s["is_curve"]) for s in content(gather([run]))["systems"]]
    assert families[-2:] == [("files=/x/my-a", False), ("files=/x/my-b", False)]


def test_codebooks(run, shown):
    usage = shown["systems"][2]["usage"]
    codes = np.concatenate([np.load(path) for path in (run / "codes/model").iterdir()], axis=1)
    assert usage["frames"] == codes.shape[1] == 52
    for row, book in zip(codes, usage["codebooks"], strict=True):
        assert book["size"] - book["n_unseen"] == len(set(row))
        assert book["perplexity"] == pytest.approx(2 ** book["entropy"])
    assert shown["systems"][0]["usage"] is None


def test_codes_that_were_not_kept(run):
    for path in (run / "codes/model").iterdir():
        path.unlink()
    assert content(gather([run]))["systems"][2]["usage"] is None


def test_damaged_codes_are_named(run):
    file_of(run, "codes", "model", "a").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"model/a\.npy"):
        content(gather([run]))
