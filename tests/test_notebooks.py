"""Notebooks run from top to bottom, and what is committed is small enough to read on a code host."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SHORTER = {  # what a test need not wait for
    "01_tokenizer_tour": [("[1, 5, 9, 13, 19, 25, 31, 37]", "[1, 37]")],
    "02_rate_quality": [("[::3]", "[::6]")],
    "03_training_dynamics": [("steps=240", "steps=20"), ("validate_every=120", "validate_every=10")],
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_runs(path):
    source = path.read_text()
    for long, short in SHORTER.get(path.stem, []):
        assert source.count(long) == 1
        source = source.replace(long, short)
    notebook = nbformat.reads(source, as_version=4)
    NotebookClient(notebook, resources={"metadata": {"path": str(path.parent)}}).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_was_committed_with_outputs_and_is_small(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert path.stat().st_size < 1_000_000
