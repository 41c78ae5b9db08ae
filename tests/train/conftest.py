"""What every training test needs."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """These problems are too small to share out: threads that wait for busy cores cost ten times the work.

    Nor is forking fast while torch runs many threads.
    """
    n = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n)
