"""`python tests/stream_mutations.py --count 100000`: damage streams in many ways, and count what readers say.

A reader either raises BitstreamError or flags the frames that are lost; what it gives without a flag is what was
written, unless the damage came with a checksum that fits it.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import warnings
import zlib
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from codec.bitstream import BitstreamError, Copies, Header, Packet, TokenModel, Writer, describe, recover
from codec.bitstream.files import MAX_LOST

SIZES, N_FRAMES, FRAMES_PER_PACKET = (16, 5, 5, 5, 5), 22, 4
MODELLED = 0.1  # share of streams with a token model, which takes nearly all the time
MAX_FRAMES = MAX_LOST + 2**16  # that a damaged file may become


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(dict(run(args.count, args.seed)))


def run(count: int, seed: int) -> Counter[str]:
    """Read `count` damaged streams; returns how many were refused, flagged, forged and unharmed.

    Raises:
        AssertionError: a reader gave wrong frames without a flag, or too many.
        Exception: a reader failed in another way.
    """
    rng, results = random.Random(seed), Counter[str]()
    model, codes = make_model(), make_codes()
    streams = [(by, make_stream(codes, by)) for by in (None, model)]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        path = Path(folder, "x.c37")
        for _ in tqdm(range(count), disable=None):
            by, parts = streams[rng.random() < MODELLED]
            data, is_forged = damage(parts, rng)
            path.write_bytes(data)
            caught.clear()
            results[read(path, by, codes, is_forged)] += 1
    return results


def read(path: Path, model: TokenModel | None, codes: torch.Tensor, is_forged: bool) -> str:
    """What came of reading a damaged stream; see `run`."""
    with suppress(BitstreamError):
        describe(path)
    try:
        tokens, received = recover(path, model)
    except BitstreamError:
        return "refused"
    assert tokens.codes.shape[2] == len(received) <= MAX_FRAMES
    if is_forged:
        return "forged"
    left = received[:N_FRAMES, None] > torch.arange(tokens.codes.shape[1])
    found = tokens.codes[0].T[:N_FRAMES]
    assert torch.equal(found[left], codes.T[: len(found), : found.shape[1]][left]), "a wrong frame without a flag"
    whole = len(received) == N_FRAMES and bool((received == len(SIZES)).all())
    return "unharmed" if whole else "flagged"


def make_model() -> TokenModel:
    torch.manual_seed(0)
    return TokenModel(SIZES, (False, *[True] * 4), (1, 5), width=8, embedding=4).requires_grad_(False)


def make_codes() -> torch.Tensor:
    sizes = np.array(SIZES)[:, None]
    return torch.from_numpy(np.random.default_rng(0).integers(0, sizes, (len(SIZES), N_FRAMES)))


def make_stream(codes: torch.Tensor, model: TokenModel | None) -> list[bytes]:
    """A stream with copies, in pieces: the header, every packet, what stands at the end."""
    name = model.fingerprint() if model else ""
    header = Header(SIZES, 1000, 100, "", FRAMES_PER_PACKET, (1, 5), {"synthetic": True}, name)
    file = Pieces()
    writer = Writer(file, header, model, Copies(1))  # type: ignore[arg-type]
    writer.write(codes.numpy())
    writer.close(N_FRAMES * 100 - 7)
    return file.pieces


class Pieces:
    """A file that keeps apart what was written at once."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.pieces.append(data)


def damage(parts: list[bytes], rng: random.Random) -> tuple[bytes, bool]:
    """A damaged stream, and whether checksums were made to fit."""
    parts = list(parts)
    if rng.random() < 0.3:
        i = rng.randrange(len(parts) - 1)
        parts[i] = forged_header(parts[0], rng) if i == 0 else forged_packet(parts[i], rng)
        return b"".join(parts), True
    if rng.random() < 0.3:
        parts[1:-1] = shuffled(parts[1:-1], rng)
    data = bytearray(b"".join(parts))
    for _ in range(rng.randint(1, 4)):
        change = rng.choice((flip, cut, insert, remove, repeat))
        data = change(data, rng)
    return bytes(data), False


def forged_header(data: bytes, rng: random.Random) -> bytes:
    """Another byte or some, and the checksum that fits."""
    body = bytearray(data[:-4])
    for _ in range(rng.randint(1, 3)):
        body[rng.randrange(len(body))] = rng.randrange(256)
    return bytes(body) + zlib.crc32(body).to_bytes(4, "little")


def forged_packet(data: bytes, rng: random.Random) -> bytes:
    """Another number, other frames or layers."""
    packet, _ = Packet.parse(data)
    layers = list(packet.layers)
    for i in range(len(layers)):
        if rng.random() < 0.5:
            layers[i] = rng.randbytes(rng.choice((0, 1, 4, len(layers[i]), 200)))
    layers = layers[: rng.randint(0, 3)] + [b""] * rng.choice((0, 0, 0, 2, 255 - len(layers)))
    number = rng.choice((packet.number, rng.randrange(8), 2 ** rng.randrange(63)))
    n_frames = rng.choice((packet.n_frames, packet.n_frames, 0, rng.randrange(256)))
    return Packet(number, n_frames, tuple(layers)).to_bytes()


def shuffled(parts: list[bytes], rng: random.Random) -> list[bytes]:
    """Packets that are missing, doubled or in another order."""
    kept = [part for part in parts if rng.random() < 0.7]
    kept += [rng.choice(parts) for _ in range(rng.randrange(3))]
    if rng.random() < 0.5:
        rng.shuffle(kept)
    return kept


def flip(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.randint(1, 8) if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def cut(data: bytearray, rng: random.Random) -> bytearray:
    return data[: rng.randint(0, len(data))] if rng.random() < 0.3 else data


def insert(data: bytearray, rng: random.Random) -> bytearray:
    at = rng.randint(0, len(data))
    return data[:at] + rng.randbytes(rng.randint(1, 40)) + data[at:]


def remove(data: bytearray, rng: random.Random) -> bytearray:
    start, end = bounds(data, rng)
    return data[:start] + data[end:]


def repeat(data: bytearray, rng: random.Random) -> bytearray:
    start, end = bounds(data, rng)
    return data[:end] + data[start:]


def bounds(data: bytearray, rng: random.Random) -> list[int]:
    return sorted(rng.randint(0, len(data)) for _ in range(2))


if __name__ == "__main__":
    main()
