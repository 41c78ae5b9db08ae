"""Recordings to shards of codes, by many processes: `tokenize`, and `read_shards`."""

from codec.dataset.config import TokenizeConfig
from codec.dataset.formats import TokenRow
from codec.dataset.run import Summary, read_shards, tokenize

__all__ = ["Summary", "TokenRow", "TokenizeConfig", "read_shards", "tokenize"]
