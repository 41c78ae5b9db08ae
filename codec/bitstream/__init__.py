"""The file and packet format `.c37`; `docs/bitstream.md` describes it byte by byte."""

from codec.bitstream.files import describe, load, save
from codec.bitstream.header import BitstreamError, Header
from codec.bitstream.packet import Packet, drop_layers
from codec.bitstream.reader import Loss, Reader
from codec.bitstream.token_model import TokenModel
from codec.bitstream.writer import Writer

__all__ = [
    "BitstreamError",
    "Header",
    "Loss",
    "Packet",
    "Reader",
    "TokenModel",
    "Writer",
    "describe",
    "drop_layers",
    "load",
    "save",
]
