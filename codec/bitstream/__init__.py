"""The file and packet format `.c37`; `docs/bitstream.md` describes it byte by byte."""

from codec.bitstream.concealment import conceal, fade
from codec.bitstream.files import describe, load, recover, save
from codec.bitstream.header import BitstreamError, Header
from codec.bitstream.packet import Packet, drop_layers
from codec.bitstream.reader import Loss, Reader
from codec.bitstream.token_model import TokenModel
from codec.bitstream.writer import Copies, Writer

__all__ = [
    "BitstreamError",
    "Copies",
    "Header",
    "Loss",
    "Packet",
    "Reader",
    "TokenModel",
    "Writer",
    "conceal",
    "describe",
    "drop_layers",
    "fade",
    "load",
    "recover",
    "save",
]
