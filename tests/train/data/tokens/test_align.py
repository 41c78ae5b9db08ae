"""The aligner finds which frames a character fills, and writes that beside the shards."""

import sys
from itertools import accumulate, pairwise

import pytest
import torch

from codec.dataset.folder import write_index
from codec.tts.config import PRESETS
from train.data.tokens import align
from train.data.tokens.align import AlignConfig, Example, align_tokens, character_starts, fit, greedy_decode
from train.data.tokens.alignment import read_alignments
from train.data.tokens.shards import TokenInfo, TokenSet, TokenUtterance, write_shard

SIZES = PRESETS["tiny"].codebook_sizes
ORDINAL = (False,) + (True,) * (len(SIZES) - 1)


def say(text: str, lasts: list[int]) -> torch.Tensor:
    """Codes `[K, T]` in which each letter fills so many frames with codes of its own."""
    letters = torch.tensor([ord(c) for c in text]).repeat_interleave(torch.tensor(lasts))
    return torch.stack([(letters * (k + 1)) % size for k, size in enumerate(SIZES)]).to(torch.int16)


@pytest.fixture(scope="module")
def spoken():
    """Random words without double letters, and how long each letter lasts."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for _ in range(120):
        n = int(torch.randint(3, 9, (1,), generator=generator))
        letters = torch.randint(1, 5, (n,), generator=generator).cumsum(0) % 5
        text = "".join("abcde"[i] for i in letters)
        made.append((text, torch.randint(1, 5, (n,), generator=generator).tolist()))
    return made


@pytest.fixture
def folder(tmp_path, spoken):
    return write(tmp_path / "tokens", spoken)


def write(folder, spoken, fingerprint=""):
    folder.mkdir()
    utterances = []
    for i, (text, lasts) in enumerate(spoken):
        codes = say(text, lasts)
        voiced = torch.full((codes.shape[1],), 255, dtype=torch.uint8)
        utterances.append(TokenUtterance(str(i), text, "ann", "en", 1.0, codes, voiced))
    for number in range(2):
        write_shard(folder, number, utterances[number::2], len(SIZES))
    index = {"codec": "tiny", "fingerprint": fingerprint, "codebook_sizes": SIZES, "frame_rate": 12.5, "n_shards": 2}
    write_index(folder, index)
    return folder


def test_characters_are_found_where_they_are(spoken):
    examples = []
    for i, (text, lasts) in enumerate(spoken):
        symbols = torch.tensor(["-abcde".index(c) for c in text])
        examples.append(Example(i, text, symbols, say(text, lasts).long()))
    info = TokenInfo("tiny", "", SIZES, ORDINAL, 12.5)
    model = fit(examples[:100], info, 6, AlignConfig(epochs=60, batch_frames=100, dim=32, n_layers=1))
    inside, spelled_right = [], []  # whether a character is found while it lasts; whether a word needs no telling
    for u, (_, lasts) in zip(examples[100:], spoken[100:], strict=True):
        edges = pairwise(accumulate(lasts, initial=0))
        log_probs = align._log_probs(model, u)
        frames = [step // align.STEPS_PER_FRAME for step in character_starts(log_probs, u.symbols)]
        spelled_right.append(greedy_decode(log_probs) == u.symbols.tolist())
        inside += [begin <= frame < end for frame, (begin, end) in zip(frames, edges, strict=True)]
    assert sum(inside) / len(inside) > 0.9
    assert sum(spelled_right) / len(spelled_right) > 0.8


@pytest.mark.parametrize("ordinal", [(True,) * len(SIZES), (False,) * len(SIZES)], ids=["levels", "entries"])
def test_codes_of_any_quantizer_are_read(spoken, ordinal):
    codes = torch.stack([say(text, [4] * len(text))[:, :12] for text, _ in spoken[:8]]).long()
    recognizer = align.Recognizer(SIZES, ordinal, 6, 16, 1)
    assert recognizer(codes).shape == (8, 12 * align.STEPS_PER_FRAME, 6)
    assert not torch.equal(recognizer.eval()(codes), recognizer(codes.flip(0)))


def test_a_folder_is_aligned_whole(folder, tmp_path, spoken):
    other = write(tmp_path / "other", [("abc", [2, 2, 2]), ("xyz", [2, 2, 2]), ("a" * 20, [1] + [0] * 19)])
    results = align_tokens([folder, other], AlignConfig(epochs=1, dim=16, n_layers=1))
    assert [(r.n_aligned, r.n_left_out) for r in results] == [(120, 0), (1, 2)]
    assert all(r.cer > 0 for r in results)  # after one epoch
    tokens = TokenSet(folder)
    alignments = read_alignments(tokens, phonemes=False)
    for line, alignment in zip(tokens.lines, alignments, strict=True):
        assert alignment.text == line.text
        assert len(alignment.durations) == len(line.text)
        assert all(n >= 0 for n in alignment.durations)
    left_out = read_alignments(TokenSet(other), phonemes=False)
    assert [a and a.text for a in left_out] == ["abc", None, None]  # too much text for its time; unknown letters


def test_the_same_seed_gives_the_same_alignments(folder, tmp_path, spoken):
    config = AlignConfig(epochs=1, dim=16, n_layers=1)
    align_tokens([folder], config)
    first = (folder / "00001.align.jsonl").read_text()
    align_tokens([folder], config)
    assert (folder / "00001.align.jsonl").read_text() == first


def test_batches_hold_all_once(spoken):
    examples = [Example(i, t, torch.zeros(1), say(t, lasts)) for i, (t, lasts) in enumerate(spoken)]
    batches = list(align._batches(examples, 50))
    assert sorted(u.index for batch in batches for u in batch) == list(range(len(examples)))
    longest = [max(u.codes.shape[1] for u in batch) for batch in batches]
    assert all(a <= b for a, b in pairwise(longest))


def test_codecs_are_not_mixed(folder, tmp_path):
    other = write(tmp_path / "other", [("abc", [2, 2, 2])] * 2, fingerprint="another")
    with pytest.raises(ValueError, match="different codecs"):
        align_tokens([folder, other], AlignConfig())


def test_a_missing_folder_is_an_error_of_the_command(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["align", str(tmp_path / "none")])
    assert align.main() == 2
    assert "no index.json" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["epochs", "lr", "batch_frames", "dim", "n_layers"])
def test_bad_settings_are_named(name):
    with pytest.raises(ValueError, match=name):
        AlignConfig(**{name: 0})
