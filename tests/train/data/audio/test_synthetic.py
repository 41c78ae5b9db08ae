"""Codes to make speech of: from token shards, mixed, or random walks that favour no level."""

import pytest
import torch
from tts_tokens import write_tokens

from codec.dataset.folder import write_index
from codec.tts.config import PRESETS
from train.data.audio.synthetic import RandomCodes, SyntheticDataConfig, TokenCodes
from train.data.pairs.dataset import Pair, PairLine, write_pairs
from train.data.tokens.shards import TokenSet

SIZES = PRESETS["tiny"].codebook_sizes


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_spans_are_those_of_the_shards(tmp_path):
    folder = str(write_tokens(tmp_path))
    codes = TokenCodes(folder, SIZES, 0.0).draw(8, 4, seeded())
    assert codes.shape == (8, len(SIZES), 4)
    assert codes.dtype == torch.int64
    there = {tuple(span.flatten().tolist()) for u in TokenSet(folder) for span in u.codes.unfold(1, 4, 1).unbind(1)}
    assert all(tuple(item.flatten().tolist()) in there for item in codes)
    assert torch.equal(codes, TokenCodes(folder, SIZES, 0.0).draw(8, 4, seeded()))
    assert TokenCodes(folder, SIZES, 0.0).draw(2, 100, seeded()).shape == (2, len(SIZES), 100)  # of several utterances


def test_spans_of_what_a_voice_model_spoke(tmp_path):
    sizes, pairs = (64, 21, 21), []
    for i in range(4):
        frames = [torch.full((3, n), n + i, dtype=torch.int16) for n in (3, 8, 12)]
        pairs.append(Pair(PairLine("clip", "text", "en", [3, 8, 12], True, {}, {}), *frames))
    write_index(tmp_path, {"codebook_sizes": sizes, "fingerprint": "ab12", "measures": {}, "n_shards": 1})
    write_pairs(tmp_path, 0, pairs, 3)
    codes = TokenCodes(str(tmp_path), sizes, 0.0).draw(200, 4, seeded())
    assert set(codes.unique().tolist()) == {8, 9, 10, 11, 12, 13, 14, 15}  # winners and losers, not the voices


def test_mixing_takes_whole_codebooks_from_elsewhere(tmp_path):
    folder = str(write_tokens(tmp_path))
    plain, mixed, other = (TokenCodes(folder, SIZES, mix).draw(200, 4, seeded()) for mix in (0.0, 0.3, 1.0))
    same = (mixed == plain).all(2)
    assert 0.6 < float(same.float().mean()) < 0.85  # some codebooks are alike elsewhere
    assert torch.equal(mixed[~same], other[~same])


def test_tokens_of_other_codebooks_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"made_tokens = .*codebooks .*give tokens"):
        TokenCodes(str(write_tokens(tmp_path)), (8, 3, 3), 0.0)


def test_walks_favour_no_level_and_follow_the_usage():
    levels, usage = (21, 5, 2), torch.tensor([1.0, 0.0, 3.0])
    codes = RandomCodes(usage, levels).draw(1000, 20, seeded())
    semantic, *acoustic = codes.unbind(1)
    assert set(semantic.unique().tolist()) == {0, 2}
    assert float((semantic == 2).float().mean()) == pytest.approx(0.75, abs=0.02)
    for n, column in zip(levels, acoustic, strict=True):
        shares = torch.bincount(column.flatten(), minlength=n) / column.numel()
        torch.testing.assert_close(shares, torch.full((n,), 1 / n), rtol=0.25, atol=0)
    moves = acoustic[0].diff(dim=1).abs().float().mean(1)  # of each walk; levels drawn anew move by 7
    assert moves.min() < 1
    assert moves.max() > 6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"made_share": 1.0}, "made_share = 1.0"),
        ({"made_share": 0.01}, "0 of batch_size = 8"),
        ({"made_mix": 2.0}, "made_mix = 2.0"),
        ({"crop_s": 0.0}, "crop_s = 0.0"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        SyntheticDataConfig("somewhere", **settings)
