"""The command `codec`: files, streams and datasets to tokens and back, speech, the server, exports."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from codec import __version__
from codec.cli import files, models, serve, speak, stream, tokenize

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.command()(files.encode)
app.command()(files.decode)
app.command()(files.roundtrip)
app.command()(models.info)
app.command()(stream.stream)
app.command()(tokenize.tokenize)
app.command(context_settings={"ignore_unknown_options": True})(speak.speak)  # "-5 degrees" is a text
app.command()(speak.voices)
app.command()(serve.serve)
app.command("export-onnx")(models.to_onnx)
app.command("export-voxtral")(models.to_voxtral)


def _print_version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A neural speech codec: speech as tokens, tokens as speech, and text to speech on top of it."""


def main() -> None:
    """Entry point of the command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # to print file names that are not UTF-8
    app()
