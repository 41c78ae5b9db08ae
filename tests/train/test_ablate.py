"""Studies: nothing trains before all is checked, what is complete stays, a failing variant is named, the table says."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from forks import Fork

from codec.config import preset
from eval.metrics.base import Column
from eval.results import SystemResult
from eval.testsets import read_testset
from train.ablate import training
from train.ablate.__main__ import main, measure
from train.ablate.cost import Cost, measure_cost
from train.ablate.figure import study_figure
from train.ablate.result import Point, summarize, to_markdown
from train.ablate.study import CONF, ROOT, Run, Study, plan, read_study
from train.checkpoint import PROGRESS
from train.data.audio.synthetic import SyntheticDataConfig
from train.settings.config import TrainerConfig
from train.settings.run import CodecRun

CLIPS = ROOT / "tests/data"
COARSE = "model.quantizer.acoustic.levels=5"
STUDY = f"""
base:
  - experiment=codec_tiny_cpu
  - data.train={CLIPS}
  - data.valid=null
  - data.crop_s=0.64
  - loss.fft_sizes=[512,128]
  - loss.vq_starts=[5]
  - loss.vq_frames=128
  - trainer.steps=40
  - trainer.log_every=1
  - trainer.save_every=1000
variants:
  plain: []
  coarse: [{COARSE}]
  broken: [model.init=nowhere]
