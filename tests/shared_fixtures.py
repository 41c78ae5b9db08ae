"""Fixtures of all tests."""

from collections.abc import Iterator
from multiprocessing import get_context

import pytest
import torch
from tiny import CONFIGS, make_codec

from codec.model import Codec
from codec.tokenizer import Tokenizer

get_context("forkserver").set_forkserver_preload(["torch"])  # else every worker takes seconds to load it


@pytest.fixture(autouse=True)
def subnormal_numbers() -> Iterator[None]:
    """Commands flush them to zero for the whole process: tests after them see numbers as they are."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer(make_codec())


@pytest.fixture
def four_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process computes on four threads, and so would new ones."""
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=CONFIGS)
def any_codec(request: pytest.FixtureRequest) -> Codec:
    """A codec of each configuration, in float64: equality of codes then does not hinge on rounding."""
    return make_codec(request.param).cast(torch.float64)
