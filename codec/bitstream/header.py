"""The header of a stream: codebooks, rates, layers, and fingerprints of codec and token model."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any, BinaryIO

from codec.settings import require

MAGIC = b"\x89C37\r\n"
VERSION = 1
LAYER_ENDS = (1, 5, 13, 25)  # codebooks at which layers end by default, besides the last one
_FIXED = struct.Struct("<6sB8s8sIHBB")  # magic, version, fingerprints, rate, hop, frames per packet, runs
_RUN = struct.Struct("<BI")  # codebooks, size of each
_CRC = struct.Struct("<I")


class BitstreamError(ValueError):
    """A damaged stream, or another format; the message says what and where."""


@dataclass(frozen=True)
class Header:
    """Contents of the header.

    Raises:
        ValueError: a field out of the range of the format; the message names it.
    """

    codebook_sizes: tuple[int, ...]
    sample_rate: int  # Hz
    hop_length: int  # samples per frame
    fingerprint: str = ""  # of the codec: 16 hex digits; "" decodes with any
    frames_per_packet: int = 50  # of all packets but the last; gives the time of a packet by its number
    layer_ends: tuple[int, ...] = ()  # number of codebooks up to the end of each layer; () for `LAYER_ENDS`
    metadata: Mapping[str, Any] = field(default_factory=dict)  # JSON, such as consent and synthetic
    token_model: str = ""  # fingerprint of the model for entropy coding; "" for a fixed rate

    def __post_init__(self) -> None:
        n_codebooks = len(self.codebook_sizes)
        if not self.layer_ends:
            object.__setattr__(self, "layer_ends", default_layer_ends(n_codebooks))
        require(0 < n_codebooks < 256, "codebook_sizes", self.codebook_sizes, "1 to 255 codebooks")
        good = all(1 < size < 2**32 for size in self.codebook_sizes)
        require(good, "codebook_sizes", self.codebook_sizes, "2 or more each")
        require(0 < self.sample_rate < 2**32, "sample_rate", self.sample_rate, "1 to 2^32 - 1")
        require(0 < self.hop_length < 2**16, "hop_length", self.hop_length, "1 to 65,535")
        require(0 < self.frames_per_packet < 256, "frames_per_packet", self.frames_per_packet, "1 to 255")
        rising = list(self.layer_ends) == sorted({*self.layer_ends})
        good = rising and self.layer_ends[0] > 0 and self.layer_ends[-1] == n_codebooks
        require(good, "layer_ends", self.layer_ends, f"rising numbers, the last of them {n_codebooks}")
        for name in ("fingerprint", "token_model"):
            good = re.fullmatch("([0-9a-f]{16})?", getattr(self, name)) is not None
            require(good, name, getattr(self, name), "16 hex digits or none")

    @property
    def layers(self) -> list[tuple[slice, tuple[int, ...]]]:
        """Codebooks of each layer, and their sizes."""
        slices = [slice(start, end) for start, end in pairwise((0, *self.layer_ends))]
        return [(part, self.codebook_sizes[part]) for part in slices]

    def to_bytes(self) -> bytes:
        runs = [(len(list(same)), size) for size, same in groupby(self.codebook_sizes)]
        names = [bytes.fromhex(name).ljust(8, b"\0") for name in (self.fingerprint, self.token_model)]
        rates = self.sample_rate, self.hop_length, self.frames_per_packet
        metadata = json.dumps(dict(self.metadata), separators=(",", ":")).encode() if self.metadata else b""
        parts = [_FIXED.pack(MAGIC, VERSION, *names, *rates, len(runs)), *(_RUN.pack(*run) for run in runs)]
        parts += [bytes([len(self.layer_ends), *self.layer_ends]), struct.pack("<I", len(metadata)), metadata]
        data = b"".join(parts)
        return data + _CRC.pack(zlib.crc32(data))

    @classmethod
    def read(cls, file: BinaryIO) -> Header:
        """Read the header at the start of a stream, and no further byte.

        Raises:
            BitstreamError: another format, an unknown version, or damage.
        """
        read = _HeaderReader(file, MAGIC)
        if (magic := file.read(len(MAGIC))) != MAGIC:
            raise BitstreamError(f"starts with {magic!r}; expected {MAGIC!r}, a .c37 file")
        if (version := read(1)[0]) != VERSION:
            raise BitstreamError(f"version {version} of the format; this library reads {VERSION}")
        *names, rate, hop, frames, n_runs = _FIXED.unpack(read.data + read(_FIXED.size - len(read.data)))[2:]
        runs = [_RUN.unpack(read(_RUN.size)) for _ in range(n_runs)]
        ends = tuple(read(read(1)[0]))
        metadata = read(struct.unpack("<I", read(4))[0])
        expected = zlib.crc32(read.data)
        if _CRC.unpack(read(4))[0] != expected:
            raise BitstreamError("the header is cut or damaged")
        sizes = tuple(size for count, size in runs for _ in range(count))
        fingerprint, token_model = (name.hex() if any(name) else "" for name in names)
        try:
            return cls(sizes, rate, hop, fingerprint, frames, ends, _object(metadata), token_model)
        except (ValueError, RecursionError) as error:
            raise BitstreamError(f"the header is damaged: {error}") from error


def _object(data: bytes) -> dict[str, Any]:
    """Parse JSON, nothing being an empty object. Raises ValueError."""
    value = json.loads(data or b"{}")
    require(isinstance(value, dict), "metadata", value, "a JSON object")
    return dict(value)


def default_layer_ends(n_codebooks: int) -> tuple[int, ...]:
    """Layer ends for `n_codebooks`: those of `LAYER_ENDS` below it, and itself."""
    return (*(end for end in LAYER_ENDS if end < n_codebooks), n_codebooks)


class _HeaderReader:
    """Reads an exact number of bytes, and keeps them for the checksum."""

    def __init__(self, file: BinaryIO, data: bytes) -> None:
        self.file, self.data = file, data

    def __call__(self, n: int) -> bytes:
        got = self.file.read(n)
        if len(got) < n:
            raise BitstreamError("the header is cut or damaged")
        self.data += got
        return got
