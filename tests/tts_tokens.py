"""A small folder of token shards, whose frames depend on the text, so that there is something to learn."""

from pathlib import Path

import torch

from codec.tts.config import PRESETS
from train.data.tokens import TokenUtterance, write_index, write_shard

TEXTS = ["the quick brown fox", "a lazy dog", "over and over again", "jumps", "the fox sleeps"]


def write_tokens(folder: Path) -> Path:
    """Two speakers who say five texts each, in frames of the tiny codec."""
    sizes = PRESETS["tiny"].codebook_sizes
    utterances = []
    for s, speaker in enumerate(("ann", "bob")):
        for i, text in enumerate(TEXTS):
            letters = torch.tensor([ord(c) for c in text])
            codes = torch.stack([(letters * (k + 1) + s) % size for k, size in enumerate(sizes)]).to(torch.int16)
            activity = torch.full((len(letters),), 255, dtype=torch.uint8)
            utterances.append(TokenUtterance(f"{speaker}{i}", text, speaker, "en", 1.0, codes, activity))
    write_shard(folder, 0, utterances, len(sizes))
    index = {"codec": "tiny", "fingerprint": "", "codebook_sizes": sizes, "frame_rate": 12.5, "n_shards": 1}
    write_index(folder, index)
    return folder
