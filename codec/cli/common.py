"""What several commands share: options, opening a codec, standard input and output, and how to fail."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from typing import Annotated, NoReturn, TypeVar, cast

import numpy as np
import torch
import typer

from codec.tokenizer import Tokenizer, load

T = TypeVar("T")

PCM = np.dtype("<i2")  # samples on standard input and output

Model = Annotated[str, typer.Option("--model", "-m", help="checkpoint folder, hub id, preset, or default")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps ...")]
Precision = Annotated[str, typer.Option(help="float32, bfloat16 or float16")]


def open_tokenizer(model: str, device: str, dtype: str) -> Tokenizer:
    """Load a codec, or fail."""
    return open_model(load, model, device, dtype)


def open_model(load: Callable[[str, str, torch.dtype], T], model: str, device: str, dtype: str) -> T:
    """What `load` loads, or fail; warnings go to stderr."""
    kind = getattr(torch, dtype, None)
    if not isinstance(kind, torch.dtype) or not kind.is_floating_point:
        fail(f"--dtype {dtype}: expected float32, bfloat16 or float16")
    try:
        with show_warnings():
            return load(model, device, kind)
    except (ValueError, RuntimeError, OSError) as error:
        fail(error)


@contextmanager
def show_warnings() -> Iterator[None]:
    """Write warnings to stderr at the end, one to a line."""
    with warnings.catch_warnings(record=True) as caught:
        try:
            yield
        finally:
            for warning in caught:
                typer.echo(f"warning: {warning.message}", err=True)


def read_stdin() -> Iterator[bytes]:
    """Whatever has arrived, as soon as it arrives."""
    stdin = cast(BufferedReader, sys.stdin.buffer)
    while block := stdin.read1(65536):
        yield block


def write_stdout(block: bytes) -> None:
    """Hand bytes to whoever reads, at once."""
    sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()


def pcm_bytes(waveform: torch.Tensor) -> bytes:
    """Samples `[L]`, limited to [-1, 1], as `PCM`."""
    return (waveform.clamp(-1, 1) * 32767).round().numpy(force=True).astype(PCM).tobytes()


def fail(error: object) -> NoReturn:
    """Say what is wrong and exit with 2."""
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(2)
