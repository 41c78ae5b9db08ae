"""A tiny voice model of random weights, and token folders of random codes for it."""

from dataclasses import replace
from pathlib import Path

import torch

from codec.dataset.folder import write_index
from codec.tokenizer import Tokenizer
from codec.tokens.layout import END
from codec.tts.checkpoint import save_tts
from codec.tts.config import PRESETS
from codec.tts.model import TTSModel
from codec.tts.text.tokenizer import BPETokenizer
from train.data.pairs.dataset import Pair, PairLine, write_pairs
from train.data.tokens.shards import TokenUtterance, write_shard

TEXTS = ("one two", "three 4 five", "six", "seven", "eight nine", "...")  # the last has no words


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
    model = TTSModel(config)
    with torch.no_grad():  # channel 0 speaks for END: left to chance, speech would hardly ever end
        model.text_embedding.weight[:, 0] = 0.2
        model.audio_embedding.weight[:, 0] = 0.2 / config.num_codebooks
        model.semantic_head.weight[END, 0] = 0.5
    save_tts(folder, config, model.state_dict(), tokenizer)
    return folder


def write_tokens(folder: Path, codec: Tokenizer, codec_folder: Path) -> Path:
    """A token folder of `TEXTS`, said by two speakers in turn."""
    generator = torch.Generator().manual_seed(0)
    utterances = []
    for number, text in enumerate(TEXTS):
        codes = random_codes(codec, 6 + number, generator)
        activity = torch.full((6 + number,), 255, dtype=torch.uint8)
        speaker = "ann" if number % 2 else "bob"
        utterances.append(TokenUtterance(f"clip{number}", text, speaker, "en", 1.0, codes, activity))
    _write_index(folder, codec, codec_folder)
    write_shard(folder, 0, utterances, codec.config.num_codebooks)
    return folder


def write_random_pairs(folder: Path, codec: Tokenizer, n_pairs: int, max_move: int = 0) -> Path:
    """A folder of pairs that nobody spoke; the losers are longer, and every other one was cut.

    With `max_move` the text goes on after each frame, as the design "aligned" needs it.
    """
    generator = torch.Generator().manual_seed(1)
    pairs = []
    for number in range(n_pairs):
        sizes = [4, 5, 7]
        moves = [[max_move] * n for n in sizes[1:]] if max_move else [[], []]
        scores = {"cer": 0.0}, {"cer": 1.0}
        line = PairLine(f"clip{number}", TEXTS[number % 5], "en", sizes, number % 2 == 0, *scores, *moves)
        pairs.append(Pair(line, *(random_codes(codec, n, generator) for n in sizes)))
    _write_index(folder, codec, folder)
    write_pairs(folder, 0, pairs, codec.config.num_codebooks)
    return folder


def random_codes(codec: Tokenizer, n_frames: int, generator: torch.Generator) -> torch.Tensor:
    sizes = codec.config.codebook_sizes
    return torch.stack([torch.randint(0, n, (n_frames,), generator=generator, dtype=torch.int16) for n in sizes])


def _write_index(folder: Path, codec: Tokenizer, codec_folder: Path) -> None:
    c = codec.config
    about = {"codec": str(codec_folder), "fingerprint": codec.fingerprint, "codebook_sizes": c.codebook_sizes}
    folder.mkdir()
    write_index(folder, about | {"frame_rate": c.frame_rate, "n_shards": 1})
