"""A neural speech codec: 24 kHz speech as 12.5 frames a second of 37 tokens, streaming and exact.

Shapes in comments and docstrings: B batch, L samples, T frames or steps, D width, H heads,
K codebooks (n_q of them in use), N entries.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codec.audio.error import AudioError
    from codec.checkpoint.store import CheckpointError
    from codec.config import CodecConfig, preset
    from codec.model import Codec, MissingEncoderError
    from codec.stream import DecoderStream, EncoderStream
    from codec.tokenizer import Tokenizer, load
    from codec.tokens.layout import IdLayout
    from codec.tokens.tokens import Tokens
else:
    from codec.lazy import lazy

    # As above, imported on first access, as torch takes seconds.
    __getattr__, __dir__ = lazy(
        globals(),
        {
            "audio.error": ["AudioError"],
            "checkpoint.store": ["CheckpointError"],
            "config": ["CodecConfig", "preset"],
            "model": ["Codec", "MissingEncoderError"],
            "stream": ["DecoderStream", "EncoderStream"],
            "tokenizer": ["Tokenizer", "load"],
            "tokens.layout": ["IdLayout"],
            "tokens.tokens": ["Tokens"],
        },
    )

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
