"""Streams: what is written comes back, in pieces and after damage, and what is lost is named."""

import io
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.bitstream import BitstreamError, Copies, Header, Loss, Packet, Reader, Writer, drop_layers
from codec.bitstream.radix import n_bytes, pack, unpack
from codec.bitstream.reader import Frames

SIZES = (64, 5, 5, 5)
HOP = 100


class Pipe(io.RawIOBase):
    """Bytes that arrive a few at a time and cannot be sought in."""

    def __init__(self, data, step):
        self.data, self.step = data, step

    def readable(self):
        return True

    def read(self, n=-1):
        block, self.data = self.data[:n], self.data[n:]
        return block

    def read1(self, n=-1):
        return self.read(min(self.step, n))


def make_codes(sizes, n_frames, seed=0):
    return np.random.default_rng(seed).integers(0, np.array(sizes)[:, None], (len(sizes), n_frames))


def write(codes, header, n_samples=None):
    file = io.BytesIO()
    writer = Writer(file, header)
    for part in np.array_split(codes, 3, axis=1):
        writer.write(part)
    writer.close(codes.shape[1] * header.hop_length if n_samples is None else n_samples)
    return file.getvalue()


def packets(data, header):
    """The pieces of a stream: the header, every packet, the end."""
    sizes = Reader(io.BytesIO(data))._index(Packet.parse(data[-last(data) - 8 :])[0])
    ends = list(accumulate((len(header.to_bytes()), *sizes)))
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


def last(data):
    return int.from_bytes(data[-8:-4], "little")


@pytest.fixture
def header():
    return Header(SIZES, 1000, HOP, "00112233445566ff", 4, (1, 3, 4), {"synthetic": True})


@settings(deadline=None)
@given(
    st.lists(st.integers(2, 9000), min_size=1, max_size=5),
    st.integers(0, 9),
    st.integers(1, 4),
    st.integers(0, HOP - 1),
    st.integers(1, 40),
)
def test_what_is_written_comes_back(sizes, n_frames, frames_per_packet, missing, step):
    header = Header(tuple(sizes), 1000, HOP, "", frames_per_packet, metadata={"note": "ä"})
    codes, n_samples = make_codes(sizes, n_frames), max(0, n_frames * HOP - missing)
    reader = Reader(Pipe(write(codes, header, n_samples), step))
    items = list(reader)
    assert reader.header == header
    assert all(isinstance(item, Frames) for item in items)
    assert [item.start for item in items] == list(range(0, n_frames, frames_per_packet))
    np.testing.assert_array_equal(np.concatenate([codes[:, :0], *(item.codes for item in items)], axis=1), codes)
    assert reader.n_samples == n_samples


@settings(deadline=None)
@given(st.lists(st.integers(2, 2**20), min_size=1, max_size=8), st.integers(1, 30))
def test_mixed_radix_is_as_short_as_it_can_be(sizes, n_frames):
    codes = make_codes(sizes, n_frames)
    data = pack(codes, sizes)
    assert len(data) == n_bytes(sizes, n_frames) <= np.log2(sizes).sum() * n_frames / 8 + 1
    np.testing.assert_array_equal(unpack(data, sizes, n_frames), codes)


