"""Files: whole ones come back exactly, of damaged ones what is left, and what is in them is told."""

import dataclasses
import warnings

import numpy as np
import pytest
import torch

from codec.bitstream import (
    BitstreamError,
    Copies,
    Header,
    Packet,
    Reader,
    TokenModel,
    Writer,
    describe,
    files,
    load,
    recover,
    save,
)
from codec.tokens.tokens import Tokens

SIZES, RATE, HOP = (16, *[5] * 6), 1000, 100


def make_tokens(n_frames, n_q=7):
    codes = np.random.default_rng(0).integers(0, np.array(SIZES)[:n_q, None], (n_q, n_frames))
    return Tokens(
        torch.from_numpy(codes)[None], torch.tensor([max(0, n_frames * HOP - 3)]), RATE, HOP, "00112233445566ff"
    )


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return TokenModel(SIZES, (False, *[True] * 6), (1, 5, 7), width=8, embedding=4).requires_grad_(False)


def write_sparse(path, tokens, gone, copies=None, frames_per_packet=5):
    """A file without the packets `gone`, but with their copies."""
    header = Header(SIZES, RATE, HOP, tokens.fingerprint, frames_per_packet)
    with path.open("wb") as file:
        writer = Writer(file, header, copies=copies)
        writer.write(tokens.codes[0].numpy())
        writer.close(int(tokens.n_samples[0]))
    data = path.read_bytes()
    with path.open("rb") as file:
        packets = [packet for packet in Reader(file).packets() if packet.number not in gone or len(packet.layers) == 1]
    size = int.from_bytes(data[-8:-4], "little") + 8
    path.write_bytes(header.to_bytes() + b"".join(map(Packet.to_bytes, packets)) + data[-size:])


@pytest.mark.parametrize("n_q", [1, 2, 5, 7])
@pytest.mark.parametrize("n_frames", [0, 1, 50, 103])
@pytest.mark.parametrize("with_model", [False, True])
def test_any_length_and_number_of_codebooks(tmp_path, model, n_frames, n_q, with_model):
    path, tokens, by = tmp_path / "x.c37", make_tokens(n_frames, n_q), model if with_model else None
    save(path, tokens, SIZES, by, {"synthetic": True})
    for again in (load(path, by), recover(path, by)[0]):
        assert torch.equal(again.codes, tokens.codes)
        assert dataclasses.replace(again, codes=tokens.codes, n_samples=tokens.n_samples) == dataclasses.replace(tokens)
        assert torch.equal(again.n_samples, tokens.n_samples)


def test_what_is_left_of_a_damaged_file(tmp_path, model):
    path, tokens = tmp_path / "x.c37", make_tokens(33)
    write_sparse(path, tokens, gone={0, 3})
    with pytest.raises(BitstreamError, match=r"x\.c37: packet 0 at 0\.00 s: missing"):
        load(path)
    with pytest.warns(UserWarning, match=r"x\.c37: packet 3 at 1\.50 s: missing"):
        found, received = recover(path, model)
    assert received.tolist() == 5 * [0] + 10 * [7] + 5 * [0] + 13 * [7]
    assert torch.equal(found.codes[..., received > 0], tokens.codes[..., received > 0])
    assert found.n_samples.tolist() == tokens.n_samples.tolist()


def test_copies_count_as_what_they_hold(tmp_path, model):
    path, tokens = tmp_path / "x.c37", make_tokens(33)
    write_sparse(path, tokens, gone={3}, copies=Copies(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, received = recover(path, model)
    assert received.tolist() == 15 * [7] + 5 * [1] + 13 * [7]
    assert torch.equal(found.codes[:, 0], tokens.codes[:, 0])


@pytest.mark.parametrize(
    ("gone", "message"), [(set(range(7)), "no packet is whole"), ({1, 2}, "10 frames are lost; more than 9")]
)
@pytest.mark.filterwarnings("ignore")
def test_too_little_is_left(tmp_path, monkeypatch, gone, message):
    monkeypatch.setattr(files, "MAX_LOST", 9 if len(gone) < 7 else 99)
    write_sparse(tmp_path / "x.c37", make_tokens(33), gone)
    with pytest.raises(BitstreamError, match=message):
        recover(tmp_path / "x.c37")


def test_description(tmp_path, model):
    path, tokens = tmp_path / "x.c37", make_tokens(103)
    save(path, tokens.prefix(5), SIZES, model, {"consent": "x"})
    contents = describe(path)
    assert contents.header.metadata == {"consent": "x"}
    assert contents.header.token_model == model.fingerprint()
    assert (contents.n_samples, contents.n_packets, contents.n_copies) == (10297, 3, 0)
    assert [size > 0 for size in contents.layer_bytes] == [True, True, False]
    write_sparse(path, tokens, {2}, Copies(1))
    assert describe(path).n_copies == 20


@pytest.mark.parametrize("data", [b"", b"RIFF", None])
def test_other_files_are_named(tmp_path, data):
    path = tmp_path / "x.c37"
    if data is not None:
        path.write_bytes(data)
    for read in (load, recover, describe):
        with pytest.raises(BitstreamError, match=r"x\.c37: "):
            read(path)
