"""Settings of the tokenizing of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from codec.settings import DEFAULT, Seconds, Settings, require

Format = Literal["parquet", "webdataset"]
Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class TokenizeConfig(Settings):
    """What determines the contents of the shards, and `device`, which changes them by rounding at most."""

    model: str = DEFAULT  # anything that `codec.load` takes
    format: Format = "parquet"
    shard_hours: float = 1.0  # largest length of a shard, by the durations of the source
    batch_seconds: Seconds = 60.0  # of audio, padding included
    dtype: Precision = "float32"  # of the weights
    device: str = "cpu"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.shard_hours > 0, "shard_hours", self.shard_hours, "hours above 0")
