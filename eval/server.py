"""A `codec serve` of its own, for benchmarks of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

START_SECONDS = 300.0  # until it listens


@contextmanager
def codec_serve(arguments: Sequence[str]) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The process of a server with these arguments on a free loopback port, and its address; it is killed at the end.

    Args:
        arguments: of `codec serve`, without the port.

    Raises:
        SystemExit: it did not start; the message has its log.
    """
    command = [sys.executable, "-c", "from codec.cli import main; main()", "serve", "--port", "0", *arguments]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stderr=log)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not (found := re.search(r"running on (http://[^\s\"]+)", _text(log))):
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"codec serve {' '.join(arguments)} did not start:\n{_text(log)}")
                time.sleep(0.1)
            yield process, found[1]
        finally:
            process.kill()
            process.wait()


def _text(log: Any) -> str:
    return os.pread(log.fileno(), 2**20, 0).decode(errors="replace")
