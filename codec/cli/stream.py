"""The command stream: samples to codes or back, on standard input and output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from codec.audio.wav import PCM, pcm_bytes
from codec.cli.common import Device, Model, NumQuantizers, Precision, open_tokenizer, read_stdin, told, write_stdout
from codec.settings import DEFAULT, require

if TYPE_CHECKING:
    from codec.tokenizer import Tokenizer
    from codec.tokens.tokens import Tokens

CODE = np.dtype("<u2")


def stream(
    direction: Literal["encode", "decode"],
    model: Model = DEFAULT,
    n_q: NumQuantizers = None,
    device: Device = "cpu",
    dtype: Precision = "float32",
) -> None:
    """Encode 16-bit mono PCM from stdin to codes on stdout, frame by frame, or decode.

    PCM has the model's sample rate; a frame is a uint16 for each of the --n-q codebooks; all little-endian.
    """
    tokenizer = open_tokenizer(model, device, dtype)
    n_codes = tokenizer.config.num_codebooks if n_q is None else n_q
    with told(RuntimeError):
        require(
            1 <= n_codes <= tokenizer.config.num_codebooks, "--n-q", n_codes, f"1 to {tokenizer.config.num_codebooks}"
        )
        for block in (_encoded if direction == "encode" else _decoded)(tokenizer, n_codes):
            write_stdout(block)


def _encoded(tokenizer: Tokenizer, n_q: int) -> Iterator[bytes]:
    if max(tokenizer.config.codebook_sizes) > 2**16:
        raise ValueError(f"codebook_sizes = {tokenizer.config.codebook_sizes}: codes do not fit uint16")
    encoder = tokenizer.encoder_stream()
    for samples in _values(PCM):
        yield _code_bytes(encoder.push(samples.astype(np.int16)).prefix(n_q))
    yield _code_bytes(encoder.flush().prefix(n_q))


def _code_bytes(tokens: Tokens) -> bytes:
    return tokens.codes[0].T.numpy(force=True).astype(CODE).tobytes()


def _decoded(tokenizer: Tokenizer, n_q: int) -> Iterator[bytes]:
    decoder = tokenizer.decoder_stream()
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
