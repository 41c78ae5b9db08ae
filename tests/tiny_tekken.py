"""The content of a small tekken.json in the released format."""

import base64
from typing import Any

NAMES = {1: "<s>", 2: "</s>", 11: "<pad>", 24: "[AUDIO]", 25: "[BEGIN_AUDIO]"}
SPEECH = {35: "[REPEAT_AUDIO_TEXT]", 36: "[NEXT_AUDIO_TEXT]"}
PIECES = [bytes([i]) for i in range(256)] + [b"th", b"the", b" the", b"unused"]
VOICES = {"sampling_rate": 24_000, "frame_rate": 12.5, "voice_num_audio_tokens": {"casual_male": 147}}


def tekken_content(n_special: int = 1_000) -> dict[str, Any]:
    """`n_special` special ids, then one for each of `PIECES` but the last."""
    names = NAMES | SPEECH
    return {
        "config": {
            "pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
            "num_vocab_tokens": len(PIECES),
            "default_vocab_size": n_special + len(PIECES) - 1,  # as released: fewer than the list has
            "default_num_special_tokens": n_special,
            "version": "v7",
        },
        "vocab": [
            {"rank": rank, "token_bytes": base64.b64encode(piece).decode(), "token_str": None}
            for rank, piece in enumerate(PIECES)
        ],
        "special_tokens": [
            {"rank": i, "token_str": names.get(i, f"<SPECIAL_{i}>"), "is_control": True} for i in range(n_special)
        ],
        "audio": VOICES,
    }
