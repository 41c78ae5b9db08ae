"""The same batches from any start, with any number of workers, cut over any number of ranks."""

import multiprocessing
import os
import signal
from itertools import islice
from pathlib import Path

import pytest
import torch

from codec.audio.io import AudioError
from codec.recordings.manifest import read_manifest
from codec.recordings.utterance import Utterance
from train.data.audio.augment import AugmentConfig
from train.data.audio.crops import CropDataset, DataConfig
from train.data.loader import make_loader, valid_clips

DATA = Path(__file__).parents[2] / "data"


def take(n, batch_size=4, start_batch=0, rank=0, world_size=1, num_workers=0):
    config = DataConfig("unused", crop_s=0.8, augment=AugmentConfig(noise_prob=0.5))
    dataset = CropDataset(read_manifest(DATA), 24_000, 1_920, config, seed=3)
    batches = make_loader(dataset, batch_size, start_batch, rank, world_size, num_workers)
    taken = list(islice(batches, n))
    batches.close()
    return taken


def assert_same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.waveform, b.waveform)
        assert torch.equal(a.lengths, b.lengths)
        assert (a.texts, a.n_skipped) == (b.texts, b.n_skipped)


def test_resumes_at_any_batch():
    whole = take(9)
    for start in (1, 4, 8):
        assert_same(take(9 - start, start_batch=start), whole[start:])


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_change_nothing(num_workers):
    assert_same(take(5, start_batch=2, num_workers=num_workers), take(7)[2:])
    assert not multiprocessing.active_children()


def test_ranks_share_the_global_batch():
    ranks = [take(4, rank=rank, world_size=2) for rank in range(2)]
    for first, second, whole in zip(*ranks, take(4), strict=True):
        assert torch.equal(torch.cat([first.waveform, second.waveform]), whole.waveform)


def test_an_error_in_a_worker_arrives():
    dataset = CropDataset([Utterance("missing.wav")], 24_000, 1_920, DataConfig("unused"), seed=0)
    with pytest.raises(AudioError, match="20 files in a row"):
        next(make_loader(dataset, 2, 0, num_workers=1))
    assert not multiprocessing.active_children()


def test_a_dead_worker_is_an_error():
    dataset = CropDataset(read_manifest(DATA), 24_000, 1_920, DataConfig("unused", crop_s=0.8), seed=0)
    batches = make_loader(dataset, 2, 0, num_workers=1)
    next(batches)
    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="worker"):
        list(islice(batches, 50))
    batches.close()
    assert not multiprocessing.active_children()


def test_workers_outlive_signals_to_the_group():
    dataset = CropDataset(read_manifest(DATA), 24_000, 1_920, DataConfig("unused", crop_s=0.8), seed=0)
    batches = make_loader(dataset, 2, 0, num_workers=1)
    next(batches)
    (worker,) = multiprocessing.active_children()
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(worker.pid, number)
    assert len(list(islice(batches, 20))) == 20
    batches.close()
    assert not multiprocessing.active_children()


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"data\.batch_size = 4: expected a multiple of the 3 processes"):
        take(1, world_size=3)
    with pytest.raises(ValueError, match="rank = 2"):
        take(1, rank=2, world_size=2)
    with pytest.raises(ValueError, match="start_batch = -1"):
        take(1, start_batch=-1)


def test_valid_clips_are_evenly_spread_and_cut():
    clips = valid_clips(DATA, 24_000, 2, 1.5)
    assert [clip.name for clip in clips] == ["00_flemishguy", "01_kerstin"]
    assert all(clip.waveform.shape == (36_000,) and clip.waveform.dtype == torch.float32 for clip in clips)
    assert len(valid_clips(DATA, 16_000, 9, 60)) == 3
