"""Records of manifests: JSON lines, and tables with a header."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from codec.recordings.utterance import read_text

Record = tuple[str, dict[str, Any]]  # FILE:LINE, and fields


class _Tsv(csv.excel_tab):
    quoting = csv.QUOTE_NONE


TABLES: dict[str, type[csv.Dialect]] = {".csv": csv.excel, ".tsv": _Tsv}


def json_lines(path: Path) -> Iterator[Record]:
    """Yield the JSON object of each line of a file, compressed if its name ends in `.gz`; empty lines are left out.

    Raises:
        ValueError: a line is no JSON object, or the file is not UTF-8; the message names it.
        OSError: the file cannot be read.
    """
    if path.suffix == ".gz":
        try:
            text = gzip.decompress(path.read_bytes()).decode("utf-8-sig")
        except (EOFError, ValueError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: no whole gzip file of UTF-8 text ({error}); copy it again") from error
    else:
        text = read_text(path)
    for number, line in enumerate(text.split("\n"), 1):  # texts may hold other ends of lines
        if line.strip():
            yield f"{path}:{number}", _object(line, f"{path}:{number}")


def first_fields(path: Path) -> dict[str, Any]:
    """Return the fields of the first JSON line, by which forms are told apart; none if that is not readable."""
    with (
        suppress(OSError, ValueError, EOFError, zlib.error),
        (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file,
    ):
        return _object(next(filter(bytes.strip, file), b"").decode("utf-8-sig"), str(path))
    return {}


def table(path: Path) -> Iterator[Record]:
    """Yield the rows of a table with a header: `.csv`, or `.tsv` without quoting.

    Raises:
        ValueError: a row has more fields than the header, or the file is not UTF-8; the message names it.
        OSError: the file cannot be read.
    """
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""), dialect=TABLES[path.suffix])
    for row in rows:
        where = f"{path}:{rows.line_num}"
        if None in row:
            raise ValueError(f"{where}: more fields than the header has; quote those with a separator in them")
        yield where, {name: value for name, value in row.items() if value}


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not JSON ({error}); correct or delete the line") from error
    if not isinstance(fields, dict):
        raise ValueError(f"{where}: expected an object, not {line[:40]!r}; correct or delete the line")
    return fields
