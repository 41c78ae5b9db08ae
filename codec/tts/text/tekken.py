"""The text tokenizer of the released Voxtral TTS: a tekken.json file, read by mistral-common."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from codec.extras import needs
from codec.files import atomic_file
from codec.tts.text.tokenizer import SpecialIds

_NAMES = {
    "bos": "<s>",
    "begin_audio": "[BEGIN_AUDIO]",
    "next_text": "[NEXT_AUDIO_TEXT]",
    "repeat": "[REPEAT_AUDIO_TEXT]",
    "pad": "<pad>",
}


class TekkenTokenizer:
    """A `TextTokenizer` for the released model.

    Args:
        path: its tekken.json.

    Raises:
        MissingDependencyError: mistral-common is not installed.
        ValueError: no such file, a damaged one, or one of a model without speech.
    """

    def __init__(self, path: Path) -> None:
        with needs("mistral-common", "tekken.json", "voxtral"):
            from mistral_common.tokens.tokenizers.tekken import SpecialTokenPolicy, Tekkenizer, TokenizerVersion
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            config = content["config"]
            # Not `Tekkenizer.from_file`, which fails on the fields about audio in many versions.
            self._tokenizer = Tekkenizer(
                content["vocab"],
                content["special_tokens"],
                config["pattern"],
                config["default_vocab_size"],
                config["default_num_special_tokens"],
                TokenizerVersion(config["version"]),
            )
            ids = {token["token_str"]: token["rank"] for token in content["special_tokens"]}
        except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
            raise ValueError(f"{path}: not a tekken.json, or a damaged one ({error!r}); copy it again") from error
        if absent := [name for name in _NAMES.values() if name not in ids]:
            raise ValueError(f"{path}: no special tokens {', '.join(absent)}; use the tekken.json of Voxtral TTS")
        self._path, self._policy = path, SpecialTokenPolicy.IGNORE
        self.special = SpecialIds(**{field: ids[name] for field, name in _NAMES.items()})
        self.vocab_size: int = self._tokenizer.n_words

    def encode(self, text: str) -> list[int]:
        """Encode any text; no id is special."""
        return self._tokenizer.encode(text, bos=False, eos=False)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Character spans (start, end) of the ids of `encode`; ids of the bytes of one character share it."""
        owner = [place for place, character in enumerate(text) for _ in character.encode()]  # of each byte
        ends = list(accumulate(len(self._tokenizer.id_to_byte_piece(i, self._policy)) for i in self.encode(text)))
        return [(owner[start], owner[end - 1] + 1) for start, end in zip([0, *ends], ends, strict=False)]

    def decode(self, ids: Sequence[int]) -> str:
        """Decode ids; special ones are dropped."""
        return self._tokenizer.decode(list(ids), special_token_policy=self._policy)

    def save(self, path: Path) -> None:
        """Copy the file."""
        with atomic_file(path) as new:
            shutil.copyfile(self._path, new)