@settings(deadline=None)
@given(st.data())
def test_a_flipped_bit_costs_its_packet_alone(data):
    header = Header(SIZES, 1000, HOP, "", 4, (1, 3, 4))
    codes = make_codes(SIZES, 18)
    whole = write(codes, header)
    start = len(header.to_bytes())
    bit = data.draw(st.integers(8 * start, 8 * (len(whole) - last(whole) - 8) - 1))
    broken = bytearray(whole)
    broken[bit // 8] ^= 1 << bit % 8
    reader = Reader(io.BytesIO(bytes(broken)))
    items = list(reader)
    (loss,) = (item for item in items if isinstance(item, Loss))
    number = loss.start // 4
    assert f"packet {number} at {loss.start / 10:.2f} s" in loss.reason
    for item in items:
        if isinstance(item, Frames):
            np.testing.assert_array_equal(item.codes, codes[:, item.start : item.start + 4])
    assert sum(item.n_frames if isinstance(item, Loss) else item.codes.shape[1] for item in items) == 18
    assert reader.n_samples == 1800


@pytest.mark.parametrize(
    ("gone", "named"), [([1], "packet 1 at 0.40 s: missing"), ([0, 1], "packet 0 to 1"), ([4], "packet 4")]
)
def test_a_missing_packet_is_named(header, gone, named):
    codes = make_codes(SIZES, 18)
    head, *body = packets(write(codes, header), header)
    items = list(Reader(io.BytesIO(head + b"".join(p for i, p in enumerate(body) if i not in gone))))
    (loss,) = (item for item in items if isinstance(item, Loss))
    assert named in loss.reason
    assert loss.start == 4 * gone[0]
    assert loss.n_frames == min(18, 4 * (gone[-1] + 1)) - loss.start


def test_packets_that_come_twice_count_once(header):
    codes = make_codes(SIZES, 18)
    head, first, *rest = packets(write(codes, header), header)
    items = list(Reader(io.BytesIO(head + first + first + b"".join(rest))))
    np.testing.assert_array_equal(np.concatenate([item.codes for item in items], axis=1), codes)


def test_a_stream_that_is_cut_says_where(header):
    data = write(make_codes(SIZES, 18), header)
    reader = Reader(io.BytesIO(data[: len(data) // 2]))
    *frames, loss = reader
    assert loss.n_frames == 0
    assert f"packet {len(frames)} at {0.4 * len(frames):.2f} s: the stream is cut there" == loss.reason
    assert reader.n_samples is None


def test_a_relay_drops_layers_without_decoding(header):
    codes = make_codes(SIZES, 18)
    head, *body, end = packets(write(codes, header), header)
    data = head + b"".join(drop_layers(packet, 2) for packet in body) + drop_layers(end[:-8], 2)
    got = np.concatenate([item.codes for item in Reader(io.BytesIO(data))], axis=1)
    np.testing.assert_array_equal(got, codes[:3])
    with pytest.raises(ValueError, match="n_layers = 0"):
        drop_layers(body[0], 0)


def test_codebooks_up_to_the_end_of_a_layer_are_enough(header):
    codes = make_codes(SIZES, 18)[:3]
    got = list(Reader(io.BytesIO(write(codes, header))))
    np.testing.assert_array_equal(np.concatenate([item.codes for item in got], axis=1), codes)


@pytest.mark.parametrize("distance", [1, 2])
def test_copies_stand_in_for_lost_packets(header, distance):
    """A reader that waits finds what the copy holds; one that does not reads the stream as before."""
    codes, file = make_codes(SIZES, 18), io.BytesIO()
    writer = Writer(file, header, copies=Copies(2, distance))
    writer.write(codes)
    writer.close(1800)
    found = list(Reader(io.BytesIO(file.getvalue())).packets())
    assert sorted(packet.number for packet in found) == sorted(2 * list(range(5)))
    sent = [packet.to_bytes() for packet in found if not (packet.number == 1 and len(packet.layers) == 3)]
    data = header.to_bytes() + b"".join(sent) + file.getvalue()[-last(file.getvalue()) - 8 :]
    patient = list(Reader(io.BytesIO(data), wait=distance))
    assert [item.start for item in patient] == [0, 4, 8, 12, 16]
    for item in patient:
        n_q = 3 if item.start == 4 else 4
        np.testing.assert_array_equal(item.codes, codes[:n_q, item.start : item.start + 4])
    hasty = list(Reader(io.BytesIO(data)))
    assert [item.start for item in hasty if isinstance(item, Loss)] == [4]
    assert Reader(io.BytesIO(file.getvalue())).seek(0.8) == 8


def test_packets_in_another_order_are_sorted_by_a_reader_that_waits(header):
    codes = make_codes(SIZES, 18)
    head, *body, end = packets(write(codes, header), header)
    mixed = [body[i] for i in (1, 0, 3, 2, 4)]
    got = list(Reader(io.BytesIO(head + b"".join(mixed) + end), wait=1))
    np.testing.assert_array_equal(np.concatenate([item.codes for item in got], axis=1), codes)


def test_a_number_far_ahead_is_damage(header):
    codes = make_codes(SIZES, 18)
    head, *body, end = packets(write(codes, header), header)
    far = Packet(10**12, 4, Packet.parse(body[0])[0].layers).to_bytes()
    got = list(Reader(io.BytesIO(head + body[0] + far + b"".join(body[1:]) + end)))
    np.testing.assert_array_equal(np.concatenate([item.codes for item in got], axis=1), codes)


@pytest.mark.parametrize(("seconds", "start"), [(0.0, 0), (0.39, 0), (0.4, 4), (1.7, 16), (99.0, 20)])
def test_seek(header, seconds, start):
    codes = make_codes(SIZES, 18)
    reader = Reader(io.BytesIO(write(codes, header, 1750)))
    list(reader)
    assert reader.seek(seconds) == start
    assert reader.n_samples == 1750
    got = np.concatenate([codes[:, :0], *(item.codes for item in reader)], axis=1)
    np.testing.assert_array_equal(got, codes[:, start:])


def test_seeking_needs_the_end(header):
    data = write(make_codes(SIZES, 18), header)
    with pytest.raises(BitstreamError, match="no index at the end"):
        Reader(io.BytesIO(data[:-1])).seek(0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "starts with b''; expected"),
        (b"RIFF....WAVE", "starts with b'RIFF..'; expected"),
        (b"\x89C37\r\n\x09", "version 9 of the format"),
    ],
)
def test_other_files_are_refused(data, message):
    with pytest.raises(BitstreamError, match=message):
        Reader(io.BytesIO(data))


def test_a_damaged_header_is_refused(header):
    data = bytearray(header.to_bytes())
    data[30] ^= 1
    with pytest.raises(BitstreamError, match="header is cut or damaged"):
        Reader(io.BytesIO(bytes(data)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("codebook_sizes", ()),
        ("codebook_sizes", (1,)),
        ("sample_rate", 0),
        ("hop_length", 2**16),
        ("fingerprint", "xyz"),
        ("frames_per_packet", 0),
        ("layer_ends", (2, 1, 4)),
        ("layer_ends", (1, 2)),
    ],
)
def test_what_the_format_cannot_hold_is_named(field, value):
    good = {"codebook_sizes": SIZES, "sample_rate": 1000, "hop_length": HOP}
    with pytest.raises(ValueError, match=field):
        Header(**{**good, field: value})


def test_codes_that_do_not_fit_are_refused(header):
    writer = Writer(io.BytesIO(), header)
    with pytest.raises(ValueError, match=r"codes\[1, 0\] = 5: expected 0 to 4"):
        writer.write(np.array([[0], [5], [0], [0]]))
    for n_q in (2, 5):
        with pytest.raises(ValueError, match=rf"shape \({n_q}, 1\); expected \[n_q, T\], the same n_q of \(1, 3, 4\)"):
            Writer(io.BytesIO(), header).write(np.zeros((n_q, 1), int))
    with pytest.raises(ValueError, match="n_samples = 1"):
        writer.close(1)