seeds: [3]
metrics: [stft, estoi]
reference: plain
"""


def arguments(folder, *more):
    return [str(folder / "study.yaml"), "--out", str(folder / "out"), "--test", str(CLIPS), "--jobs", "2", *more]


def log_of(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def fork(run, threads, handle):
    """What `training._start` does, without the seconds that torch takes to load."""
    run.folder.mkdir(parents=True, exist_ok=True)
    return Fork("train", *run.overrides, log=run.folder / training.LOG)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study that was stopped at work and begun again, and the exit status of its second half."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.yaml").write_text(STUDY)
    process = Fork("train.ablate", *arguments(folder), log=folder / "log")
    started = [folder / "out" / variant / "3" / "metrics.jsonl" for variant in ("plain", "coarse")]
    deadline = time.monotonic() + 600
    while not all(path.exists() and path.stat().st_size for path in started) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 1
    messages = (folder / "log").read_text()
    assert "the same command resumes from here" in messages
    assert "plain/3: training; its log is " in messages  # though this is no terminal
    assert not any(run.is_complete for run in plan(read_study(str(folder / "study.yaml")), folder / "out"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_start", fork)
        return folder, main(arguments(folder))


def test_interrupted_trainings_go_on(finished):
    folder, _ = finished
    for variant in ("plain", "coarse"):
        run = folder / "out" / variant / "3"
        assert len((run / "starts.jsonl").read_text().splitlines()) == 2
        assert [line["step"] for line in log_of(run) if "loss/total" in line] == list(range(1, 41))


def test_a_failing_variant_is_named_and_loses_no_other(finished):
    folder, status = finished
    assert status == 1
    results = json.loads((folder / "out/results.json").read_text())
    assert list(results["failures"]) == ["broken/3"]
    assert "nowhere" in results["failures"]["broken/3"]
    assert [row["variant"] for row in results["rows"]] == ["plain", "coarse"]
    assert "- broken/3: training failed with status 1: " in (folder / "out/table.md").read_text()


def test_table_and_results_say_the_same(finished):
    folder, _ = finished
    results = json.loads((folder / "out/results.json").read_text())
    table = (folder / "out/table.md").read_text()
    rows = {row["variant"]: row for row in results["rows"]}
    config = preset("tiny", quantizer={"acoustic": {"levels": 5}})
    assert rows["coarse"]["cost"]["kbit_per_s"] == pytest.approx(config.bitrate() / 1000)
    assert rows["coarse"]["cost"]["steps"] == 40
    assert rows["coarse"]["cost"]["audio_h"] == pytest.approx(40 * 4 * 0.64 / 3600)
    assert 0 < rows["coarse"]["cost"]["minutes"] < 5
    best, other = sorted(rows, key=lambda variant: rows[variant]["scores"]["stft"]["mean"])
    assert results["best"] == best
    assert results["reference"] == "plain"
    assert rows["plain"]["minus_reference"] == {}
    difference = rows["coarse"]["minus_reference"]["stft"]
    assert difference["mean"] == pytest.approx(
        rows["coarse"]["scores"]["stft"]["mean"] - rows["plain"]["scores"]["stft"]["mean"]
    )
    assert f"| **{best}** | all | 1 |" in table
    assert f"| {other} | all | 1 |" in table
    assert f" | all | {difference['mean']:+.2f} " in table
    assert f"p = {difference['p']:.4f}, corrected {difference['p_holm']:.4f} |" in table
    assert r"\midrule" in (folder / "out/scores.tex").read_text()
    assert "\ncoarse,all," in (folder / "out/differences.csv").read_text()
    for suffix in (".png", ".svg", ".pdf"):
        assert (folder / f"out/figure{suffix}").stat().st_size > 5_000


def test_the_resolved_study_is_a_study(finished):
    folder, _ = finished
    (first, *_), (again, *_) = (
        plan(read_study(str(path)), folder / "out") for path in (folder / "study.yaml", folder / "out/study.yaml")
    )
    assert first.config == again.config


def test_complete_trainings_are_not_repeated(finished, monkeypatch):
    folder, _ = finished
    table, begun = (folder / "out/table.md").read_text(), []

    def start(run, threads, handle):
        begun.append(run.name)
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])

    monkeypatch.setattr(training, "_start", start)
    assert main(arguments(folder)) == 1
    assert begun == ["broken/3"]
    assert (folder / "out/table.md").read_text() == table


def test_other_settings_need_another_folder(finished, capsys):
    folder, _ = finished
    assert main(arguments(folder, "trainer.steps=41")) == 2
    assert "delete" in capsys.readouterr().err


def test_one_runner_at_a_time(finished, capsys):
    folder, _ = finished
    with training.lock(folder / "out"):
        assert main(arguments(folder)) == 2
    assert "locked by another study" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (COARSE, "model.quantizer.nothing=5", "variant coarse: model.quantizer.nothing: no such setting"),
        (COARSE, "model.quantizer.kind=vq", "model.quantizer.kind = 'vq': expected one of split, fsq, residual_vq"),
        (COARSE, "model.nothing=5", "variant coarse: model.nothing: no such setting"),
        (
            "model.quantizer.acoustic.levels=5",
            "model.quantizer.acoustic.levels=1",
            "variant coarse: model.quantizer.acoustic.levels = 1",
        ),
        (COARSE, "optim.lr=x", "variant coarse: optim.lr = 'x'"),
        (COARSE, "task=poems", "variant coarse: task = 'poems'"),
        (COARSE, "trainer.steps=9", "one budget"),
        (f"data.train={CLIPS}", "data.train=nowhere", "nowhere"),
        (f"data.train={CLIPS}", "data.train=???", "data.train"),
        ("estoi", "fun", "metric fun"),
        ("seeds: [3]", "seeds: [3, 3]", "seeds"),
        ("seeds: [3]", "", "seeds"),
        ("  coarse:", "  a/b:", "a/b"),
        ("metrics:", "measures:", "measures"),
        ("reference: plain", "reference: fine", "reference = 'fine': expected one of plain, coarse, broken"),
        ("reference: plain", "n_q: [3, 3]", "n_q"),
        ("reference: plain", "n_q: [0]", "n_q"),
        ("reference: plain", "n_q: [10]", "variant plain has 1 to 9 codebooks"),
    ],
)
def test_mistakes_are_found_before_anything_trains(tmp_path, capsys, old, new, message):
    assert old in STUDY
    (tmp_path / "study.yaml").write_text(STUDY.replace(old, new))
    assert main(arguments(tmp_path)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("place", "message"), [(0, "one of acoustic, "), (4, "nowhere")])
def test_unknown_studies_and_test_sets(tmp_path, capsys, place, message):
    (tmp_path / "study.yaml").write_text(STUDY)
    args = arguments(tmp_path)
    args[place] = "nowhere"
    assert main(args) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "ablation").glob("*.yaml")))
def test_shipped_studies_compose(tmp_path, name):
    study = read_study(name)
    study.base.append(f"data.train={CLIPS}")
    runs = plan(study, tmp_path)
    rates = [run.config.model.bitrate() for run in runs]
    assert max(rates) < 1.011 * min(rates)
    assert len({run.config.data.batch_size for run in runs}) == 1 or runs[0].config.trainer.minutes


COST = Cost(1, 1.0, 12.5, 2.1, 10, 0.1, 1.0)


def make_result(*values):
    return SystemResult("x", values={"mel": {str(i): value for i, value in enumerate(values)}})


def test_seeds_are_averaged_and_the_best_compared():
    column = Column("mel", "mel", False, 3)
    near = [0.1 * i for i in range(8)]
    a, b = Point("a", None), Point("b", None)
    results = {
        a: {0: make_result(*(x + 1.0 for x in near)), 1: make_result(*(x + 1.2 for x in near))},
        b: {0: make_result(*(x + 0.5 for x in near)), 1: make_result(*(x + 0.5 for x in near[:6]))},
    }
    costs = dict.fromkeys(results, COST)
    found = summarize([column], results, costs, {})
    assert (found.best, found.reference) == ("b", "b")  # lower is better
    first, second = found.rows
    assert (first.scores["mel"].mean, first.scores["mel"].spread) == pytest.approx((1.1 + 0.35, 0.2))
    assert (second.scores["mel"].n, second.scores["mel"].spread) == (6, 0)
    difference = first.minus_reference["mel"]
    assert difference.mean == pytest.approx(0.6)
    assert difference.p == difference.p_holm == 2 / 2**6  # only all signs alike are as far from 0
    assert "| a | all | +0.600 [+0.600, +0.600], p = 0.0312, corrected 0.0312 |" in to_markdown(found)
    with pytest.raises(ValueError, match="none is the best"):
        summarize([column], {a: {0: make_result()}}, costs, {})


def grid(**offsets):
    """Results of variants with 1 and 9 codebooks, a seed each: what recordings have in common, and offsets."""
    common = [0.1 * i for i in range(8)]
    return {
        Point(variant, n_q): {0: make_result(*(x + offset / n_q for x in common))}
        for variant, offset in offsets.items()
        for n_q in (1, 9)
    }


def test_a_chosen_reference_at_every_number_of_codebooks():
    results = grid(ours=1.0, plain=2.0, coarse=3.0)
    costs = {point: replace(COST, kbit_per_s=0.2 * point.n_q) for point in results}
    found = summarize([Column("mel", "mel", False, 3)], results, costs, {}, "plain")
    assert (found.best, found.reference) == ("ours", "plain")
    differences = {(r.variant, r.n_q): r.minus_reference["mel"].mean for r in found.rows if r.minus_reference}
    expected = {("ours", 1): -1, ("ours", 9): -1 / 9, ("coarse", 1): 1, ("coarse", 9): 1 / 9}
    assert differences == pytest.approx(expected)
    p = 2 / 2**8
    assert {r.minus_reference["mel"].p_holm for r in found.rows if r.minus_reference} == {4 * p}  # of four comparisons
    assert "| **ours** | 9 | -0.111 " in to_markdown(found)
    assert "and Holm's correction for the 4 comparisons" in to_markdown(found)
    (axes,) = study_figure(found).axes
    lines = {c.get_label(): c.lines[0].get_xydata().tolist() for c in axes.containers}
    assert lines.keys() == {"ours", "plain", "coarse"}
    assert lines["ours"] == pytest.approx(np.array([[0.2, 1.35], [1.8, 0.35 + 1 / 9]]))


def test_a_reference_that_failed_leaves_the_others():
    results = {point: result for point, result in grid(ours=1.0, plain=2.0).items() if point.variant != "plain"}
    found = summarize([Column("mel", "mel", False)], results, dict.fromkeys(results, COST), {"plain/0": "no"}, "plain")
    assert not any(row.minus_reference for row in found.rows)
    assert "- plain/0: no" in to_markdown(found)


def settings(model):
    data = SyntheticDataConfig("unused", batch_size=6, crop_s=3.0)
    return CodecRun(run_dir="", model=model, data=data, trainer=TrainerConfig(accumulate=2))


def write_progress(folder, step, seconds):
    path = folder / f"checkpoints/step_{step:08d}" / PROGRESS
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"step": step, "seconds": seconds}))


def test_codebooks_are_measured_of_one_training(tmp_path, tokenizer):
    """As `outcome` gets it: systems by variant, seed and number of codebooks."""
    for seed in (0, 1):
        tokenizer.save(tmp_path / f"a/{seed}/last")
        write_progress(tmp_path / f"a/{seed}", 10, 60.0)
    runs = [Run("a", seed, tmp_path / f"a/{seed}", (), settings(tokenizer.config)) for seed in (0, 1)]
    study = Study([], {"a": [], "b": []}, [0, 1], ["stft"], n_q=[1, 9])
    found = measure(study, runs, read_testset(CLIPS), tmp_path / "out", 1, {})
    one, nine = found.rows
    assert [(row.n_q, row.seeds) for row in found.rows] == [(1, (0, 1)), (9, (0, 1))]
    assert one.cost.kbit_per_s == pytest.approx(tokenizer.config.bitrate(1) / 1000)
    assert nine.cost.kbit_per_s == pytest.approx(tokenizer.config.bitrate() / 1000)
    assert one.scores["stft"].mean != nine.scores["stft"].mean


def test_operations_are_those_of_the_matrix_products(tmp_path):
    write_progress(tmp_path, 10, 60.0)  # fewer steps than the log has lines for
    spent = measure_cost(preset("small"), [Run("a", 0, tmp_path, (), settings(preset("small")))])
    assert 1.90e9 < spent.flops < 1.95e9  # without attention scores: 1.90
    audio_h = 10 * 2 * 6 * 3.04 / 3600  # clips of whole frames
    assert (spent.steps, spent.audio_h, spent.minutes) == pytest.approx((10, audio_h, 1.0))
