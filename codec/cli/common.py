"""Shared parts of the commands: options, loading of models, standard input and output, errors.

Modules that need torch are imported where they are used, so that help and usage errors come at once.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar, cast

import typer

from codec.extras import MissingDependencyError
from codec.files import message

if TYPE_CHECKING:
    import torch

    from codec.tokenizer import Tokenizer

T = TypeVar("T")

Model = Annotated[str, typer.Option("--model", "-m", help="checkpoint folder, hub id, preset, or default")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps ...")]
PRECISIONS = ("float32", "bfloat16", "float16")
Precision = Annotated[str, typer.Option(help="float32, bfloat16 or float16")]
NumQuantizers = Annotated[int | None, typer.Option("--n-q", help="codebooks to use: fewer is a lower bitrate")]


def open_tokenizer(model: str, device: str, dtype: str) -> Tokenizer:
    """Load a codec, or exit with an error."""
    check_precision(dtype)
    from codec.tokenizer import load

    return open_model(load, model, device, dtype)


def open_model(load: Callable[[str, str, torch.dtype], T], model: str, device: str, dtype: str) -> T:
    """Call `load`, or exit with an error; warnings go to stderr."""
    import torch

    torch.set_flush_denormal(True)
    with told(RuntimeError), show_warnings():
        return load(model, device, getattr(torch, dtype))


def check_precision(dtype: str) -> None:
    """Exit with an error unless it is one of `PRECISIONS`."""
    if dtype not in PRECISIONS:
        fail(f"--dtype {dtype}: expected one of {', '.join(PRECISIONS)}")


@contextmanager
def show_warnings() -> Iterator[None]:
    """Write warnings to stderr at the end, one per line."""
    with warnings.catch_warnings(record=True) as caught:
        try:
            yield
        finally:
            for warning in caught:
                typer.echo(f"warning: {warning.message}", err=True)


def read_comment(path: str | Path) -> str:
    """The comment in the metadata of an audio file; empty for what is no audio."""
    from codec.audio.error import AudioError
    from codec.audio.io import read_comment

    with suppress(AudioError):
        return read_comment(path)
    return ""


def read_stdin() -> Iterator[bytes]:
    """Read blocks as soon as they arrive."""
    stdin = cast(BufferedReader, sys.stdin.buffer)
    while block := stdin.read1(65536):
        yield block


def write_stdout(block: bytes) -> None:
    """Write and flush bytes."""
    sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()


@contextmanager
def told(*more: type[Exception]) -> Iterator[None]:
    """Exit with the message of an error that the user can mend, or of one of `more` kinds."""
    kinds: tuple[type[Exception], ...] = (MissingDependencyError, ValueError, OSError, *more)
    try:
        yield
    except kinds as error:
        fail(error)


def fail(error: Exception | str) -> NoReturn:
    """Print an error and exit with status 2."""
    typer.echo(f"error: {error if isinstance(error, str) else message(error)}", err=True)
    raise typer.Exit(2)
