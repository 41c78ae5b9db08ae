"""Names of checkpoints to folders, without a network."""

import pytest
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from codec.checkpoint import hub
from codec.checkpoint.store import CheckpointError


def test_a_folder_is_itself(tmp_path):
    assert hub.resolve(tmp_path) == tmp_path


def answer(monkeypatch, error=None):
    """The hub's answer to the question whether it has a repository."""

    def repo_info(self, name, timeout):
        if error:
            raise error

    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", repo_info)


def test_a_hub_id_downloads_only_what_is_needed(tmp_path, monkeypatch):
    asked = {}

    def download(name, allow_patterns, local_files_only):
        assert not local_files_only
        asked[name] = allow_patterns
        return str(tmp_path)

    answer(monkeypatch)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert hub.resolve("owner/model") == tmp_path
    assert set(asked["owner/model"]) == {
        "config.json",
        "model.safetensors",
        "params.json",
        "consolidated.safetensors",
        "tokenizer.json",
        "tekken.json",
    }


@pytest.mark.parametrize("is_kept", [True, False])
def test_an_unreachable_hub_is_asked_once(monkeypatch, tmp_path, is_kept):
    """What was downloaded before is found; all else fails at once, with what to do."""

    def download(name, allow_patterns, local_files_only):
        assert local_files_only
        if not is_kept:
            raise LocalEntryNotFoundError("no connection")
        return str(tmp_path)

    answer(monkeypatch, RuntimeError("Name or service not known"))
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    if is_kept:
        assert hub.resolve("owner/model") == tmp_path
    else:
        with pytest.raises(CheckpointError, match=r"owner/model: .* hub cannot be reached; give a folder"):
            hub.resolve("owner/model")


def test_what_the_hub_does_not_have_is_named(monkeypatch):
    answer(monkeypatch, HFValidationError("no such name"))
    with pytest.raises(CheckpointError, match=r"owner/model: .* not found on the hub \(no such name\)"):
        hub.resolve("owner/model")


@pytest.mark.parametrize("name", ["absent", "./owner/model", "/owner/model", "a/b/c"])
def test_what_cannot_be_a_hub_id_is_not_asked_for(name, monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", None)
    with pytest.raises(CheckpointError, match="no such folder; give"):
        hub.resolve(name)
