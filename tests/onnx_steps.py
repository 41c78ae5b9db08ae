"""Streams as ONNX files: a fixture for those who import it."""

import os
from pathlib import Path

import pytest
from filelock import FileLock
from tiny import SMALL_GRAPHS, make_codec

from codec.export import export_steps


@pytest.fixture(scope="session")
def source_filter_steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Steps of the small codec with the front and head of the default, exported once for all workers of xdist."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "source_filter_steps"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            export_steps(make_codec(**SMALL_GRAPHS["source filter"]), folder, "0123456789abcdef")
    return folder
