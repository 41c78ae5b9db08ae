"""Pairs: what was written is read, a damaged folder says so, and batches know whose each frame is."""

import pytest
import torch

from codec.dataset.folder import write_index
from codec.tokens.layout import END
from codec.tts.config import SequenceConfig
from codec.tts.text.tokenizer import BPETokenizer
from train.data.pairs.dataset import Pair, PairLine, PairSet, PreferenceDataset, write_pairs
from train.data.tokens.sequences import SpeechDataConfig, SpeechDataset
from train.data.tokens.shards import TokenSet, TokenUtterance, has_shard, read_lines, write_shard

SIZES = (64, 21, 21)
INDEX = {"codec": "tiny", "fingerprint": "ab12", "codebook_sizes": SIZES, "frame_rate": 12.5}


def random_codes(n_frames: int) -> torch.Tensor:
    return torch.randint(0, 21, (3, n_frames), dtype=torch.int16)


def make_pair(number: int, loser_ended: bool = True) -> Pair:
    sizes = [3 + number, 5, 7 + number]
    line = PairLine(f"clip{number}", f"tëxt {number}", None, sizes, loser_ended, {"cer": 0.1}, {"cer": None})
    return Pair(line, *map(random_codes, sizes))


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    write_index(tmp_path, INDEX | {"n_shards": 3})
    for number, shard in enumerate(([make_pair(0), make_pair(1, False)], [], [make_pair(2)])):
        write_pairs(tmp_path, number, shard, 3)
    return tmp_path


@pytest.fixture
def speech(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    write_index(folder, INDEX | {"n_shards": 1})
    activity = torch.full((9,), 255, dtype=torch.uint8)
    utterances = [TokenUtterance(f"u{i}", "a b c", "ann", "en", 1.0, random_codes(9), activity) for i in range(3)]
    write_shard(folder, 0, utterances, 3)
    data = SpeechDataConfig(str(folder), row_steps=40)
    return SpeechDataset(TokenSet(folder), BPETokenizer.train(["a b c"], 300), SequenceConfig(), data, 0)


def test_what_was_written_is_read(tmp_path):
    pairs = [make_pair(0), make_pair(1, False)]
    write_index(tmp_path, INDEX | {"n_shards": 1})
    write_pairs(tmp_path, 0, pairs, 3)
    found = PairSet(tmp_path)
    assert found.fingerprint == "ab12"
    for a, b in zip(found, pairs, strict=True):
        assert a.line == b.line
        for name in ("voice", "winner", "loser"):
            assert torch.equal(getattr(a, name), getattr(b, name))


def test_shards_may_be_empty_but_not_all(tmp_path, folder):
    assert [len(read_lines(folder, number, PairLine)) for number in range(3)] == [2, 0, 1]
    assert len(PairSet(folder)) == 3
    write_index(folder, INDEX | {"n_shards": 0})
    with pytest.raises(ValueError, match="no pairs in its 0 shards"):
        PairSet(folder)


def test_a_killed_writer_leaves_no_half_of_a_shard(tmp_path, monkeypatch):
    def die(tensors, path, metadata):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    write_index(tmp_path, INDEX | {"n_shards": 1})
    monkeypatch.setattr("codec.tensors.save_file", die)
    with pytest.raises(KeyboardInterrupt):
        write_pairs(tmp_path, 0, [make_pair(0)], 3)
    assert not has_shard(tmp_path, 0)
    with pytest.raises(ValueError, match=r"0 of 1 shards are there; run python -m train\.data\.pairs\.pref"):
        PairSet(tmp_path)


@pytest.mark.parametrize(("name", "content"), [("00000.safetensors", b"x"), ("00000.jsonl", b"{}\n")])
def test_damage_is_named(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: damaged .*delete it and run python -m train\.data\.pairs\.pref"):
        PairSet(folder)


def test_lines_and_codes_that_do_not_fit_are_named(folder):
    write_pairs(folder, 1, [make_pair(0)], 3)
    (folder / "00001.jsonl").write_bytes((folder / "00000.jsonl").read_bytes())
    with pytest.raises(ValueError, match=r"00001\.safetensors: damaged"):
        PairSet(folder)


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"no index\.json in it; expected a folder written by python -m train\.data\.pair"
    ):
        PairSet(tmp_path)


def test_an_epoch_sees_every_pair_once(folder, speech):
    dataset = PreferenceDataset(PairSet(folder), speech, speech.sequence, speech.tokenizer, 0)
    lengths = [len(dataset[i].loser.text) for i in range(6)]
    assert sorted(lengths[:3]) == sorted(set(lengths))
    assert lengths[3:] == lengths[:3]


def test_a_batch_says_whose_frames_it_has(folder, speech):
    dataset = PreferenceDataset(PairSet(folder), speech, speech.sequence, speech.tokenizer, 0)
    items = [dataset[i] for i in range(3)]
    batch = dataset.collate(items)
    assert batch.n_pairs == 3
    assert len(batch.speech.text) == 3
    n_steps = batch.pairs.text.shape[1]
    for i in range(3):
        pair = dataset.pairs[int(dataset.order[i])]
        for speech_number, codes, ended in ((2 * i, pair.winner, True), (2 * i + 1, pair.loser, pair.line.loser_ended)):
            targets = batch.pairs.targets[batch.utterance == speech_number]
            assert torch.equal(targets[: codes.shape[1]], codes.T.long() + 2)
            assert targets[codes.shape[1] :, 0].tolist() == ([END] if ended else [])
            where = batch.pairs.target_positions[batch.utterance == speech_number]
            assert where.min() // n_steps == where.max() // n_steps == speech_number, "in a row of its own"
            frames = batch.pairs.frames[speech_number]
            assert torch.equal(frames[2 : 2 + pair.voice.shape[1]], pair.voice.T.long() + 2)


def test_a_batch_moves_as_a_whole(folder, speech):
    dataset = PreferenceDataset(PairSet(folder), speech, speech.sequence, speech.tokenizer, 0)
    moved = dataset.collate([dataset[0]]).to("meta")
    assert moved.utterance.is_meta
    assert moved.speech.text.is_meta
    assert moved.pairs.target_positions.is_meta


def test_pairs_of_another_design_are_refused(folder, speech):
    slow = SequenceConfig("interleaved", n_text=1, n_frames=20)
    dataset = PreferenceDataset(PairSet(folder), speech, slow, speech.tokenizer, 0)
    with pytest.raises(ValueError, match="an utterance ends before its text is read"):
        dataset[0]
