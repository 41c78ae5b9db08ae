"""Streams that are pushed, ended and reset in any mix, in one runtime beside another."""

import random

import torch

import codec
from codec.stream import DecoderStream, EncoderStream


def assert_equal_in_any_mix(model, streams, batch_size, seed):
    """What `streams` give is what streams of `model` give, whatever comes in which order."""
    wanted = EncoderStream(model, batch_size), DecoderStream(model, batch_size)
    found = streams.encoder_stream(batch_size), streams.decoder_stream(batch_size)
    rngs = random.Random(seed), random.Random(seed)
    n_codes = n_other = 0
    for _ in range(8):
        for a, b in zip(_act(rngs[0], *wanted), _act(rngs[1], *found), strict=True):
            if isinstance(a, list):
                for x, y in zip(a, b, strict=True):
                    torch.testing.assert_close(y, x, atol=1e-4, rtol=0)
            else:
                assert torch.equal(a.n_samples, b.n_samples)
                n_codes, n_other = n_codes + a.codes.numel(), n_other + int((a.codes != b.codes).sum())
    assert n_codes > 100
    assert n_other <= (0 if model.config.front == "patches" else 0.01 * n_codes)  # logarithms magnify rounding


def _act(rng, encoder, decoder):
    """Push into the streams, some of which end or are reset; every choice comes from `rng`."""
    hop, n_q = encoder.config.hop_length, encoder.config.num_codebooks
    sizes = [rng.choice([0, 1, hop - 1, hop, rng.randrange(4 * hop)]) for _ in range(encoder.batch_size)]
    generator = torch.Generator().manual_seed(rng.randrange(2**32))
    chunks = [0.3 * torch.randn(size, generator=generator) for size in sizes]
    yield encoder.push(chunks)
    codes = torch.stack(
        [torch.randint(size, (encoder.batch_size, 2), generator=generator) for size in encoder.config.codebook_sizes], 1
    )
    tokens = codec.Tokens(codes, hop * torch.tensor(rng.choices([0, 1, 2], k=encoder.batch_size)), 24_000, hop)
    yield decoder.push(tokens.prefix(rng.randint(1, n_q)))
    stream = rng.choice([None, *range(encoder.batch_size)])
    match rng.choice(["flush", "reset", "go on", "go on"]):
        case "flush":
            yield encoder.flush(stream)
            yield decoder.flush(stream)
        case "reset":
            encoder.reset(stream)
            decoder.reset(stream)
