"""A tiny voice model of random weights, and token folders of random codes for it."""

from dataclasses import replace
from pathlib import Path

import torch

from codec.tokenizer import Tokenizer
from codec.tts.checkpoint import save_tts
from codec.tts.config import PRESETS
from codec.tts.model import TTSModel
from codec.tts.text import BPETokenizer
from train.data.tokens import TokenUtterance, write_index, write_shard

TEXTS = ("one two", "three four five", "six", "seven", "eight nine", "...")  # the last has no words


def write_tts(folder: Path, codec: Tokenizer, /, seed: int = 0, **changes: object) -> Path:
    """A checkpoint folder of a model that speaks through `codec`."""
    torch.manual_seed(seed)
    tokenizer = BPETokenizer.train(TEXTS, 300)
    config = replace(
        PRESETS["tiny"],
        semantic_codebook_size=codec.config.codebook_sizes[0],
        acoustic_dim=len(codec.config.codebook_sizes) - 1,
        acoustic_levels=codec.config.codebook_sizes[1],
        vocab_size=tokenizer.vocab_size,
        codec_fingerprint=codec.fingerprint,
        **changes,
    )
    save_tts(folder, config, TTSModel(config).state_dict(), tokenizer)
    return folder


def write_tokens(folder: Path, codec: Tokenizer, codec_folder: Path) -> Path:
    """A token folder of `TEXTS`, said by two speakers in turn."""
    folder.mkdir()
    sizes = codec.config.codebook_sizes
    about = {"codec": str(codec_folder), "fingerprint": codec.fingerprint, "codebook_sizes": sizes}
    write_index(folder, about | {"frame_rate": codec.config.frame_rate, "n_shards": 1})
    generator = torch.Generator().manual_seed(0)
    utterances = []
    for number, text in enumerate(TEXTS):
        n_frames = 6 + number
        rows = [torch.randint(0, size, (n_frames,), generator=generator, dtype=torch.int16) for size in sizes]
        activity = torch.full((n_frames,), 255, dtype=torch.uint8)
        speaker = "ann" if number % 2 else "bob"
        utterances.append(TokenUtterance(f"clip{number}", text, speaker, "en", 1.0, torch.stack(rows), activity))
    write_shard(folder, 0, utterances, len(sizes))
    return folder
