"""Tokenizing a dataset: the codes are the codec's, the labels survive, and no way of running changes a byte."""

import itertools
import json
import re
import shutil
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
import torch
from pieces import CLIPS, write_pieces, write_rates
from typer.testing import CliRunner
from waiting import wait_until

from codec.audio.io import read_audio
from codec.cli import app
from codec.dataset import TokenizeConfig, read_shards, tokenize
from codec.dataset import run as run_module
from codec.dataset.engines import in_processes
from codec.dataset.formats import FORMS, TokenRow
from codec.dataset.worker import Worker

PAGE = Path(__file__).parents[2] / "docs/howto/dataset.md"
N_SHARDS = 4


@pytest.fixture(scope="module")
def codec(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("codec") / "tiny"
    tokenizer.save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A manifest of nine pieces of the clips, one without a text, and of a file that is none."""
    folder = tmp_path_factory.mktemp("source")
    lines = []
    for clip, _, name in write_pieces(folder):
        text = f"text of {name}" if lines else None
        lines.append({"path": name, "text": text, "speaker": clip.stem, "source": "clips"})
    (folder / "bad.wav").write_bytes(b"RIFF")
    lines.insert(4, {"path": "bad.wav", "duration_s": 1})
    (folder / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "m.jsonl"


@pytest.fixture
def in_this_process(monkeypatch):
    """The engine without the seconds that processes take to start."""

    def engine(shards, out, config, fingerprint, n):
        n_threads = torch.get_num_threads()
        yield from map(Worker(out, config, fingerprint), shards)
        torch.set_num_threads(n_threads)

    monkeypatch.setitem(run_module.ENGINES, "processes", engine)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, source, codec):
    """Shards of both formats, by one process."""
    folders = {}
    for name in FORMS:
        if name == "parquet":
            pytest.importorskip("pyarrow", reason="needs pip install 'codec37[parquet]'")
        folders[name] = tmp_path_factory.mktemp(name)
        tokenize(source, folders[name], config(codec, format=name), workers=1)
    return folders


def config(codec, **changes):
    """Three pieces last 2.5 s: four shards, each read in two windows and encoded in batches."""
    return TokenizeConfig(codec, **{"shard_hours": 3 / 3600, "batch_seconds": 0.25, **changes})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def is_running(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # whoever adopts an orphan may take its time to wait for it
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("name", FORMS)
def test_rows_are_the_recordings_with_their_codes(finished, tokenizer, source, name):
    rows = list(read_shards(finished[name]))
    lines = [json.loads(line) for line in source.read_text().splitlines()]
    for row, line in zip(rows, [line for line in lines if line["path"] != "bad.wav"], strict=True):
        x = soundfile.read(source.parent / line["path"], dtype="float32")[0]
        codes = tokenizer.encode(x, 24_000).codes[0].T.numpy()
        assert row.audio_codes.dtype == np.int16
        assert row.audio_codes.shape == codes.shape
        assert (row.audio_codes == codes).mean() > 0.99  # rounding differs with the size of a batch
        assert (row.id, row.text, row.speaker, row.source) == (line["path"], line["text"], line["speaker"], "clips")
        assert (row.duration_s, row.language) == (len(x) / 24_000, None)
        assert row.fingerprint == tokenizer.fingerprint
    failures = [json.loads(line) for line in (finished[name] / "failures.jsonl").read_text().splitlines()]
    assert [Path(failure["recording"]).name for failure in failures] == ["bad.wav"]
    assert "bad.wav" in failures[0]["error"]


def test_recordings_of_other_rates_have_the_codes_of_the_codec(tmp_path, in_this_process, tokenizer, codec):
    paths = write_rates(tmp_path)
    tokenize(tmp_path, tmp_path / "out", config(codec, format="webdataset"))
    for row, path in zip(read_shards(tmp_path / "out"), paths, strict=True):
        codes = tokenizer.encode(read_audio(path, None, 24_000), 24_000).codes[0]
        np.testing.assert_array_equal(row.audio_codes, codes.T)


def test_the_number_of_processes_changes_no_byte(tmp_path, finished, source, codec):
    summary = tokenize(source, tmp_path, config(codec, format="webdataset"), workers=2)
    assert (summary.n_recordings, summary.n_failures) == (9, 1)
    assert contents(tmp_path) == contents(finished["webdataset"])
    assert sum(path.suffix == ".tar" for path in tmp_path.iterdir()) == N_SHARDS


@pytest.mark.parametrize("n_written", [0, 1, 3])
def test_a_killed_run_goes_on(tmp_path, monkeypatch, in_this_process, finished, source, codec, n_written):
    calls, form = itertools.count(), FORMS["webdataset"]

    def write_or_die(path, rows, n_codebooks):
        if next(calls) == n_written:
            (path.parent / ".new-half.tar").write_bytes(b"half")
            raise KeyboardInterrupt
        form.write(path, rows, n_codebooks)

    with monkeypatch.context() as patch:
        patch.setitem(FORMS, "webdataset", form._replace(write=write_or_die))
        with pytest.raises(KeyboardInterrupt):
            tokenize(source, tmp_path, config(codec, format="webdataset"))
    with pytest.raises(ValueError, match=f"{N_SHARDS - n_written} of {N_SHARDS} shards are missing"):
        list(read_shards(tmp_path))
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("0*.tar")}
    assert len(times) == n_written
    tokenize(source, tmp_path, config(codec, format="webdataset"))
    assert contents(tmp_path) == contents(finished["webdataset"])
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_a_killed_worker_and_then_a_killed_run_lose_nothing(tmp_path, monkeypatch, in_this_process, codec):
    lines = [{"path": str(CLIPS[i % 3]), "id": str(i), "duration_s": 4.0} for i in range(60)]
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    one, out = tmp_path / "one", tmp_path / "out"
    settings = config(codec, format="webdataset", shard_hours=4 / 3600)
    tokenize(manifest, one, settings)

    def n_written():
        return len(list(out.glob("0*.tar")))

    def engine(*args):
        for report in in_processes(*args):
            yield report
            for process in psutil.Process().children(recursive=True):
                if "forkserver" in " ".join(process.parent().cmdline()):
                    process.kill()

    with monkeypatch.context() as patch:
        patch.setitem(run_module.ENGINES, "processes", engine)
        with pytest.raises(RuntimeError, match="run again to go on"):
            tokenize(manifest, out, settings, workers=1)
    n = n_written()
    assert 0 < n < len(lines)

    run = get_context("forkserver").Process(target=tokenize, args=(manifest, out, settings, "processes", 1))
    run.start()
    wait_until(lambda: n_written() > n, seconds=300)
    started = psutil.Process(run.pid).children(recursive=True)
    run.kill()
    wait_until(lambda: not any(map(is_running, started)))
    assert n < n_written() < len(lines)

    tokenize(manifest, out, settings)
    assert contents(out) == contents(one)


@pytest.mark.parametrize(("name", "value"), [("shard_hours", 1.0), ("batch_seconds", 1.0), ("format", "parquet")])
def test_a_folder_made_with_other_settings_is_refused(in_this_process, finished, source, codec, name, value):
    before = contents(finished["webdataset"])
    with pytest.raises(ValueError, match=f"{name} = .* another folder"):
        tokenize(source, finished["webdataset"], config(codec, **{"format": "webdataset", name: value}))
    assert contents(finished["webdataset"]) == before


def test_a_folder_of_another_resampling_is_refused(tmp_path, in_this_process, finished, source, codec):
    out = shutil.copytree(finished["webdataset"], tmp_path / "older")
    index = json.loads((out / "index.json").read_text())
    del index["resampling"]
    (out / "index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="made with resampling = soxr HQ, this run has soxr VHQ"):
        tokenize(source, out, config(codec, format="webdataset"))


def test_a_worker_with_another_codec_writes_nothing(tmp_path, codec):
    with pytest.raises(ValueError, match="expected 0123"):
        Worker(tmp_path, config(codec), "0123")


@pytest.mark.parametrize("name", FORMS)
def test_a_shard_may_be_empty(tmp_path, name):
    if name == "parquet":
        pytest.importorskip("pyarrow")
    row = TokenRow("a", None, None, None, None, 0.5, "f" * 16, np.ones((0, 3), np.int16))
    for number, rows in enumerate(([], [row], [row, row])):
        path = tmp_path / f"{number}{FORMS[name].suffix}"
        FORMS[name].write(path, rows, 3)
        assert [(r.id, r.audio_codes.shape) for r in FORMS[name].read(path)] == [("a", (0, 3))] * len(rows)


@pytest.mark.parametrize(
    "options",
    [
        ["--format", "csv"],
        ["--shard-hours", "0"],
        ["--engine", "dask"],
        ["--workers", "-1"],
        ["--batch-seconds", "nan"],
    ],
    ids=" ".join,
)
def test_bad_options_are_named(tmp_path, source, codec, options):
    arguments = ["tokenize", str(source), "--out", str(tmp_path / "out"), "--model", codec, *options]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert options[0].strip("-").replace("-", "_") in result.output
    assert not (tmp_path / "out").exists()


def test_the_command(tmp_path, in_this_process, source, codec):
    arguments = ["tokenize", str(source), "--out", str(tmp_path), "--model", codec, "--format", "webdataset"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert "9 recordings, 0.00 hours in" in result.output
    assert "1 recordings could not be read" in result.output


def test_the_page_reads_shards(tmp_path, monkeypatch, finished):
    (tmp_path / "tokens").symlink_to(finished["parquet"])
    monkeypatch.chdir(tmp_path)
    names = {}
    for example in re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL):
        exec(example, names)
    assert names["table"].num_rows == 3
    assert len(names["table"]["audio_codes"][0].as_py()[0]) == 9
