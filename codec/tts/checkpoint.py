"""TTS checkpoints: folders with `config.json`, `model.safetensors` and a tokenizer."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from codec.checkpoint import voxtral, voxtral_tts
from codec.checkpoint.hub import resolve
from codec.checkpoint.store import CheckpointError, check_tensors, read_checkpoint, write_checkpoint
from codec.files import atomic_folder
from codec.tokenizer import float32_by_default
from codec.tts.config import TTSConfig
from codec.tts.model import TTSModel
from codec.tts.text.tekken import TekkenTokenizer
from codec.tts.text.tokenizer import BPETokenizer, TextTokenizer

TOKENIZER, TEKKEN = TOKENIZERS = "tokenizer.json", "tekken.json"
PACKAGED = Path(__file__).parent / "weights"  # packaged default model


def save_tts(folder: str | Path, config: TTSConfig, state: dict[str, Tensor], tokenizer: TextTokenizer) -> None:
    """Write a checkpoint; an existing one at `folder` is replaced only once the new one is on disk.

    Args:
        folder: of the checkpoint; its parent is created.
        config: the architecture.
        state: a `TTSModel`'s state dict.
        tokenizer: of the text.
    """
    with atomic_folder(Path(folder)) as new:
        write_checkpoint(new, config, state)
        tokenizer.save(new / (TEKKEN if isinstance(tokenizer, TekkenTokenizer) else TOKENIZER))


def resolve_tts(name: str | Path) -> Path:
    """Find the folder of a voice model; as `codec.checkpoint.hub.resolve`."""
    return resolve(name, PACKAGED)


def load_tts(folder: str | Path, dtype: torch.dtype | None = torch.float32) -> tuple[TTSModel, TextTokenizer]:
    """Load the network, in eval mode, and the tokenizer of a checkpoint.

    Args:
        folder: of this library, or in the released Voxtral layout: `params.json`, `consolidated.safetensors` and
            `tekken.json`. Its authors use greedy semantic tokens and guidance 1.2:
            `Sampling(temperature=0, head=HeadSampling(cfg_scale=1.2, temperature=1))`.
        dtype: of the weights; None: as in the file.

    Raises:
        CheckpointError: a file is missing, unreadable, or does not match the others.
        MissingDependencyError: a released folder without the package mistral-common.
    """
    folder = Path(folder)
    released = voxtral.is_released(folder)
    if released:
        config = voxtral_tts.read_config(folder, TTSConfig)
    else:
        config, state, _ = read_checkpoint(folder, TTSConfig)
    with torch.device("meta"), float32_by_default():
        model = TTSModel(config)
    if released:
        state = voxtral_tts.read_state(folder, model.state_dict())
    check_tensors(folder, model.state_dict(), state)
    dtype = dtype or state["text_embedding.weight"].dtype
    # One by one, to save memory.
    model.load_state_dict({name: state.pop(name).to(dtype) for name in list(state)}, assign=True)
    return model.eval(), _load_tokenizer(folder, config)


def _load_tokenizer(folder: Path, config: TTSConfig) -> TextTokenizer:
    ours, released = folder / TOKENIZER, folder / TEKKEN
    if not ours.is_file() and not released.is_file():
        raise CheckpointError(f"{folder}: neither {TOKENIZER} nor, as released, {TEKKEN}; copy the folder again")
    tokenizer: TextTokenizer
    try:
        tokenizer = BPETokenizer.load(ours) if ours.is_file() else TekkenTokenizer(released)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    if tokenizer.vocab_size > config.vocab_size:
        raise CheckpointError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size} ids, the network has {config.vocab_size}; they are "
            "of different models"
        )
    return tokenizer
