"""Folders as one set of results: shared recordings, names that clash, what is refused."""

from dataclasses import replace

import pytest
from pages import make_run

from eval.report.runs import gather
from eval.results import Results


def test_one_folder_is_its_results(run):
    runs, results = gather([run]), Results.load(run)
    assert runs.results == results
    assert runs.reference.file("audio", "b/1").is_file()
    assert runs.sources["model"].file("codes", "ü").is_file()
    assert runs.sources["identity"].file("codes", "a") is None


def test_two_folders_share_recordings(run, tmp_path):
    other = tmp_path / "other"
    theirs = make_run(other, seed=1)
    theirs.recordings = theirs.recordings[1:][::-1]
    theirs.systems[0].system = "speex"
    theirs.save(other)
    runs = gather([run, other])
    assert [r.id for r in runs.results.recordings] == ["b/1", "ü", "c"]
    names = [s.system for s in runs.results.systems]
    assert names[6:9] == ["absent", "speex", f"{other}/model:2"]
    model, again = (next(s for s in runs.results.systems if s.system == n) for n in ("model:2", f"{other}/model:2"))
    assert model.values["wer"].keys() == again.values["wer"].keys() == {"b/1", "ü", "c"}
    assert again.values["wer"]["c"] == theirs.systems[1].values["wer"]["c"]
    assert runs.sources[f"{other}/model:2"].folder == other
    assert runs.results.not_measured == {f"{run}: utmos": "no weights", f"{other}: utmos": "no weights"}
    assert "gone" in runs.results.systems[0].failures  # of no recording, and still listed


def test_what_cannot_be_joined(run, tmp_path):
    other = tmp_path / "other"
    theirs = make_run(other)
    theirs.recordings[0] = replace(theirs.recordings[0], seconds=2.0)
    theirs.save(other)
    with pytest.raises(ValueError, match=r"other: recording a has 2.0 s, 1.0 s in"):
        gather([run, other])
    theirs.recordings = [replace(r, id=f"{r.id}x") for r in theirs.recordings]
    theirs.save(other)
    with pytest.raises(ValueError, match="no recording is in all of them"):
        gather([run, other])
    ours = Results.load(run)
    ours.columns = [replace(c, measured_by="asr:pocketsphinx, 1") for c in ours.columns]
    (tmp_path / "ours").mkdir()
    ours.save(tmp_path / "ours")
    ours.columns = [replace(c, measured_by="asr:whisper, 2") for c in ours.columns]
    ours.save(other)
    with pytest.raises(ValueError, match=r"other: .* is by asr:whisper, 2, before it by asr:pocketsphinx, 1"):
        gather([tmp_path / "ours", other])
    theirs.columns = []
    theirs.save(other)
    with pytest.raises(ValueError, match="other: no metric is measured"):
        gather([other])
    with pytest.raises(ValueError, match=r"results\.json"):
        gather([tmp_path / "nowhere"])


def test_restrict(run):
    system = Results.load(run).systems[0]
    some = system.restrict(["a", "ü"])
    assert some.values == {"pesq_wb": {k: system.values["pesq_wb"][k] for k in ("a", "ü")},
                           "wer": {"a": system.values["wer"]["a"]}}  # fmt: skip
    assert some.failures == system.failures
