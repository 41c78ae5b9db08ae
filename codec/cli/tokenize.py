"""The command tokenize."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codec.cli.common import Device, Model, Precision, check_precision, show_warnings, told
from codec.settings import DEFAULT


def tokenize(
    source: Annotated[Path, typer.Argument(help="manifest, folder or tar shard")],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder of the shards")],
    model: Model = DEFAULT,
    format: Annotated[str, typer.Option(help="parquet or webdataset")] = "parquet",
    shard_hours: Annotated[float, typer.Option(help="largest length of a shard in hours")] = 1.0,
    batch_seconds: Annotated[float, typer.Option(help="seconds of audio per batch, padding included")] = 60.0,
    device: Device = "cpu",
    dtype: Precision = "float32",
    engine: Annotated[
        str, typer.Option(help="processes of this machine, or actors of a Ray cluster: ray")
    ] = "processes",
    workers: Annotated[int, typer.Option(help="processes or actors; 0: one for each GPU or core")] = 0,
) -> None:
    """Encode a dataset to shards of codes with its texts; a killed run goes on where it was."""
    check_precision(dtype)
    from codec.dataset import TokenizeConfig
    from codec.dataset import tokenize as run

    with told(RuntimeError), show_warnings():
        config = TokenizeConfig(model, format, shard_hours, batch_seconds, dtype, device)  # type: ignore[arg-type]
        summary = run(source, out, config, engine, workers)
    typer.echo(f"{summary.n_recordings} recordings, {summary.hours:.2f} hours in {out}")
    if summary.n_failures:
        typer.echo(f"{summary.n_failures} recordings could not be read, see {out / 'failures.jsonl'}", err=True)
    raise typer.Exit(int(not summary.n_recordings))
