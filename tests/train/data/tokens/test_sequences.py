"""Training sequences, and that they are what the frame loop reads when it speaks."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tts_tokens import align_evenly

from codec.dataset.folder import write_index
from codec.tokens.layout import END
from codec.tts.config import DESIGNS, PRESETS, SequenceConfig, TTSConfig
from codec.tts.generate import FrameLoop
from codec.tts.model import TTSModel
from codec.tts.sampling import Sampling
from codec.tts.sequence import NONE
from codec.tts.text.tokenizer import BPETokenizer
from train.data.loader import make_loader
from train.data.tokens.sequences import SpeechDataConfig, SpeechDataset, arrange, run_lengths
from train.data.tokens.shards import TokenSet, TokenUtterance, write_shard

SIZES = PRESETS["tiny"].codebook_sizes
TEXTS = ["the quick brown fox", "a lazy dog", "over and over", "jumps", None]


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.train([t for t in TEXTS if t], 300)


def codes(n, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(size, (n,), generator=generator) for size in SIZES]).to(torch.int16)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    utterances = []
    for s, speaker in enumerate(("ann", "bob")):
        for i, text in enumerate(TEXTS):
            spoken = codes(12 + 3 * i, i + 100 * s)
            voiced = torch.full((spoken.shape[1],), 255, dtype=torch.uint8)
            utterances.append(TokenUtterance(f"{speaker}{i}", text, speaker, "en", 1.0, spoken, voiced))
    alone = TokenUtterance("lonely", "nobody else", "cid", "en", 1.0, codes(9, 9), torch.zeros(9, dtype=torch.uint8))
    utterances.append(alone)
    write_shard(folder, 0, utterances, len(SIZES))
    index = {"codec": "tiny", "fingerprint": "", "codebook_sizes": SIZES, "frame_rate": 12.5, "n_shards": 1}
    write_index(folder, index)
    align_evenly(folder)
    return TokenSet(folder)


def make(tokens, tokenizer, design="prefix", **settings):
    config = SpeechDataConfig("unused", **{"row_steps": 160, "num_workers": 0, **settings})
    return SpeechDataset(tokens, tokenizer, SequenceConfig(design, n_text=3, n_frames=2, delay=2), config, seed=3)


@pytest.mark.parametrize("design", DESIGNS)
def test_training_sees_what_speaking_reads(tokenizer, design):
    """The greedy choices of the loop are the likeliest targets of the same sequence in training."""
    config = TTSConfig.from_json(PRESETS["tiny"].to_json())
    config.sequence = SequenceConfig(design, n_text=3, n_frames=2, delay=2)
    torch.manual_seed(0)
    model = TTSModel(config).eval().requires_grad_(False)
    for p in model.parameters():
        p *= 4 if p.ndim == 2 else 1
    voice, text = codes(20, 1).long(), "the quick brown fox"
    loop = FrameLoop(model, tokenizer.special)
    loop.start(0, loop.prefill(voice), tokenizer.encode(text), Sampling(temperature=0, max_frames=20, min_frames=19))
    spoken, moves = [], loop.streams[0].moves
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while not loop.free:
            spoken.append(loop.advance()[0].codes)
    frames = torch.cat(spoken, dim=1)
    if design == "aligned":  # the sequence is whole only if the text is
        moves[frames.shape[1] - 1] = len(tokenizer.encode(text))
    sample = arrange(config.sequence, tokenizer, voice, text, frames, moves=moves[: frames.shape[1]])
    h = model.backbone(model.embed(sample.text[None], sample.frames[None]))[0, sample.target_positions]
    logits = model.semantic_logits(h)
    logits[:, END] = -torch.inf  # held back by min_frames
    assert torch.equal(logits[:-1].argmax(1), sample.targets[:-1, 0])
    if design == "aligned":
        assert torch.equal(model.move_head(h)[:-2].argmax(1), sample.moves[:-2])
    assert sample.targets[-1].tolist() == [END, *[0] * 8]
    assert len(frames[0]) >= 19


@pytest.mark.parametrize("design", DESIGNS)
def test_rows_are_packed_whole_and_repeatable(tokens, tokenizer, design):
    dataset = make(tokens, tokenizer, design)
    batch = dataset.collate([dataset[0], dataset[1]])
    again = dataset.collate([dataset[0], dataset[1]])
    for name in ("text", "frames", "positions", "target_positions", "targets", "moves", "weights"):
        assert torch.equal(getattr(batch, name), getattr(again, name))
    assert batch.text.shape == (2, 160, dataset.sequence.text_width)
    lengths = {len(getattr(batch, name)) for name in ("target_positions", "targets", "moves", "weights")}
    assert lengths == {len(set(batch.target_positions.tolist()))}
    n_ends = int((batch.targets[:, 0] == END).sum())
    assert n_ends == sum(map(len, (dataset[0], dataset[1]))) > 2
    # Every sequence starts with BOS at position 0, and padding is sequences of one position.
    first = batch.text[..., 0]
    starts = (batch.positions == 0) & (first != NONE)
    assert set(first[starts].tolist()) == {tokenizer.special.bos}
    assert int(starts.sum()) == n_ends


def test_the_reference_is_another_clip_of_the_speaker(tokens, tokenizer):
    dataset = make(tokens, tokenizer, reference_s=(0.4, 0.4))  # 5 frames
    heard = set()
    for seed in range(40):
        sample = dataset.sample(1, np.random.default_rng(seed))
        assert torch.equal(sample.targets[:-1].T - 2, tokens[1].codes.long())
        heard |= {u.id for u in tokens if (u.codes.T.long() + 2 == sample.frames[2]).all(1).any()}
    assert heard == {"ann0", "ann2", "ann3", "ann4"}


def test_dropped_frames_are_those_that_were_said_not_the_voice(tokens, tokenizer):
    kept, dropped = (make(tokens, tokenizer, frame_dropout=p).sample(0, np.random.default_rng(1)) for p in (0.0, 1.0))
    first = int(kept.target_positions[0])
    assert torch.equal(dropped.frames[:first], kept.frames[:first])
    assert (kept.frames[first + 1 :] != NONE).all()
    assert (dropped.frames[first:] == NONE).all()
    assert torch.equal(dropped.targets, kept.targets)


def test_only_what_has_text_and_company_is_learned(tokens, tokenizer):
    dataset = make(tokens, tokenizer)
    assert [tokens.lines[i].id for i in dataset.targets] == [f"{s}{i}" for s in ("ann", "bob") for i in range(4)]


def test_audio_that_ends_before_its_text_is_left_out(tokenizer):
    slow = SequenceConfig("dual", delay=0)
    assert arrange(slow, tokenizer, codes(5, 0), "a very long text for so few frames", codes(4, 1)) is None
    assert arrange(slow, tokenizer, codes(5, 0), "a", codes(4, 1)) is not None


def test_weights_follow_voice_activity(tokens, tokenizer):
    dataset = make(tokens, tokenizer, silence_weight=0.25, long_silence_s=0.3)  # 4 frames
    activity = torch.tensor([255, 255, 0, 0, 255, 0, 0, 0, 0, 0, 255], dtype=torch.uint8)
    utterance = TokenUtterance("x", "hi", "ann", "en", 1.0, codes(11, 0), activity)
    assert dataset.weights(utterance).tolist() == [1, 1, 0.25, 0.25, 1, 0, 0, 0, 0, 0, 1]


@given(st.lists(st.booleans(), max_size=30))
def test_run_lengths(flags):
    lengths = run_lengths(np.array(flags, bool))
    for i, flag in enumerate(flags):
        start = stop = i
        while flag and start and flags[start - 1]:
            start -= 1
        while flag and stop + 1 < len(flags) and flags[stop + 1]:
            stop += 1
        assert lengths[i] == (stop - start + 1 if flag else 0)


def test_rows_too_short_for_any_sample_are_an_error(tokens, tokenizer):
    with pytest.raises(ValueError, match="row_steps"):
        make(tokens, tokenizer, row_steps=10)[0]


def test_a_long_row_takes_as_many_samples_as_fit(tokens, tokenizer):
    row = make(tokens, tokenizer, row_steps=8192)[0]
    assert 8192 - 160 < sum(len(sample.text) for sample in row) <= 8192


def test_a_text_of_which_nothing_is_read_is_left_out(tokens, tokenizer, monkeypatch):
    dataset = make(tokens, tokenizer)
    monkeypatch.setattr(tokens, "lines", [replace(line, text="\U0001f600") for line in tokens.lines])
    assert dataset.sample(0, np.random.default_rng(0)) is None


@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_loader_gives_the_rows_in_order(tokens, tokenizer, num_workers):
    dataset = make(tokens, tokenizer)
    batches = make_loader(dataset, 2, start_batch=3, num_workers=num_workers)
    batch = next(batches)
    batches.close()
    assert torch.equal(batch.targets, dataset.collate([dataset[6], dataset[7]]).targets)


@pytest.mark.parametrize(
    ("name", "value"), [("reference_s", (3.0, 1.0)), ("row_steps", 0), ("rewrite_prob", 2.0), ("silence_weight", -1.0)]
)
def test_bad_settings_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        SpeechDataConfig("unused", **{name: value})
