"""A small folder of token shards, whose frames depend on the text, so that there is something to learn."""

from itertools import pairwise
from pathlib import Path

import torch

from codec.dataset.folder import write_index
from codec.tts.config import PRESETS
from train.data.tokens.alignment import INDEX, Alignment, write_alignments
from train.data.tokens.shards import TokenSet, TokenUtterance, write_shard

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
    align_evenly(folder)
    return folder


def align_evenly(folder: Path) -> None:
    """Alignments of the one shard of a folder in which all characters of a text last about as long."""
    alignments = []
    for line in TokenSet(folder).lines:
        n = len(line.text or "")
        edges = [i * line.n_frames // n for i in range(n + 1)] if n else []
        alignments.append(Alignment(line.text, [b - a for a, b in pairwise(edges)]) if line.text else None)
    write_alignments(folder, 0, alignments)
    write_index(folder, {"phonemes": False, "n_shards": 1}, INDEX)
