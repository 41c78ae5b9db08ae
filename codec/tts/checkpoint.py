"""TTS checkpoints: a folder with `config.json`, `model.safetensors` and a tokenizer, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from codec.checkpoint import voxtral, voxtral_tts
from codec.checkpoint.hub import resolve
from codec.checkpoint.store import CheckpointError, check_tensors, read_checkpoint, write_checkpoint
from codec.files import atomic_folder
from codec.tokenizer import Tokenizer, float32_by_default
from codec.tts.config import TTSConfig
from codec.tts.model import TTSModel
from codec.tts.text.tekken import TekkenTokenizer
from codec.tts.text.tokenizer import BPETokenizer, TextTokenizer

TOKENIZER, TEKKEN = TOKENIZERS = "tokenizer.json", "tekken.json"
PACKAGED = Path(__file__).parent / "weights"  # of the default model, installed with the library


def save_tts(folder: str | Path, config: TTSConfig, state: dict[str, Tensor], tokenizer: TextTokenizer) -> None:
    """Write a checkpoint; an existing one at `folder` is replaced only once the new one is on disk.

    Args:
        folder: where to; its parent is created.
        config: the architecture.
        state: a `TTSModel`'s state dict.
        tokenizer: of the text.
    """
    with atomic_folder(Path(folder)) as new:
        write_checkpoint(new, config, state)
        tokenizer.save(new / (TEKKEN if isinstance(tokenizer, TekkenTokenizer) else TOKENIZER))


def resolve_tts(name: str | Path) -> Path:
    """The folder of a checkpoint that a name stands for; as `codec.checkpoint.hub.resolve`, for voice models."""
    return resolve(name, PACKAGED)


def load_tts(folder: str | Path, dtype: torch.dtype | None = torch.float32) -> tuple[TTSModel, TextTokenizer]:
    """The network, in eval mode, and the tokenizer of a checkpoint folder.

    Args:
        folder: ours, or one of the released Voxtral layout: `params.json`, `consolidated.safetensors` and
            `tekken.json`. Its authors take the likeliest semantic token and guide by 1.2:
            `Sampling(temperature=0, head=HeadSampling(cfg_scale=1.2, temperature=1))`.
        dtype: of the weights; None: that of the file.

    Raises:
        CheckpointError: a file is missing, unreadable, or does not fit the others.
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
    # One by one, as there may be no room for the network twice.
    model.load_state_dict({name: state.pop(name).to(dtype) for name in list(state)}, assign=True)
    return model.eval(), _load_tokenizer(folder, config)


def export_voxtral(folder: str | Path, model: TTSModel, tokenizer: TextTokenizer, codec: Tokenizer) -> None:
    """Write a TTS and the codec it speaks through in the released Voxtral layout, in the types they have.

    Raises:
        ValueError: that layout cannot express this model, or the codec or the tokenizer does not fit it.
    """
    if not isinstance(tokenizer, TekkenTokenizer):
        raise ValueError(f"tokenizer: a {type(tokenizer).__name__}; the released layout holds only {TEKKEN}")
    with atomic_folder(Path(folder)) as new:
        state, codec_state = model.state_dict(), codec.model.state_dict()
        voxtral_tts.write_voxtral_tts(new, model.config, state, codec.config, codec_state)
        tokenizer.save(new / TEKKEN)


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
            f"{folder}: the tokenizer has {tokenizer.vocab_size} ids, the network embeds {config.vocab_size}; they are "
            "of different models"
        )
    return tokenizer
