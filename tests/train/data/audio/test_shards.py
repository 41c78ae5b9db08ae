"""Shards: what goes in comes out, in pieces of the size asked for."""

from pathlib import Path

import numpy as np
import pytest

from codec.recordings.manifest import read_manifest
from codec.recordings.media import open_recording
from train.data.audio.shards import write_shards

CLIPS = Path(__file__).parents[3] / "data"


def test_shards_hold_the_recordings_and_their_labels(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for clip in CLIPS.glob("*.flac"):
        (source / clip.name).symlink_to(clip)
    (source / "kathleen.txt").write_text("some words")
    shards = write_shards(source, tmp_path / "shards", kbps=64, shard_mb=0.03)
    assert len(shards) == 3  # each clip is larger
    before, after = read_manifest(source), read_manifest(tmp_path / "shards")
    assert sorted(u.text or "" for u in after) == ["", "", "some words"]
    for a, b in zip(before, after, strict=True):
        with open_recording(a.path, 24_000) as original, open_recording(b.path, 24_000) as copy:
            assert copy.n_samples == original.n_samples
            x, y = (r.read(0, r.n_samples) for r in (original, copy))
        assert np.corrcoef(x, y)[0, 1] > 0.98


def test_one_shard_if_it_fits_and_less_at_a_lower_rate(tmp_path):
    large, small = (write_shards(CLIPS, tmp_path / str(kbps), kbps, 100) for kbps in (64, 12))
    assert len(large) == len(small) == 1
    assert small[0].stat().st_size < 0.5 * large[0].stat().st_size


def test_damaged_recordings_are_left_out_and_named(tmp_path, capsys):
    (tmp_path / "good.flac").symlink_to(CLIPS / "kathleen.flac")
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"path": "good.flac", "duration_s": 1}\n{"path": "absent.flac", "duration_s": 1}\n')
    (shard,) = write_shards(manifest, tmp_path / "shards", 32, 100)
    assert len(read_manifest(shard)) == 1
    assert "absent.flac" in capsys.readouterr().err


@pytest.mark.parametrize(("kbps", "shard_mb"), [(1, 10), (32, 0)])
def test_bad_settings(tmp_path, kbps, shard_mb):
    with pytest.raises(ValueError, match=r"kbps|shard_mb"):
        write_shards(CLIPS, tmp_path, kbps, shard_mb)
