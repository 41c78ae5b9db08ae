"""Several sources of training data: exact shares, each source in its own epochs, the same wherever a run begins."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from tiny_tts import write_tokens

from codec.recordings.manifest import read_manifest
from codec.settings import read
from codec.tts.config import PRESETS
from train.data.audio.crops import CropDataset, DataConfig
from train.data.loader import make_loader
from train.data.sources import Mixture, SourceConfig, mix, source_seed, summary
from train.data.tokens.sequences import SpeechDataConfig
from train.losses.config import TTSLossConfig
from train.tasks.tts import TTSTask

CLIPS = sorted((Path(__file__).parents[2] / "data").glob("*.flac"))


class Numbers:
    """Its items are their own numbers."""

    hours = 1.0

    def __init__(self, name, seed=0):
        self.name, self.seed = name, seed

    def __getitem__(self, i):
        return self.name, i

    def collate(self, items):
        return list(items)


def mixture(weights, seed=0):
    return Mixture({name: Numbers(name) for name in weights}, weights, seed)


@pytest.mark.parametrize(
    "weights", [{"a": 3, "b": 1}, {"a": 1, "b": 1, "c": 1}, {"a": 0.6, "b": 0.3, "c": 0.09, "d": 0.01}, {"a": 7}]
)
def test_any_run_of_items_has_the_shares(weights):
    items = [mixture(weights, seed=5)[i] for i in range(4000)]
    for start, n in ((0, 4000), (0, 100), (1234, 8), (3001, 500)):
        counts = Counter(name for name, _ in items[start : start + n])
        for name, weight in weights.items():
            assert abs(counts[name] - n * weight / sum(weights.values())) < 2, (name, start, n)


def test_an_item_is_of_a_source_as_often_as_its_share():
    """Over seeds, whichever item it is: no place in a batch is always of the same source."""
    weights = {"a": 5, "b": 2, "c": 1}
    for i in (0, 1, 7, 10**9):
        counts = Counter(mixture(weights, seed).locate(i)[0] for seed in range(3000))
        assert [counts[name] / 3000 for name in weights] == pytest.approx([5 / 8, 2 / 8, 1 / 8], abs=0.03)


def test_each_source_is_gone_through_item_by_item():
    items = [mixture({"a": 3, "b": 1.7, "c": 0.2})[i] for i in range(1000)]
    for source in "abc":
        numbers = [number for name, number in items if name == source]
        assert numbers == list(range(len(numbers)))


def test_order_of_names_does_not_matter_and_seeds_do():
    one, other = mixture({"a": 3, "b": 1}), mixture({"b": 1, "a": 3})
    assert [one[i] for i in range(100)] == [other[i] for i in range(100)]
    assert len({tuple(mixture({"a": 3, "b": 1}, seed)[i] for i in range(100)) for seed in range(20)}) == 4


def crops(train, seed=0):
    config = DataConfig(train, crop_s=0.4)
    return mix(config.train, seed, lambda path, seed: CropDataset(read_manifest(path), 24_000, 1_920, config, seed))


def test_one_source_is_no_mixture():
    made = []
    assert mix("here", 7, lambda *args: made.append(args)) is None
    assert made == [("here", 7)]


def test_crops_of_two_sources(tmp_path):
    for name, clips in (("one", CLIPS[:1]), ("two", CLIPS[1:])):
        (tmp_path / name).mkdir()
        for clip in clips:
            (tmp_path / name / clip.name).symlink_to(clip)
    train = {"one": {"path": str(tmp_path / "one"), "weight": 3}, "two": {"path": str(tmp_path / "two")}}
    dataset = crops(train)
    for i in range(20):
        name, number = dataset.locate(i)
        alone = crops(str(tmp_path / name), source_seed(0, name))
        assert torch.equal(torch.from_numpy(dataset[i].waveform), torch.from_numpy(alone[number].waveform))
    batches = [dataset.collate([dataset[i] for i in range(4 * b, 4 * b + 4)]).waveform for b in range(4)]
    for start, workers in ((0, 0), (0, 2), (2, 1)):
        loader = make_loader(dataset, 4, start, num_workers=workers)
        for batch in batches[start:]:
            assert torch.equal(next(loader).waveform, batch)
        loader.close()
    hours = sum(u.duration_s for u in read_manifest(tmp_path / "one")) / 3600
    assert summary(dataset).startswith(f"one {hours:.2f} h (75.0% of the items), two ")


def test_rows_of_two_folders_of_tokens(tmp_path, tokenizer):
    tokenizer.save(tmp_path / "codec")
    for name in ("one", "two"):
        write_tokens(tmp_path / name, tokenizer, tmp_path / "codec")
    train = {"one": {"path": str(tmp_path / "one"), "weight": 1}, "two": {"path": str(tmp_path / "two"), "weight": 1}}
    data = SpeechDataConfig(train, row_steps=160, batch_size=2, num_workers=0)
    task = TTSTask(PRESETS["tiny"], data, TTSLossConfig(), seed=0)
    batch = next(task.batches(0, 0, 1))
    assert {task.dataset.locate(i)[0] for i in (0, 1)} == {"one", "two"}
    assert torch.equal(batch.targets, task.dataset.collate([task.dataset[0], task.dataset[1]]).targets)
    assert "one 0.00 h (50.0% of the items), two" in summary(task.dataset)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({}, r"data\.train = \{\}: expected a manifest, a folder or a tar shard, or several by name"),
        ("", r"data\.train = ''"),
        (3, r"data\.train = 3: expected text or settings by name"),
        ({"a": {"path": "x", "weight": 0}}, r"data\.train\.a\.weight = 0: expected a number above 0; to leave"),
        ({"a": {"path": "x", "weight": -1.5}}, r"data\.train\.a\.weight = -1\.5"),
        ({"a": {"path": "x", "wieght": 1}}, r"data\.train\.a\.wieght: no such setting; did you mean .*weight"),
        ({"a": {"weight": 1}}, r"data\.train\.a\.path: has no value"),
        ({"a": {"path": ""}}, r"data\.train\.a\.path = ''"),
        ({"a": "x"}, r"data\.train\.a = 'x': expected settings by name"),
    ],
)
def test_bad_settings_are_named(train, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        read(DataConfig, {"train": train}, "data")


def test_missing_and_empty_sources_are_named(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    for path, message in (("nowhere", "no such manifest"), (str(tmp_path / "empty.jsonl"), "no usable audio")):
        with pytest.raises(ValueError, match=rf"data\.train\.made: .*{message}"):
            crops({"made": SourceConfig(path)})
