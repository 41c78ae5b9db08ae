"""A folder or the name of a hub repository to a local folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codec.checkpoint import store, voxtral
from codec.checkpoint.store import CheckpointError
from codec.config import DEFAULT

_PACKAGED = Path(__file__).parent.parent / "weights"  # installed with the library
FILES = (store.CONFIG, store.WEIGHTS, voxtral.PARAMS, voxtral.WEIGHTS, "tokenizer.json", "tekken.json")


def resolve(name: str | Path, packaged: Path = _PACKAGED, files: Sequence[str] = FILES) -> Path:
    """The local folder of a checkpoint: the packaged one for "default", downloaded for a hub id like "owner/model".

    Of a hub repository only `files` are fetched, names or patterns.

    Raises:
        CheckpointError: there is no such folder, and the hub has or gives no such repository.
    """
    folder = packaged if name == DEFAULT else Path(name)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or str(name).count("/") != 1 or str(name).startswith("."):
        raise CheckpointError(f"{name}: no such folder; give a checkpoint folder or a hub id (owner/model)")
    from huggingface_hub import snapshot_download  # slow to load
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(str(name), allow_patterns=list(files)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{name}: no such folder, and not found on the hub ({reason})") from error
