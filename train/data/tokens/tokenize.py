"""`python -m train.data.tokens.tokenize SOURCE --out OUT`: encode recordings to token shards, once for all runs.

A killed run resumes after its last complete shard.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor
from tqdm import tqdm

from codec.audio.io import AudioError
from codec.dataset.encoding import check_int16, encode_windows, split_by_size
from codec.dataset.folder import describe, open_folder, read_source
from codec.recordings.media import read_recording
from codec.recordings.utterance import Utterance
from codec.settings import DEFAULT, AtLeast1, Seconds, Settings, require
from codec.tokenizer import Tokenizer, load
from eval.command import command, reports_errors
from eval.progress import progress
from train.data.audio.activity import frame_activity, load_detector
from train.data.audio.augment import change_speed
from train.data.tokens.shards import (
    COMMAND,
    TokenUtterance,
    has_shard,
    read_lines,
    write_shard,
)

Activity = Literal["silero", "none"]
MIN_SPEED, MAX_SPEED = 0.5, 2.0


@dataclass(frozen=True)
class TokenizeConfig(Settings):
    """Settings of the encoding; all but `device` and `batch_seconds` determine the contents of the shards."""

    codec: str = DEFAULT  # anything that `codec.load` takes
    speeds: tuple[float, ...] = (1.0,)  # each recording is encoded at each of them
    activity: Activity = "silero"  # "none": every frame counts as speech
    shard_frames: AtLeast1 = 250_000  # largest size, over all speeds, by the durations in the manifest
    batch_seconds: Seconds = 60.0  # of audio, padding included
    device: str = "cpu"

    def __post_init__(self) -> None:
        super().__post_init__()
        good = len(set(self.speeds)) == len(self.speeds) > 0
        require(good, "speeds", list(self.speeds), "one or more, all different")
        good = all(MIN_SPEED <= speed <= MAX_SPEED for speed in self.speeds)
        require(good, "speeds", list(self.speeds), f"{MIN_SPEED:g} to {MAX_SPEED:g}")

    def planned_s(self, utterance: Utterance) -> float:
        """Seconds over all speeds, by the manifest."""
        return (utterance.duration_s or 0.0) * sum(1 / speed for speed in self.speeds)


def write_tokens(source: str | Path, out: Path, config: TokenizeConfig) -> tuple[int, int]:
    """Encode the recordings of a manifest, folder or tar shard that `out` lacks.

    Prints unreadable recordings to stderr. A recording longer than a shard gets its own.
    Returns the numbers of recordings encoded and left out, over all runs.

    Raises:
        ValueError: an empty `source`, no such codec, or `out` was made from another source, codec or settings.
        MissingEncoderError: the codec has no encoder.
        MissingDependencyError: the package for voice activity is not installed.
    """
    if config.activity == "silero":
        load_detector()
    tokenizer = load(config.codec, config.device)
    tokenizer.model.encoder  # noqa: B018  raises if it is missing
    check_int16(tokenizer)
    utterances = read_source(source)
    shards = list(split_by_size(utterances, config.planned_s, config.shard_frames / tokenizer.config.frame_rate))
    open_folder(out, _index(tokenizer, config, utterances, len(shards)), ".safetensors", COMMAND)
    left = {number: shard for number, shard in enumerate(shards) if not has_shard(out, number)}
    total = sum(map(config.planned_s, utterances))
    done = total - sum(map(config.planned_s, chain(*left.values())))
    with progress(total=total, initial=done, desc="encoding", unit="s", unit_scale=True) as bar:
        for number, shard in left.items():
            encoded = list(_encode(shard, tokenizer, config, bar))
            write_shard(out, number, encoded, len(tokenizer.config.codebook_sizes))
    n_encoded = sum(len(read_lines(out, number)) for number in range(len(shards))) // len(config.speeds)
    return n_encoded, len(utterances) - n_encoded


class _Clip(NamedTuple):
    utterance: Utterance
    speed: float
    waveform: Tensor  # [L] float32, at that speed
    activity: Tensor  # [T] uint8


def _index(tokenizer: Tokenizer, config: TokenizeConfig, utterances: list[Utterance], n_shards: int) -> dict[str, Any]:
    """Contents of `index.json`: runs with the same index write the same shards."""
    return {
        "codec": str(config.codec),
        "speeds": config.speeds,
        "activity": config.activity,
        "shard_frames": config.shard_frames,
        **describe(tokenizer, utterances, n_shards),
    }


def _encode(
    utterances: list[Utterance], tokenizer: Tokenizer, config: TokenizeConfig, bar: tqdm
) -> Iterator[TokenUtterance]:
    """Encode utterances at all speeds, in order, without unreadable ones."""
    c = tokenizer.config
    read = partial(_read, config=config, sample_rate=c.sample_rate, hop_length=c.hop_length)
    for window in encode_windows(utterances, config.planned_s, read, tokenizer, config.batch_seconds):
        for _, error in window.errors:
            tqdm.write(f"left out: {error}", file=sys.stderr)
        for (u, speed, _, activity), codes in window.clips:
            speaker = u.speaker
            if speaker is not None and speed != 1:
                speaker = f"{speaker}@{speed:g}"  # pitch and tempo change the voice
            yield TokenUtterance(u.id, u.text, speaker, u.language, speed, codes, activity)
        bar.update(sum(map(config.planned_s, window.items)))


def _read(utterance: Utterance, config: TokenizeConfig, sample_rate: int, hop_length: int) -> list[_Clip]:
    """Read a recording at all speeds."""
    samples = read_recording(utterance.path, sample_rate).numpy()
    versions = [change_speed(samples, speed, sample_rate) for speed in config.speeds]
    if not all(map(len, versions)):
        raise AudioError(f"{utterance.path}: too short: {len(samples)} samples")
    clips = []
    for speed, version in zip(config.speeds, versions, strict=True):
        waveform = torch.from_numpy(version)
        if config.activity == "silero":
            activity = (frame_activity(waveform, sample_rate, hop_length) * 255).round().to(torch.uint8)
        else:
            activity = torch.full((-(-len(waveform) // hop_length),), 255, dtype=torch.uint8)
        clips.append(_Clip(utterance, speed, waveform, activity))
    return clips


@reports_errors
def main() -> int:
    shared = {"out": "folder of the shards", "device": "device of the codec"}
    parser = command("train.data.tokens.tokenize", __doc__, **shared)
    parser.add_argument("source", help="recordings in any form of docs/data.md")
    parser.add_argument("--codec", default=DEFAULT, help="checkpoint folder, hub id or preset")
    parser.add_argument("--batch-seconds", type=float, default=60.0, help="seconds of audio per batch")
    parser.add_argument("--shard-frames", type=int, default=250_000, help="largest size of a shard in frames")
    parser.add_argument("--speeds", type=float, nargs="+", default=[1.0], help="speeds to encode each recording at")
    parser.add_argument("--activity", default="silero", choices=get_args(Activity), help="voice activity detector")
    args = vars(parser.parse_args())
    source, out = args.pop("source"), args.pop("out")
    config = TokenizeConfig(**args)
    n_encoded, n_left_out = write_tokens(source, out, config)
    print(f"{n_encoded} recordings encoded in {out}, {n_left_out} left out")
    return 0 if n_encoded else 1


if __name__ == "__main__":
    sys.exit(main())
