"""`Dataset.map` with a codec, in several processes."""

import pytest
import torch
from counted import Counted

import codec

datasets = pytest.importorskip("datasets", reason="needs pip install 'codec37[hf]'")

CLIPS = [f"tests/data/{name}.flac" for name in ("kathleen", "flemishguy", "kerstin")]


def test_map_in_processes(tokenizer, tmp_path, four_threads):
    """Of one thread each; what is cached is found again by another process's codec."""
    tokenizer.save(tmp_path / "codec")
    expected = tokenizer.encode(CLIPS)
    data = datasets.Dataset.from_dict({"audio": CLIPS}).cast_column("audio", datasets.Audio(decode=False))

    def mapped():
        encode = Counted(codec.load(tmp_path / "codec"))

        def to_codes(batch):
            tokens, n_threads, n_tasks = encode(batch["audio"])
            assert (n_threads, n_tasks <= 8) == (1, True)
            return {"audio_codes": [item.codes[0].T.numpy() for item in tokens]}

        return data.map(to_codes, batched=True, batch_size=2, num_proc=2, remove_columns="audio")

    result = mapped()
    assert result._fingerprint == mapped()._fingerprint
    for row, item in zip(result.with_format("torch"), expected, strict=True):
        assert torch.equal(row["audio_codes"].T, item.codes[0])
