"""The text tokenizer of the released Voxtral TTS, a tekken.json read by mistral-common, and ours in that form."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from codec.extras import needs
from codec.files import atomic_file
from codec.tts.text.tokenizer import BPETokenizer, SpecialIds

N_SPECIAL = 1000  # ids before those of text, as in the release
# How a BPE of ours and GPT-2 split text.
PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_SPECIAL = (  # of version 7 of the format, from 0; a reader asks for all of them
    "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]",
    "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]",
)  # fmt: skip
_SPEECH = {
    24: "[AUDIO]",
    25: "[BEGIN_AUDIO]",
    34: "[TRANSCRIBE]",
    35: "[REPEAT_AUDIO_TEXT]",
    36: "[NEXT_AUDIO_TEXT]",
}
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
        self.special = special_ids(ids)
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

    def content(self) -> dict[str, Any]:
        """What is in the file."""
        content: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        return content

    def save(self, path: Path) -> None:
        """Copy the file."""
        with atomic_file(path) as new:
            shutil.copyfile(self._path, new)


def special_ids(ids: dict[str, int]) -> SpecialIds:
    """Our markers among the special tokens of a tekken.json."""
    return SpecialIds(**{field: ids[name] for field, name in _NAMES.items()})


def as_tekken(tokenizer: BPETokenizer) -> tuple[dict[str, Any], list[int]]:
    """A BPE in the form of a tekken.json, and for each id of text, from `N_SPECIAL`, the one that it was before.

    Raises:
        ValueError: it was not trained here.
    """
    before, pieces = zip(*tokenizer.pieces(), strict=True)
    names = dict(enumerate(_SPECIAL)) | _SPEECH
    config = {
        "pattern": PATTERN,
        "num_vocab_tokens": len(pieces),
        "default_vocab_size": N_SPECIAL + len(pieces),
        "default_num_special_tokens": N_SPECIAL,
        "version": "v7",
    }
    vocab = [
        {"rank": rank, "token_bytes": base64.b64encode(piece).decode(), "token_str": None}
        for rank, piece in enumerate(pieces)
    ]
    special = [{"rank": i, "token_str": names.get(i, f"<SPECIAL_{i}>"), "is_control": True} for i in range(N_SPECIAL)]
    return {"config": config, "vocab": vocab, "special_tokens": special}, list(before)
