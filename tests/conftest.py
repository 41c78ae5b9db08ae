"""What every process of pytest loads; fixtures of all tests are in `shared_fixtures.py`."""

import gc

import pytest

LONG = (
    "test_ablate",
    "test_tts",
    "test_export",
    "test_onnx",
    "test_notebooks",
    "test_docs",
    "test_soak",
    "test_stream",
)

# Modules and traced graphs are many objects that stay: to look for cycles among them took a twentieth of the time.
gc.set_threshold(20_000, 20)


def pytest_configure(config: pytest.Config) -> None:
    """The process that hands out tests to those of xdist does without fixtures, and so without torch."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        config.pluginmanager.import_plugin("shared_fixtures")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest come first, so that no worker is left alone with one of them."""
    items.sort(key=lambda item: item.path.stem not in LONG)
    gc.freeze()
