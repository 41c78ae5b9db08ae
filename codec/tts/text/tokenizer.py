"""Text tokenizers of the TTS: their protocol, and a byte-level BPE that can be trained."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from codec.extras import needs
from codec.files import atomic_file

with needs("tokenizers", "text to speech", "tts"):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL_TOKENS = ("<pad>", "<bos>", "<begin_audio>", "<next_text>", "<repeat>")  # of `BPETokenizer`
MIN_VOCAB_SIZE = len(SPECIAL_TOKENS) + 256


class TextError(ValueError):
    """Unusable text; the message says why."""


def check_text(text: str) -> None:
    """Check that a text has a letter or digit, in any script.

    Raises:
        TextError: it is empty, or has no letter and no digit.
    """
    if not text.strip():
        raise TextError("text: empty; give at least one word")
    if not any(c.isalnum() for c in text):
        raise TextError(
            f"text: {text[:40]!r} has no letter or digit among {len(text)} characters; give at least one word"
        )


@dataclass(frozen=True)
class SpecialIds:
    """Ids that mark the parts of a sequence; no text encodes to them."""

    bos: int
    begin_audio: int
    next_text: int  # after the voice: text follows
    repeat: int  # after the text: audio follows
    pad: int


class TextTokenizer(Protocol):
    """Text to ids 0 to `vocab_size` - 1 and back."""

    special: SpecialIds
    vocab_size: int

    def encode(self, text: str) -> list[int]:
        """Ids of the text alone, without markers."""
        ...

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Character spans (start, end) of the ids of `text`."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of these ids, without markers."""
        ...

    def save(self, path: Path) -> None:
        """Write a file to load the tokenizer from."""
        ...


class BPETokenizer:
    """Lossless byte-level BPE of any text or phonemes, by the tokenizers package.

    Args:
        tokenizer: has `SPECIAL_TOKENS` in its vocabulary.

    Raises:
        ValueError: they are missing.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        # Added tokens would match in texts; plain tokens without merges do not.
        self._tokenizer = Tokenizer.from_str(json.dumps(json.loads(tokenizer.to_str()) | {"added_tokens": []}))
        vocab = self._tokenizer.get_vocab()
        if absent := [name for name in SPECIAL_TOKENS if name not in vocab]:
            raise ValueError(f"tokenizer: no tokens {', '.join(absent)}")
        pad, bos, begin_audio, next_text, repeat = self._markers = [vocab[name] for name in SPECIAL_TOKENS]
        self.special = SpecialIds(bos, begin_audio, next_text, repeat, pad)
        self.vocab_size: int = max(vocab.values()) + 1

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> BPETokenizer:
        """Train on texts; few texts give fewer than `vocab_size` ids.

        Raises:
            ValueError: `vocab_size` is less than the markers and bytes need, 261.
        """
        if vocab_size < MIN_VOCAB_SIZE:
            raise ValueError(f"vocab_size = {vocab_size}: expected at least {MIN_VOCAB_SIZE}, 5 markers and 256 bytes")
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer)

    def encode(self, text: str) -> list[int]:
        """Encode any text; no id is special.

        Raises:
            TextError: an unpaired surrogate.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise TextError(f"text: character {error.start} is half a surrogate pair; decode the text again") from error
        return self._tokenizer.encode(text).ids

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Character spans (start, end) of the ids of `encode`; ids of the bytes of one character share it."""
        return self._tokenizer.encode(text).offsets

    def decode(self, ids: Sequence[int]) -> str:
        """Decode ids; markers are dropped, and bytes that are not UTF-8 become U+FFFD."""
        return self._tokenizer.decode([i for i in ids if i not in self._markers])

    def pieces(self) -> list[tuple[int, bytes]]:
        """Ids and their bytes, without markers, in the order in which they are merged: single bytes first.

        Raises:
            ValueError: text is not split, or not merged, as by `train`.
        """
        content = json.loads(self._tokenizer.to_str())
        vocab, split = content["model"]["vocab"], content["pre_tokenizer"] or {}
        merged = list(dict.fromkeys("".join(pair) for pair in content["model"]["merges"]))
        if content["normalizer"] or split.get("type") != "ByteLevel" or split["add_prefix_space"]:
            raise ValueError("tokenizer: one that splits text by rules of its own; expected one that was trained here")
        if merged != sorted(merged, key=vocab.__getitem__):
            raise ValueError("tokenizer: merges in another order than its ids; expected one that was trained here")
        bytes_of = _bytes_of_characters()
        ids = {bytes([byte]): vocab[character] for character, byte in bytes_of.items()}
        singles = [(ids[bytes([byte])], bytes([byte])) for byte in range(256)]
        return singles + [(vocab[piece], bytes(map(bytes_of.__getitem__, piece))) for piece in merged]

    def save(self, path: Path) -> None:
        """Write the JSON file of the tokenizers package."""
        with atomic_file(path) as new:
            self._tokenizer.save(str(new))

    @classmethod
    def load(cls, path: Path) -> BPETokenizer:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, or not a tokenizer's.
        """
        try:
            return cls(Tokenizer.from_str(path.read_text(encoding="utf-8")))
        except Exception as error:  # the package raises plain Exceptions
            raise ValueError(
                f"{path}: not a tokenizer that BPETokenizer.save wrote ({error}); copy it again"
            ) from error


def _bytes_of_characters() -> dict[str, int]:
    """The byte that each character of a byte-level vocabulary stands for: printable ones for themselves."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}
