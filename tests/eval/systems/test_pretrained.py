"""What neural codecs with published weights share, on a network that quantizes samples."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file

from codec.extras import MissingDependencyError
from eval.systems.pretrained import CONVERT, Network, Pretrained

HOP, SIZE, RATE = 4, 64, 12_000


class Toy(Pretrained):
    """Codebook k has the sample at place k of each frame; the rest of the frame is silent."""

    family, hub_id, lag = "toy", "owner/toy", 0

    def _load(self, folder, config):
        if config != {"kind": "toy"}:
            raise ValueError(f"kind is {config['kind']}")
        return Network(torch.nn.Identity(), RATE, HOP, SIZE)

    def _encode(self, x):
        frames = torch.nn.functional.pad(x, (0, -x.shape[-1] % HOP)).reshape(-1, HOP).T
        return ((frames[: self.n_q] + 1) / 2 * (SIZE - 1)).round().long()

    def _decode(self, codes):
        frames = torch.zeros(HOP, len(codes[0]))
        frames[: self.n_q] = torch.stack(codes) / (SIZE - 1) * 2 - 1
        return frames.T.reshape(1, 1, -1)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"kind": "toy"}))
    save_file({"x": torch.zeros(2)}, tmp_path / "model.safetensors")
    return tmp_path


@pytest.mark.parametrize(("n_q", "k"), [(None, 4), (1, 1), (4, 4)])
def test_bits_codes_and_length(folder, n_q, k):
    system = Toy("toy", str(folder), n_q)
    coded = system.encode(torch.zeros(2002))  # 1001 samples at the network's rate: 250 frames and a sample
    assert coded.bits == pytest.approx(251 * k * math.log2(SIZE))
    assert (coded.codes.shape, coded.codes.dtype) == ((k, 251), torch.int64)
    assert system.codebook_sizes == (SIZE,) * k
    assert system.decode(coded).shape == (2002,)


def test_the_output_is_in_time_at_another_rate(folder):
    x = 0.5 * torch.sin(2 * torch.pi * 300 / 24_000 * torch.arange(6000))
    system = Toy("toy", str(folder))
    y = system.decode(system.encode(x))
    torch.testing.assert_close(y[500:-500], x[500:-500], atol=0.05, rtol=0)


def test_the_version_follows_config_and_weights(folder):
    first = Toy("a", str(folder)).version
    assert Toy("b", str(folder), 2).version == first
    save_file({"x": torch.ones(2)}, folder / "model.safetensors")
    assert Toy("a", str(folder)).version != first


@pytest.mark.parametrize("n_q", [0, 5])
def test_too_many_codebooks(folder, n_q):
    with pytest.raises(ValueError, match=f"toy:{n_q}: n_q = {n_q}; it has 1 to 4 codebooks"):
        Toy(f"toy:{n_q}", str(folder), n_q)


def test_another_model_names_the_folder(folder):
    (folder / "config.json").write_text(json.dumps({"kind": "car"}))
    with pytest.raises(ValueError, match=rf"{folder}: kind is car; expected the config and weights of a toy"):
        Toy("toy", str(folder))
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match=str(folder)):
        Toy("toy", str(folder))


@pytest.mark.parametrize(
    ("source", "hub_id"), [("", "owner/toy"), ("owner/other", "owner/other"), ("/no/such/folder", "owner/toy")]
)
def test_weights_that_are_not_here_say_how_to_get_them(source, hub_id, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingDependencyError, match=rf"hf download {hub_id}, or name a folder .*: toy=FOLDER"):
        Toy("toy", source)


def test_an_incomplete_folder_says_what_to_do(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(
        MissingDependencyError, match=rf"{folder}: expected .* model.safetensors; hf download owner/toy"
    ):
        Toy("toy", str(folder))


def test_a_pickle_is_converted_by_the_command_in_the_message(folder, monkeypatch):
    (folder / "model.safetensors").unlink()
    torch.save({"x": torch.zeros(2)}, folder / "pytorch_model.bin")
    with pytest.raises(MissingDependencyError) as caught:
        Toy("toy", str(folder))
    assert str(caught.value).endswith(CONVERT)
    monkeypatch.chdir(folder)
    exec(CONVERT.partition('"')[2].rpartition('"')[0])
    assert Toy("toy", str(folder)).version


def test_the_local_cache_of_the_hub_is_read(folder, tmp_path_factory, monkeypatch):
    cache, commit = tmp_path_factory.mktemp("cache"), 40 * "a"
    repository = cache / "models--owner--toy"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots").mkdir()
    folder.rename(repository / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    assert Toy("toy").codebook_sizes == (SIZE,) * 4
