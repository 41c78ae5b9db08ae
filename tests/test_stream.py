"""Streaming equals offline: for any chunking, any length, any configuration, any mix of streams."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import make_codec
from torch.utils._python_dispatch import TorchDispatchMode

from codec import DecoderStream, EncoderStream, Tokens
from codec.model import CHUNK_FRAMES
from codec.nn.product import can_pack
from codec.tokenizer import load

SETTINGS = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def noise(n_samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n_samples, generator=torch.Generator().manual_seed(seed)) * 0.3


def offline(codec, waveform):
    codes = codec.encode(waveform[None].to(codec.dtype))
    return codes, codec.decode(codes)[0]


def cut(x, sizes):
    """`x` along its first axis in pieces of the given sizes, repeated until it ends; 0 is an empty piece."""
    pieces, i = [], 0
    while len(x):
        size = sizes[i % len(sizes)] if i < 50 else len(x)
        pieces.append(x[:size])
        x, i = x[size:], i + 1
    return pieces


@SETTINGS
@given(st.integers(1, 12_000), st.lists(st.integers(0, 5_000), min_size=1, max_size=6).filter(any))
def test_encoder_and_decoder_equal_offline(any_codec, n_samples, sizes):
    x = noise(n_samples)
    codes, waveform = offline(any_codec, x)
    encoder = EncoderStream(any_codec)
    parts = [encoder.push(chunk) for chunk in cut(x, sizes)] + [encoder.flush()]
    tokens = Tokens.join(parts)
    assert torch.equal(tokens.codes, codes)
    assert tokens.n_samples.tolist() == [n_samples]

    decoder = DecoderStream(any_codec)
    out = torch.cat([decoder.push(part)[0] for part in parts] + decoder.flush())
    torch.testing.assert_close(out, waveform[:n_samples].float(), atol=1e-5, rtol=0)


def test_a_frame_comes_as_soon_as_its_samples_are_in():
    codec = make_codec()
    encoder, decoder = EncoderStream(codec), DecoderStream(codec)
    hop = codec.config.hop_length
    assert encoder.push(noise(hop - 1)).lengths.tolist() == [0]
    tokens = encoder.push(noise(1))
    assert tokens.lengths.tolist() == [1]
    assert [len(w) for w in decoder.push(tokens)] == [hop]


def test_float32_on_speech(tokenizer):
    """On a real clip in the working precision: codes identical, waveform within 1e-5."""
    import soundfile

    x = torch.from_numpy(soundfile.read("tests/data/kathleen.flac", dtype="float32")[0])
    tokens = tokenizer.encode(x, 24_000)
    waveform = tokenizer.decode(tokens)[0]
    for size in (240, 1920, 3000, 20_000):
        encoder, decoder = tokenizer.encoder_stream(), tokenizer.decoder_stream()
        parts = [encoder.push(chunk) for chunk in x.split(size)] + [encoder.flush()]
        assert torch.equal(Tokens.join(parts).codes, tokens.codes)
        out = torch.cat([decoder.push(part)[0] for part in parts])
        torch.testing.assert_close(out, waveform, atol=1e-5, rtol=0)


@SETTINGS
@given(st.data())
def test_streams_of_a_batch_are_independent(any_codec, data):
    """Uneven pushes, flushes and resets of single streams change nothing in the others."""
    batch_size = 3
    encoder = EncoderStream(any_codec, batch_size)
    fed = [torch.zeros(0) for _ in range(batch_size)]
    parts = [[] for _ in range(batch_size)]

    def check(i):
        if len(fed[i]):
            assert torch.equal(Tokens.join(parts[i]).codes, offline(any_codec, fed[i])[0])
        fed[i], parts[i] = torch.zeros(0), []

    for step in range(data.draw(st.integers(1, 6))):
        action = data.draw(st.sampled_from(["push", "push", "push", "flush", "reset"]))
        i = data.draw(st.integers(0, batch_size - 1))
        if action == "push":
            sizes = [data.draw(st.integers(0, 4_000)) for _ in range(batch_size)]
            chunks = [noise(size, seed=10 * step + j) for j, size in enumerate(sizes)]
            tokens = encoder.push(chunks)
            for j in range(batch_size):
                fed[j] = torch.cat([fed[j], chunks[j]])
                parts[j].append(tokens[j])
        elif action == "flush":
            parts[i].append(encoder.flush(i)[i])
            check(i)
        else:
            encoder.reset(i)
            fed[i], parts[i] = torch.zeros(0), []
    tokens = encoder.flush()
    for i in range(batch_size):
        parts[i].append(tokens[i])
        check(i)


def test_uneven_decoding_of_a_batch(any_codec):
    waveforms = [noise(n, seed=n) for n in (500, 9_000, 6_000)]
    tokens = Tokens.stack(
        [Tokens.join([(e := EncoderStream(any_codec)).push(w), e.flush()]) for w in waveforms]
    )  # fmt: skip
    decoder = DecoderStream(any_codec, 3)
    frame = any_codec.config.hop_length / any_codec.config.sample_rate
    out = [[], [], []]
    for i in range(tokens.codes.shape[2]):
        for row, waveform in zip(out, decoder.push(tokens.crop(i * frame, (i + 1) * frame)), strict=True):
            row.append(waveform)
    for row, waveform in zip(out, decoder.flush(), strict=True):
        row.append(waveform)
    for row, w in zip(out, waveforms, strict=True):
        torch.testing.assert_close(torch.cat(row), offline(any_codec, w)[1][: len(w)].float(), atol=1e-5, rtol=0)


def test_a_paused_stream_goes_on_in_any_place(any_codec):
    codes, waveform = offline(any_codec, noise(12 * any_codec.config.hop_length))
    others = codes.flip(2)
    decoder, out, place = DecoderStream(any_codec, 3), [], 0
    for frame in codes.split(1, dim=2):
        batch = others[:, :, :1].repeat(3, 1, 1)
        batch[place] = frame[0]
        out.append(decoder.push(batch)[place])
        paused = decoder.pause(place)
        decoder.push(others[:, :, :2].repeat(3, 1, 1))
        place = (place + 1) % 3
        decoder.resume(place, paused)
    out.append(decoder.flush(place)[place])
    torch.testing.assert_close(torch.cat(out), waveform.float(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("chunk_frames", [1, 7, 64])
def test_codes_do_not_depend_on_the_chunk_length(any_codec, monkeypatch, chunk_frames):
    x = noise(60_000)
    codes, waveform = offline(any_codec, x)
    monkeypatch.setattr("codec.model.CHUNK_FRAMES", chunk_frames)
    chunked_codes, chunked_waveform = offline(any_codec, x)
    assert torch.equal(chunked_codes, codes)
    torch.testing.assert_close(chunked_waveform, waveform, atol=1e-5, rtol=0)


def test_state_has_fixed_shapes():
    """One step can be captured as a graph: the state going in and coming out has the same flat layout."""
    codec = make_codec()
    before = codec.encoder.init_state(2)
    for n_frames in (1, 3, CHUNK_FRAMES):
        _, after = codec.encoder(torch.zeros(2, n_frames * codec.config.hop_length), before)
        assert [(s.shape, s.dtype) for s in after] == [(s.shape, s.dtype) for s in before]


def test_bad_pushes():
    codec = make_codec()
    encoder, decoder = EncoderStream(codec, 2), DecoderStream(codec, 2)
    with pytest.raises(ValueError, match="one per stream"):
        encoder.push([torch.zeros(5)])
    with pytest.raises(ValueError, match=r"samples\[1\].*NaN"):
        encoder.push([torch.zeros(5), torch.tensor([0.0, float("nan")])])
    with pytest.raises(ValueError, match="one per stream"):
        decoder.push(torch.zeros(1, 9, 1, dtype=torch.long))
    with pytest.raises(ValueError, match="codebook 1"):
        decoder.push(torch.full((2, 9, 1), 21))
    with pytest.raises(ValueError, match="stream"):
        encoder.flush(2)
    with pytest.raises(ValueError, match="batch_size"):
        EncoderStream(codec, 0)


class CallCount(TorchDispatchMode):
    """Counts the tensor operations inside of it."""

    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.n += 1
        return function(*args, **(kwargs or {}))


def test_a_frame_of_a_running_stream_takes_few_operations():
    """Each costs about as much as a small product; nothing is masked or padded once a stream runs."""
    tokenizer = load()
    encoder, decoder, hop = tokenizer.encoder_stream(), tokenizer.decoder_stream(), tokenizer.config.hop_length
    for chunk in noise(40 * hop).split(hop):
        tokens = encoder.push(chunk)
        decoder.push(tokens)
    with CallCount() as encoding:
        tokens = encoder.push(chunk)
    with CallCount() as decoding:
        decoder.push(tokens)
    assert encoding.n <= (320 if can_pack() else 400)
    assert decoding.n <= (400 if can_pack() else 480)
