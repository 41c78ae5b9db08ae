"""Tokenizing on a local Ray: an actor and then the driver are killed, and nothing is lost or done twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from waiting import wait_until

ray = pytest.importorskip("ray", reason="needs pip install 'codec37[ray]'")
pytest.importorskip("pyarrow", reason="needs pip install 'codec37[ray]'")
from codec.dataset import TokenizeConfig, read_shards, tokenize  # noqa: E402

pytestmark = pytest.mark.cluster
# By default Ray gives its workers a niceness of 15: beside other work on the same cores they stand still for minutes.
os.environ |= {"RAY_worker_niceness": "0", "RAY_worker_register_timeout_seconds": "300"}
ROOT = Path(__file__).parents[2]
CLIPS = sorted((ROOT / "tests/data").glob("*.flac"))
N_SHARDS = 60
SHARD_HOURS = 8 / 3600


@pytest.fixture(scope="module")
def address():
    """A cluster that outlives the drivers."""
    ray.init(num_cpus=2, include_dashboard=False, logging_level="error", log_to_driver=False)
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


def actors():
    """The processes of Ray Data's actors."""
    return [p for p in psutil.process_iter(["cmdline"]) if "ray::MapWorker" in " ".join(p.info["cmdline"] or [])]


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_actor_and_then_the_driver_are_killed(tmp_path, tokenizer, address):
    tokenizer.save(tmp_path / "tiny")
    lines = [{"path": str(CLIPS[i % 3]), "id": str(i), "duration_s": 4.0} for i in range(2 * N_SHARDS)]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    one, out = tmp_path / "one", tmp_path / "out"
    tokenize(tmp_path / "m.jsonl", one, TokenizeConfig(str(tmp_path / "tiny"), shard_hours=SHARD_HOURS), workers=1)
    assert [row.id for row in read_shards(one)] == [line["id"] for line in lines]

    def start(n):
        arguments = ["tokenize", tmp_path / "m.jsonl", "--out", out, "--model", tmp_path / "tiny", "--engine", "ray"]
        options = ["--shard-hours", SHARD_HOURS, "--workers", n]
        code = "from codec.cli import main; main()"
        environment = os.environ | {"RAY_ADDRESS": address, "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments + options)], env=environment, cwd=ROOT)

    def n_written():
        return len(list(out.glob("0*.parquet")))

    driver = start(1)
    wait_until(n_written, seconds=300)
    (actor,) = actors()
    actor.kill()
    actor.wait()
    n = n_written()
    wait_until(lambda: n_written() > n, seconds=300)  # by another actor
    assert actor.pid not in [other.pid for other in actors()]
    driver.kill()
    driver.wait()
    wait_until(lambda: not actors())
    assert n < n_written() < N_SHARDS
    assert start(2).wait(300) == 0
    assert contents(out) == contents(one)
