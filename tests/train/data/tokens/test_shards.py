"""Token shards: what was written is read, in any process, and a damaged folder says what is wrong with it."""

import pickle
import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from codec.dataset.folder import write_index
from train.data.tokens.shards import TokenInfo, TokenSet, TokenUtterance, write_shard

INDEX = {"codec": "tiny", "fingerprint": "ab12", "codebook_sizes": [32, 5, 5], "frame_rate": 12.5}


def make_utterance(number: int, n_frames: int) -> TokenUtterance:
    generator = torch.Generator().manual_seed(number)
    codes = torch.randint(0, 5, (3, n_frames), generator=generator, dtype=torch.int16)
    activity = torch.randint(0, 256, (n_frames,), generator=generator, dtype=torch.uint8)
    text = None if number % 3 == 0 else f"Äußerung {number}"
    return TokenUtterance(f"clip{number}", text, "ann@0.9" if number % 2 else None, "de", 0.9, codes, activity)


def write(folder, lengths: list[list[int]]) -> list[TokenUtterance]:
    """A folder of shards with utterances of these lengths."""
    folder.mkdir(exist_ok=True)
    write_index(folder, INDEX | {"n_shards": len(lengths), "speeds": [0.9]})
    written: list[TokenUtterance] = []
    for number, shard in enumerate(lengths):
        utterances = [make_utterance(len(written) + i, n) for i, n in enumerate(shard)]
        write_shard(folder, number, utterances, 3)
        written += utterances
    return written


def check_equal(a: TokenUtterance, b: TokenUtterance) -> None:
    assert (a.id, a.text, a.speaker, a.language, a.speed) == (b.id, b.text, b.speaker, b.language, b.speed)
    assert torch.equal(a.codes, b.codes)
    assert torch.equal(a.activity, b.activity)
    assert (a.codes.dtype, a.activity.dtype) == (torch.int16, torch.uint8)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "tokens", [[4, 7], [], [3, 1, 9]])
    return tmp_path / "tokens"


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.lists(st.integers(1, 30), max_size=5), min_size=1, max_size=4).filter(any))
def test_what_was_written_is_read(tmp_path_factory, lengths):
    folder = tmp_path_factory.mktemp("tokens")
    written = write(folder, lengths)
    tokens = TokenSet(folder)
    assert tokens.info == TokenInfo("tiny", "ab12", (32, 5, 5), (False, True, True), 12.5)
    assert len(tokens) == len(tokens.lines) == len(written)
    for line, found, expected in zip(tokens.lines, tokens, written, strict=True):
        check_equal(found, expected)
        assert (line.id, line.text, line.speaker) == (expected.id, expected.text, expected.speaker)
        assert line.n_frames == expected.codes.shape[1]


def test_an_index_counts_from_either_end(folder):
    tokens = TokenSet(folder)
    check_equal(tokens[-1], tokens[4])
    for index in (5, -6):
        with pytest.raises(IndexError):
            tokens[index]


def test_an_utterance_holds_no_more_than_its_own(folder):
    """A view of the shard would take all of it along to another process, and let callers write to it."""
    tokens = TokenSet(folder)
    first = tokens[0]
    assert first.codes.untyped_storage().nbytes() == 3 * 4 * 2
    assert first.activity.untyped_storage().nbytes() == 4
    before = first.codes.clone()
    first.codes.zero_()
    assert torch.equal(tokens[0].codes, before)


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_workers_read_the_same(folder, method):
    tokens = TokenSet(folder)
    expected = list(tokens)  # maps the shards in this process first
    loader = DataLoader(tokens, batch_size=None, num_workers=1, multiprocessing_context=method)
    for found, wanted in zip(loader, expected, strict=True):
        check_equal(found, wanted)


def test_a_pickled_set_opens_the_folder_again(folder):
    tokens = TokenSet(folder)
    tokens[0]
    content = pickle.dumps(tokens)
    assert len(content) < 500
    check_equal(pickle.loads(content)[3], tokens[3])


def test_a_folder_of_something_else_is_refused(tmp_path):
    for folder in (tmp_path / "absent", tmp_path):
        with pytest.raises(ValueError, match=r"no index\.json"):
            TokenSet(folder)


def test_an_unfinished_folder_is_refused(folder):
    (folder / "00002.safetensors").unlink()
    with pytest.raises(ValueError, match=r"2 of 3 shards.*again to finish"):
        TokenSet(folder)


def test_an_empty_folder_is_refused(tmp_path):
    write(tmp_path / "tokens", [[], []])
    with pytest.raises(ValueError, match="no utterances in its 2 shards"):
        TokenSet(tmp_path / "tokens")


@pytest.mark.parametrize("name", ["index.json", "00002.jsonl", "00002.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "empty"])
def test_damage_is_named(folder, name, damage):
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(content[:-7] if damage == "cut" else b"")
    with pytest.raises(ValueError, match=f"{path.stem}.*train.data.tokens.tokenize"):
        TokenSet(folder)


def test_lines_of_another_shard_are_noticed(folder):
    shutil.copy(folder / "00000.jsonl", folder / "00002.jsonl")
    with pytest.raises(ValueError, match=r"00002\.safetensors.*delete"):
        TokenSet(folder)


def test_an_index_without_its_fields_is_damaged(folder):
    (folder / "index.json").write_text('{"codec": "tiny"}')
    with pytest.raises(ValueError, match=r"index\.json.*damaged.*codebook_sizes"):
        TokenSet(folder)
