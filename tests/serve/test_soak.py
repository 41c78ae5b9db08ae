"""A short version of `benchmarks/serve_soak.py`."""

import runpy
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks/serve_soak.py"


def test_clients_that_misbehave_leave_nothing_behind(model, capsys):
    runpy.run_path(str(SCRIPT))["main"](["--minutes", "1", "--model", str(model)])
    assert "open files" in capsys.readouterr().out
