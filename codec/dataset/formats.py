"""Files of a shard: Parquet and WebDataset tar, byte-identical for the same rows."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from codec.extras import needs
from codec.files import atomic_file

_ROW_GROUP = 1000  # rows that a streaming reader of Parquet holds at once
_CODES_MEMBER, _LABELS_MEMBER = ".audio_codes.npy", ".json"  # of a tar


@dataclass(frozen=True)
class TokenRow:
    """A recording with its codes."""

    id: str
    source: str | None
    text: str | None
    speaker: str | None
    language: str | None
    duration_s: float  # of what was encoded
    fingerprint: str  # of the codec
    audio_codes: NDArray[np.int16]  # [T, K]


LABELS = [field.name for field in fields(TokenRow) if field.name != "audio_codes"]


def write_parquet(path: Path, rows: Sequence[TokenRow], n_codebooks: int) -> None:
    """Write a table of the fields of `TokenRow`; `audio_codes` is a list of lists of K."""
    with needs("pyarrow", "writing Parquet", "parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    codes = np.concatenate([np.zeros((0, n_codebooks), np.int16), *(row.audio_codes for row in rows)])
    edges = np.cumsum([0, *(len(row.audio_codes) for row in rows)], dtype=np.int32)
    frames = pa.FixedSizeListArray.from_arrays(pa.array(codes.reshape(-1)), n_codebooks)
    kinds = {"duration_s": pa.float64()}
    columns = {name: pa.array([getattr(row, name) for row in rows], kinds.get(name, pa.string())) for name in LABELS}
    table = pa.table(columns | {"audio_codes": pa.ListArray.from_arrays(edges, frames)})
    with atomic_file(path) as new:
        pq.write_table(table, new, row_group_size=_ROW_GROUP, compression="zstd")


def read_parquet(path: Path) -> Iterator[TokenRow]:
    """Read the rows of a shard in order."""
    with needs("pyarrow", "reading Parquet", "parquet"):
        import pyarrow.parquet as pq
    for batch in pq.ParquetFile(path).iter_batches(_ROW_GROUP):
        lists = batch.column("audio_codes")
        frames = lists.flatten()
        codes = frames.flatten().to_numpy(zero_copy_only=False).reshape(-1, frames.type.list_size)
        parts = np.split(codes, np.cumsum(lists.value_lengths().to_numpy())[:-1])
        for labels, its_codes in zip(batch.select(LABELS).to_pylist(), parts, strict=True):
            yield TokenRow(**labels, audio_codes=its_codes)


def write_webdataset(path: Path, rows: Sequence[TokenRow], n_codebooks: int) -> None:
    """Write a tar with `KEY.audio_codes.npy` and `KEY.json` for each row."""
    with atomic_file(path) as new, tarfile.open(new, "w") as tar:
        for number, row in enumerate(rows):
            labels, codes = asdict(row), io.BytesIO()
            np.save(codes, labels.pop("audio_codes"))
            for member, content in (
                (_CODES_MEMBER, codes.getvalue()),
                (_LABELS_MEMBER, json.dumps(labels).encode()),
            ):
                entry = tarfile.TarInfo(f"{path.stem}{number:06d}{member}")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))


def read_webdataset(path: Path) -> Iterator[TokenRow]:
    """Read the rows of a shard in order."""
    with tarfile.open(path, "r:") as tar:
        members = (file.read() for entry in tar if (file := tar.extractfile(entry)))
        for codes, labels in zip(members, members, strict=True):
            yield TokenRow(**json.loads(labels), audio_codes=np.load(io.BytesIO(codes), allow_pickle=False))


class Form(NamedTuple):
    suffix: str
    write: Callable[[Path, Sequence[TokenRow], int], None]
    read: Callable[[Path], Iterator[TokenRow]]


FORMS = {
    "parquet": Form(".parquet", write_parquet, read_parquet),
    "webdataset": Form(".tar", write_webdataset, read_webdataset),
}
