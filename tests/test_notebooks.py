"""Notebooks run from top to bottom, and what is committed is small enough to read on a code host."""

from pathlib import Path

import nbformat
import pytest
from forks import Fork

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SHORTER = {  # what a test need not wait for
    "01_tokenizer_tour": [("[1, 5, 9, 13, 19, 25, 31, 37]", "[1, 37]")],
    "02_rate_quality": [("[::3]", "[::6]"), (r", \"codec2-2400\", \"opus-6-60ms\"", "")],
    "03_training_dynamics": [("steps=240", "steps=5"), ("validate_every=120", "validate_every=5")],
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_runs(path, tmp_path):
    source = path.read_text()
    for long, short in SHORTER.get(path.stem, []):
        assert source.count(long) == 1
        source = source.replace(long, short)
    (tmp_path / path.name).write_text(source)
    log = tmp_path / "log"
    process = Fork("run_notebook", tmp_path / path.name, path.parent, log=log, cwd=ROOT / "tests")
    assert process.wait() == 0, log.read_text()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_was_committed_with_outputs_and_is_small(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert path.stat().st_size < 1_000_000
