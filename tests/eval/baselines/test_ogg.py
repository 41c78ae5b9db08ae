"""Packets of Ogg files, written by hand and by libsndfile."""

import numpy as np
import pytest
import soundfile

from eval.baselines.ogg import packet_sizes, payload_bits


def page(*segments: int) -> bytes:
    return b"OggS" + bytes(22) + bytes([len(segments), *segments]) + bytes(sum(segments))


def test_packets_span_segments_and_pages(tmp_path):
    path = tmp_path / "x.ogg"
    path.write_bytes(page(19) + page(255, 255) + page(10, 6, 255, 0) + page(0))
    assert packet_sizes(path) == [19, 520, 6, 255, 0]
    assert payload_bits(path, 2) == 8 * 261


def test_opus_of_libsndfile(tmp_path):
    path = tmp_path / "x.opus"
    soundfile.write(path, np.random.default_rng(0).standard_normal(48_000) * 0.1, 48_000, format="OGG", subtype="OPUS")
    sizes = packet_sizes(path)
    assert sizes[0] == 19  # OpusHead
    assert 50 <= len(sizes) - 2 <= 52  # 20 ms each, and the decoder's delay
    assert 0.7 * path.stat().st_size < sum(sizes) < path.stat().st_size


@pytest.mark.parametrize("data", [b"", b"RIFFxxxx", page(19)[:-1], page(255), page(19) + b"OggS"])
def test_damaged_files(tmp_path, data):
    path = tmp_path / "x.ogg"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"x\.ogg"):
        packet_sizes(path)
