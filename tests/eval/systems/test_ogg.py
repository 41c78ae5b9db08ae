"""Packets of Ogg files, written by hand and by libsndfile."""

import io

import numpy as np
import pytest
import soundfile

from eval.systems.ogg import packet_sizes, payload_bits


def page(*segments: int) -> bytes:
    return b"OggS" + bytes(22) + bytes([len(segments), *segments]) + bytes(sum(segments))


def test_packets_span_segments_and_pages():
    data = page(19) + page(255, 255) + page(10, 6, 255, 0) + page(0)
    assert packet_sizes(data) == [19, 520, 6, 255, 0]
    assert payload_bits(data, 2) == 8 * 261


def test_opus_of_libsndfile():
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(0).standard_normal(48_000) * 0.1, 48_000, format="OGG", subtype="OPUS")
    sizes = packet_sizes(file.getvalue())
    assert sizes[0] == 19  # OpusHead
    assert 50 <= len(sizes) - 2 <= 52  # 20 ms each, and the decoder's delay
    assert 0.7 * len(file.getvalue()) < sum(sizes) < len(file.getvalue())


@pytest.mark.parametrize("data", [b"", b"RIFFxxxx", page(19)[:-1], page(255), page(19) + b"OggS"])
def test_damaged_files(data):
    with pytest.raises(ValueError, match="Ogg"):
        packet_sizes(data)
