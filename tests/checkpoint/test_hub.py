"""Names of checkpoints to folders, without a network."""

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from codec.checkpoint import hub
from codec.checkpoint.store import CheckpointError


def test_a_folder_is_itself(tmp_path):
    assert hub.resolve(tmp_path) == tmp_path


def test_a_hub_id_downloads_only_what_is_needed(tmp_path, monkeypatch):
    asked = {}

    def download(name, allow_patterns):
        asked[name] = allow_patterns
        return str(tmp_path)

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


def test_an_unreachable_hub_is_named(monkeypatch):
    def download(name, allow_patterns):
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(CheckpointError, match=r"owner/model: .* not found on the hub \(no connection\)"):
        hub.resolve("owner/model")


@pytest.mark.parametrize("name", ["absent", "./owner/model", "/owner/model", "a/b/c"])
def test_what_cannot_be_a_hub_id_is_not_asked_for(name, monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", None)
    with pytest.raises(CheckpointError, match="no such folder; give"):
        hub.resolve(name)
