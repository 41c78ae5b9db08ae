"""Writing and reading of `.c37` files with the tokens of one recording."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from codec.bitstream.header import BitstreamError, Header
from codec.bitstream.reader import Frames, Reader
from codec.bitstream.token_model import TokenModel
from codec.bitstream.writer import Writer
from codec.files import atomic_file
from codec.tokens.tokens import Tokens


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
        model: for entropy coding; without it, or with fewer than all codebooks, the rate is fixed.
        metadata: of the file, as JSON.

    Raises:
        ValueError: several recordings, or codes out of range.
    """
    if len(tokens) != 1:
        raise ValueError(f"tokens: {len(tokens)} recordings; a .c37 file holds one, save each tokens[i]")
    n_q = tokens.codes.shape[1]
    model = model if n_q == len(codebook_sizes) else None
    header = Header(
        tuple(codebook_sizes[:n_q]),
        tokens.sample_rate,
        tokens.hop_length,
        tokens.fingerprint,
        layer_ends=model.layer_ends if model else (),
        metadata=metadata or {},
        token_model=model.fingerprint() if model else "",
    )
    with atomic_file(Path(path)) as new, new.open("wb") as file:
        writer = Writer(file, header, model)
        writer.write(tokens[0].codes[0].numpy(force=True))
        writer.close(int(tokens.n_samples[0]))


def load(path: str | Path, model: TokenModel | None = None, on_loss: Literal["raise", "repeat"] = "raise") -> Tokens:
    """Read what `save` wrote.

    Args:
        path: of the file.
        model: for entropy-coded files.
        on_loss: for damaged or missing frames: "raise", or "repeat" the frame before them, with a warning.

    Raises:
        BitstreamError: the file is missing, of another format, or damaged; the message names packet and time.
    """
    try:
        with Path(path).open("rb") as file:
            reader = Reader(file, model)
            parts = [np.zeros((reader.header.layer_ends[-1], 0), np.int64)]
            for item in reader:
                if isinstance(item, Frames):
                    parts.append(item.codes)
                    continue
                if on_loss == "raise":
                    raise BitstreamError(item.reason)
                warnings.warn(f"{path}: {item.reason}", stacklevel=2)
                parts.append(np.repeat(_last(parts), item.n_frames, axis=1))
    except OSError as error:
        raise BitstreamError(f"{path}: {error.strerror}") from error
    except BitstreamError as error:
        raise BitstreamError(f"{path}: {error}") from error
    n_q = min(len(part) for part in parts)
    codes = np.concatenate([part[:n_q] for part in parts], axis=1)
    c = reader.header
    n_samples = codes.shape[1] * c.hop_length if reader.n_samples is None else reader.n_samples
    return Tokens(torch.from_numpy(codes)[None], torch.tensor([n_samples]), c.sample_rate, c.hop_length, c.fingerprint)


def describe(path: str | Path) -> tuple[Header, int]:
    """Read the header of a file and its length in samples, without decoding.

    Raises:
        BitstreamError: the file is missing, of another format, or cut.
    """
    try:
        with Path(path).open("rb") as file:
            reader = Reader(file)
            reader.seek(0.0)
    except (OSError, BitstreamError) as error:
        raise BitstreamError(f"{path}: {error}") from error
    assert reader.n_samples is not None
    return reader.header, reader.n_samples


def _last(parts: list[np.ndarray]) -> np.ndarray:
    """Last received frame `[n_q, 1]`; code 0 of every codebook if there is none."""
    part = parts[-1]
    return part[:, -1:] if part.shape[1] else np.zeros((len(part), 1), np.int64)
