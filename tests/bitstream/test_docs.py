"""The page that describes the format suffices: the reader in it reads the vectors, which never change."""

import re
from pathlib import Path

import numpy as np
import pytest

from codec.bitstream import Copies, Reader, Writer

ROOT = Path(__file__).parents[2]
VECTORS = sorted((Path(__file__).parent / "vectors").glob("*.c37"))


@pytest.fixture(scope="module")
def read_c37():
    (source,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/bitstream.md").read_text(), re.DOTALL)
    assert len(source.splitlines()) <= 70
    space = {}
    exec(source, space)
    return space["read_c37"]


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_the_reader_of_the_page_reads_the_vectors(read_c37, path):
    codes, n_samples = read_c37(path.read_bytes())
    np.testing.assert_array_equal(codes, np.load(path.with_suffix(".npy")))
    with path.open("rb") as file:
        reader = Reader(file)
        np.testing.assert_array_equal(np.concatenate([item.codes for item in reader], axis=1), codes)
    assert reader.n_samples == n_samples


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_the_writer_writes_the_vectors(path, tmp_path):
    with path.open("rb") as file:
        reader = Reader(file)
        items = list(reader)
    if len(items[0].codes) < len(reader.header.codebook_sizes):
        return  # a relay dropped layers, and left the index
    with (tmp_path / "again.c37").open("wb") as file:
        writer = Writer(file, reader.header, copies=Copies(1) if path.stem == "copies" else None)
        writer.write(np.load(path.with_suffix(".npy")))
        writer.close(reader.n_samples)
    assert (tmp_path / "again.c37").read_bytes() == path.read_bytes()
