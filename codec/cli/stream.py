"""The command stream: samples to codes or back, on standard input and output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from codec.audio.wav import PCM, pcm_bytes
from codec.cli.common import Device, Model, Precision, open_tokenizer, read_stdin, told, write_stdout
from codec.settings import DEFAULT

if TYPE_CHECKING:
    from codec.tokenizer import Tokenizer
    from codec.tokens.tokens import Tokens

CODE = np.dtype("<u2")


def stream(
    direction: Literal["encode", "decode"], model: Model = DEFAULT, device: Device = "cpu", dtype: Precision = "float32"
) -> None:
    """Encode 16-bit mono PCM from stdin to codes on stdout, frame by frame, or decode.

    PCM has the model's sample rate; a frame is a uint16 per codebook; all little-endian.
    """
    tokenizer = open_tokenizer(model, device, dtype)
    blocks = _encoded(tokenizer) if direction == "encode" else _decoded(tokenizer)
    with told(RuntimeError):
        for block in blocks:
            write_stdout(block)


def _encoded(tokenizer: Tokenizer) -> Iterator[bytes]:
    if max(tokenizer.config.codebook_sizes) > 2**16:
        raise ValueError(f"codebook_sizes = {tokenizer.config.codebook_sizes}: codes do not fit uint16")
    encoder = tokenizer.encoder_stream()
    for samples in _values(PCM):
        yield _code_bytes(encoder.push(samples.astype(np.int16)))
    yield _code_bytes(encoder.flush())


def _code_bytes(tokens: Tokens) -> bytes:
    return tokens.codes[0].T.numpy(force=True).astype(CODE).tobytes()


def _decoded(tokenizer: Tokenizer) -> Iterator[bytes]:
    decoder, n_q = tokenizer.decoder_stream(), tokenizer.config.num_codebooks
    rest = np.zeros(0, CODE)
    for values in _values(CODE):
        rest = np.concatenate([rest, values])
        frames, rest = np.split(rest, [len(rest) // n_q * n_q])
        codes = frames.reshape(1, -1, n_q).transpose(0, 2, 1)
        yield pcm_bytes(decoder.push(codes)[0])
    yield pcm_bytes(decoder.flush()[0])
    if len(rest):
        raise ValueError(f"stdin: ends within a frame, with {len(rest)} of {n_q} codes")


def _values(kind: np.dtype) -> Iterator[np.ndarray]:
    """Read values from standard input as they arrive."""
    rest = b""
    for block in read_stdin():
        block = rest + block
        whole = len(block) // kind.itemsize * kind.itemsize
        rest = block[whole:]
        yield np.frombuffer(block[:whole], kind)
    if rest:
        raise ValueError(f"stdin: {len(rest)} bytes are left over, values are {kind.itemsize} bytes")
