"""A neural speech codec: 24 kHz speech as 12.5 frames a second of 37 tokens, streaming and exact.

Shapes in comments and docstrings: B batch, L samples, T frames or steps, D width, H heads,
K codebooks (n_q of them in use), N entries.
"""

from codec.audio.error import AudioError
from codec.checkpoint.store import CheckpointError
from codec.config import CodecConfig, preset
from codec.model import Codec, MissingEncoderError
from codec.stream import DecoderStream, EncoderStream
from codec.tokenizer import Tokenizer, load
from codec.tokens.layout import IdLayout
from codec.tokens.tokens import Tokens

__all__ = [
    "AudioError",
    "CheckpointError",
    "Codec",
    "CodecConfig",
    "DecoderStream",
    "EncoderStream",
    "IdLayout",
    "MissingEncoderError",
    "Tokenizer",
    "Tokens",
    "load",
    "preset",
]
__version__ = "0.1.0"
