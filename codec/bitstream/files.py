"""Writing and reading of `.c37` files with the tokens of one recording."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.bitstream.concealment import conceal
from codec.bitstream.header import BitstreamError, Header, default_layer_ends
from codec.bitstream.reader import Frames, Loss, Reader
from codec.bitstream.token_model import TokenModel
from codec.bitstream.writer import Writer
from codec.files import atomic_file
from codec.tokens.tokens import Tokens

MAX_LOST = 2**16  # frames that are concealed
MAX_DISTANCE = 16  # packets that a copy is looked for behind its packet


def save(
    path: str | Path,
    tokens: Tokens,
    codebook_sizes: Sequence[int],
    model: TokenModel | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write tokens of one recording.

    Args:
        path: of the file.
        tokens: of one recording, with all or the first codebooks.
        codebook_sizes: of the codec.
        model: for entropy coding; without it, or with codebooks up to the middle of a layer, the rate is fixed.
        metadata: of the file, as JSON.

    Raises:
        ValueError: several recordings, or codes out of range.
    """
    if len(tokens) != 1:
        raise ValueError(f"tokens: {len(tokens)} recordings; a .c37 file holds one, save each tokens[i]")
    n_q, n_samples = tokens.codes.shape[1], int(tokens.n_samples[0])
    ends = model.layer_ends if model else default_layer_ends(len(codebook_sizes))
    is_layered = n_q in ends and n_samples > 0  # then packets tell n_q
    model = model if is_layered else None
    header = Header(
        tuple(codebook_sizes if is_layered else codebook_sizes[:n_q]),
        tokens.sample_rate,
        tokens.hop_length,
        tokens.fingerprint,
        layer_ends=ends if is_layered else (),
        metadata=metadata or {},
        token_model=model.fingerprint() if model else "",
    )
    with atomic_file(Path(path)) as new, new.open("wb") as file:
        writer = Writer(file, header, model)
        writer.write(tokens[0].codes[0].numpy(force=True))
        writer.close(n_samples)


def load(path: str | Path, model: TokenModel | None = None) -> Tokens:
    """Read what `save` wrote.

    Args:
        path: of the file.
        model: for entropy-coded files.

    Raises:
        BitstreamError: the file is missing, of another format, or damaged; the message names packet and time.
    """
    with _open(path, model, wait=0) as reader:
        parts = []
        for item in reader:
            if isinstance(item, Loss):
                raise BitstreamError(item.reason)
            parts.append(item.codes)
        n_q = min([len(part) for part in parts], default=reader.header.layer_ends[-1])
        return _tokens(reader, np.concatenate([np.empty((n_q, 0), np.int64), *(part[:n_q] for part in parts)], axis=1))


def recover(path: str | Path, model: TokenModel | None = None) -> tuple[Tokens, Tensor]:
    """Read what is left of a damaged file: copies stand in for lost packets, and other lost frames are concealed.

    Args:
        path: of the file.
        model: for entropy-coded files, and to predict lost frames; without one, the frame before is repeated.

    Returns:
        The tokens, and the number of codebooks that were left of each frame, `[T]`, for `fade`. Each loss is also
        a warning, which names packet and time.

    Raises:
        BitstreamError: the file is missing, of another format, nothing is left, or more than `MAX_LOST` frames are
            lost.
    """
    with _open(path, model, wait=MAX_DISTANCE) as reader:
        items, n_lost = [], 0
        for item in reader:
            items.append(item)
            if isinstance(item, Loss):
                warnings.warn(f"{path}: {item.reason}", stacklevel=2)
                n_lost += item.n_frames
            if n_lost > MAX_LOST:
                raise BitstreamError(f"{n_lost} frames are lost; more than {MAX_LOST} are not concealed")
        n_q = max([len(item.codes) for item in items if isinstance(item, Frames)], default=0)
        if items and not n_q:
            raise BitstreamError("no packet is whole")
        n_q = n_q or reader.header.layer_ends[-1]
        codes, received = [np.empty((n_q, 0), np.int64)], [np.empty(0, np.int64)]
        for item in items:
            n_known, n_frames = (0, item.n_frames) if isinstance(item, Loss) else item.codes.shape
            codes.append(np.zeros((n_q, n_frames), np.int64))
            codes[-1][:n_known] = item.codes if isinstance(item, Frames) else 0
            received.append(np.full(n_frames, n_known))
        left = torch.from_numpy(np.concatenate(received))
        whole = conceal(torch.from_numpy(np.concatenate(codes, axis=1)), left, model, look_ahead=True)
        return _tokens(reader, whole.numpy()), left


@dataclass(frozen=True)
class Contents:
    """What is in a file."""

    header: Header
    n_samples: int
    layer_bytes: tuple[int, ...]  # of each layer in all packets
    n_packets: int
    n_copies: int  # packets that repeat others


def describe(path: str | Path) -> Contents:
    """Read what is in a file, without decoding.

    Raises:
        BitstreamError: the file is missing, of another format, or cut.
    """
    with _open(path, None, wait=0) as reader:
        reader.seek(0.0)
        assert reader.n_samples is not None
        layer_bytes, numbers = [0] * len(reader.header.layer_ends), []
        for packet in reader.packets():
            numbers.append(packet.number)
            for i, layer in enumerate(packet.layers[: len(layer_bytes)]):
                layer_bytes[i] += len(layer)
        n_packets = len(set(numbers))
        return Contents(reader.header, reader.n_samples, tuple(layer_bytes), n_packets, len(numbers) - n_packets)


@contextmanager
def _open(path: str | Path, model: TokenModel | None, wait: int) -> Iterator[Reader]:
    """Open a file for reading; errors name it."""
    try:
        with Path(path).open("rb") as file:
            yield Reader(file, model, wait)
    except OSError as error:
        raise BitstreamError(f"{path}: {error.strerror}") from error
    except BitstreamError as error:
        raise BitstreamError(f"{path}: {error}") from error


def _tokens(reader: Reader, codes: NDArray[np.int64]) -> Tokens:
    """Codes `[n_q, T]` of a whole stream."""
    c = reader.header
    n_samples = codes.shape[1] * c.hop_length if reader.n_samples is None else reader.n_samples
    return Tokens(torch.from_numpy(codes)[None], torch.tensor([n_samples]), c.sample_rate, c.hop_length, c.fingerprint)
