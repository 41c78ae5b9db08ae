"""The tokenizer: any audio in, trimmed audio out, and clear refusals."""

import dataclasses

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import make_codec

import codec
from codec import AudioError, CheckpointError, Tokenizer
from codec.audio.io import read_audio

CLIPS = [f"tests/data/{name}.flac" for name in ("kathleen", "flemishguy", "kerstin")]


def test_clips_in_a_batch_equal_clips_alone(tokenizer):
    batch = tokenizer.encode(CLIPS)
    waveforms = tokenizer.decode(batch)
    for i, clip in enumerate(CLIPS):
        alone = tokenizer.encode(clip)
        assert torch.equal(batch[i].codes, alone.codes)
        assert len(waveforms[i]) == soundfile.info(clip).frames
        torch.testing.assert_close(waveforms[i], tokenizer.decode(alone)[0], atol=1e-5, rtol=0)


def test_ways_to_give_the_same_audio(tokenizer):
    samples, rate = soundfile.read(CLIPS[0], dtype="int16")
    expected = tokenizer.encode(CLIPS[0]).codes
    as_float = samples.astype(np.float32) / 2**15
    for audio in (samples, as_float, torch.from_numpy(as_float), np.stack([as_float] * 8), as_float.astype(np.float64)):
        assert torch.equal(tokenizer.encode(audio, rate).codes, expected)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 10_000), st.sampled_from([8_000, 16_000, 22_050, 24_000, 44_100, 48_000]))
def test_output_is_as_long_as_the_resampled_input(tokenizer, n_samples, rate):
    tokens = tokenizer.encode(torch.zeros(n_samples), rate)
    (waveform,) = tokenizer.decode(tokens)
    assert abs(len(waveform) - n_samples * 24_000 / rate) <= 1
    assert len(waveform) == tokens.n_samples


@pytest.mark.parametrize("n_samples", [1, 239, 1919, 1920, 1921])
def test_shorter_than_a_frame(tokenizer, n_samples):
    tokens = tokenizer.encode(torch.full((n_samples,), 0.1), 24_000)
    assert tokens.lengths.tolist() == [-(-n_samples // 1920)]
    assert len(tokenizer.decode(tokens)[0]) == n_samples


def test_n_q_gives_a_rate_curve(tokenizer):
    tokens = tokenizer.encode(CLIPS[0])
    outputs = [tokenizer.decode(tokens.prefix(n_q))[0] for n_q in range(1, tokenizer.config.num_codebooks + 1)]
    full = tokenizer.decode(tokens)[0]
    errors = [float((output - full).square().mean()) for output in outputs]
    assert errors[0] > 0
    assert errors[-1] == 0


def test_refusals(tokenizer):
    tokens = tokenizer.encode(torch.zeros(4_000), 24_000)
    with pytest.raises(AudioError, match="sample_rate"):
        tokenizer.encode(torch.zeros(10))
    with pytest.raises(AudioError, match=r"audio\[1\].*empty"):
        tokenizer.encode([torch.zeros(10), torch.zeros(0)], 24_000)
    with pytest.raises(ValueError, match="empty list"):
        tokenizer.encode([])
    codes = tokens.codes.clone()
    codes[0, 3, 1] = 21
    with pytest.raises(ValueError, match=r"codebook 3 has codes 0 to 20"):
        tokenizer.decode(codes)
    with pytest.raises(ValueError, match="10 codebooks"):
        tokenizer.decode(torch.zeros(1, 10, 3, dtype=torch.long))
    with pytest.raises(ValueError, match="integers"):
        tokenizer.decode(torch.zeros(1, 9, 3))
    with pytest.raises(ValueError, match="made by codec"):
        Tokenizer(make_codec(seed=1)).decode(tokens)
    loose = dataclasses.replace(tokens, fingerprint="")
    assert len(Tokenizer(make_codec(seed=1)).decode(loose)[0]) == 4_000


def test_no_frames(tokenizer):
    tokens = tokenizer.encode(torch.zeros(4_000), 24_000).crop(0, 0)
    assert [len(w) for w in tokenizer.decode(tokens)] == [0]


def test_bfloat16_keeps_the_identity_and_most_codes(tmp_path, tokenizer):
    tokenizer.save(tmp_path / "codec")
    half = codec.load(tmp_path / "codec", dtype=torch.bfloat16)
    assert half.fingerprint == tokenizer.fingerprint
    assert half.model.quantizer.semantic.embedding.dtype == torch.float32
    a, b = tokenizer.encode(CLIPS[0]).codes, half.encode(CLIPS[0]).codes
    assert (a - b)[:, 1:].abs().float().mean() < 0.5  # in levels
    assert half.decode(half.encode(CLIPS[0]))[0].dtype == torch.float32


def test_the_default_is_trained_and_speaks_at_every_bitrate():
    """It needs no network and no argument; what it makes of speech is nearer to it with every codebook more."""
    tokenizer = codec.load()
    assert (tokenizer.config.num_codebooks, tokenizer.config.hop_length) == (37, 1920)
    assert codec.load("default").fingerprint == tokenizer.fingerprint
    original = read_audio(CLIPS[0], None, 24_000)
    tokens = tokenizer.encode(CLIPS[0])
    assert all(len(column.unique()) > 2 for column in tokens.codes[0])
    distances = [log_distance(tokenizer.decode(tokens.prefix(n_q))[0], original) for n_q in (1, 13, 37)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.8 * log_distance(torch.zeros_like(original), original)


def log_distance(a, b):
    """Mean distance of log spectra."""
    window = torch.hann_window(1024)
    a, b = (torch.stft(x, 1024, window=window, return_complex=True).abs().add(0.1).log() for x in (a, b))
    return float((a - b).abs().mean())


def test_load(tmp_path, tokenizer):
    with pytest.warns(UserWarning, match="untrained"):
        first = codec.load("tiny")
    with pytest.warns(UserWarning, match="untrained"):
        assert codec.load("tiny").fingerprint == first.fingerprint
    with pytest.raises(CheckpointError, match="no such folder"):
        codec.load(tmp_path / "absent")
    with pytest.raises(ValueError, match="dtype"):
        codec.load("tiny", dtype=torch.int8)
    tokenizer.export_voxtral(tmp_path / "released")
    released = codec.load(tmp_path / "released")
    assert torch.equal(released.encode(CLIPS[0]).codes, tokenizer.encode(CLIPS[0]).codes)
