"""Local folders of checkpoints, downloaded from the hub if needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codec.checkpoint import store, voxtral
from codec.checkpoint.store import CheckpointError
from codec.settings import DEFAULT

TIMEOUT_S = 10  # for an answer of the hub
_PACKAGED = Path(__file__).parent.parent / "weights"  # packaged checkpoint
FILES = (store.CONFIG, store.WEIGHTS, voxtral.PARAMS, voxtral.WEIGHTS, "tokenizer.json", "tekken.json")


def resolve(name: str | Path, packaged: Path = _PACKAGED, files: Sequence[str] = FILES) -> Path:
    """Find the folder of a checkpoint: the packaged one for "default", a download for a hub id "owner/model".

    Only `files` of a hub repository are downloaded, names or patterns.

    Raises:
        CheckpointError: no such folder, and no such repository or no access to it.
    """
    folder = packaged if name == DEFAULT else Path(name)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or str(name).count("/") != 1 or str(name).startswith("."):
        raise CheckpointError(f"{name}: no such folder; give a checkpoint folder or a hub id (owner/model)")
    from huggingface_hub import snapshot_download  # slow to load
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        is_offline = not _is_reachable(str(name))
        return Path(snapshot_download(str(name), allow_patterns=list(files), local_files_only=is_offline))
    except LocalEntryNotFoundError as error:
        raise CheckpointError(
            f"{name}: no such folder, and the hub cannot be reached; give a folder, or connect once to download it"
        ) from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{name}: no such folder, and not found on the hub ({reason})") from error


def _is_reachable(name: str) -> bool:
    """Whether the hub answers; asks only once, as a download would retry for up to a minute.

    Raises:
        HfHubHTTPError: no such repository.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        HfApi().repo_info(name, timeout=TIMEOUT_S)
    except (HfHubHTTPError, HFValidationError):
        raise
    except Exception:  # of httpx or requests, by version of the package, or in offline mode
        return False
    return True
