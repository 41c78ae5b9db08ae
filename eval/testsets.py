"""Test sets: JSON-lines manifests of recordings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Item:
    """One recording."""

    id: str
    path: Path
    group: str = ""  # the manifest's `source`
    speaker: str = ""


def read_manifest(path: str | Path, ids: str | Path | None = None) -> list[Item]:
    """Read a manifest: an object a line with `path` (relative to it), maybe `id`, `source` and `speaker`.

    Args:
        path: the manifest.
        ids: a file with an id a line, to keep only these.

    Raises:
        ValueError: a bad line, an id that occurs twice or is not there, or nothing left; the message names it.
        OSError: a file cannot be read.
    """
    path, items = Path(path), {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            item = Item(
                id=fields.get("id") or fields["path"],
                path=path.parent / fields["path"],
                group=fields.get("source") or "",
                speaker=fields.get("speaker") or "",
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"no field {error}" if isinstance(error, KeyError) else error
            raise ValueError(f"{path}:{number}: {reason}; expected an object with a path") from error
        if item.id in items:
            raise ValueError(f"{path}:{number}: id {item.id} occurs twice")
        items[item.id] = item
    if ids is not None:
        wanted = Path(ids).read_text(encoding="utf-8").split()
        if absent := [name for name in wanted if name not in items]:
            raise ValueError(f"{ids}: {len(absent)} ids are not in {path}, the first is {absent[0]}")
        items = {name: items[name] for name in wanted}
    if not items:
        raise ValueError(f"{path}: no recordings")
    return list(items.values())
