"""Speech recognition from a codec's semantic codes, by the linear layer that it was trained with."""

from __future__ import annotations

from pathlib import Path

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from codec.checkpoint.store import CheckpointError, read_tensors
from codec.extras import MissingDependencyError
from codec.tensors import write_tensors
from codec.tokenizer import load
from eval.ctc import N_SYMBOLS, greedy_decode, split_steps
from eval.digest import digest

WEIGHTS = "ctc.safetensors"  # beside the codec's config.json and model.safetensors


class SemanticHead(nn.Module):
    """A linear layer from the semantic embedding `[B, T, D]` to `steps_per_frame` CTC steps per frame.

    It has no context, so that the embedding itself must carry the text.
    """

    def __init__(self, dim: int, hop_length: int, steps_per_frame: int = 4) -> None:
        super().__init__()
        self.hop_length, self.steps_per_frame = hop_length, steps_per_frame
        self.linear = nn.Linear(dim, steps_per_frame * N_SYMBOLS)

    def n_steps(self, lengths: Tensor, n_frames: int) -> Tensor:
        """Lengths `[B]` in samples -> CTC steps `[B]`; a frame begun is a frame."""
        return (lengths.add(self.hop_length - 1) // self.hop_length).clamp(max=n_frames) * self.steps_per_frame

    def logits(self, embedding: Tensor) -> Tensor:
        """`[B, T, D]` -> `[B, T * steps_per_frame, N_SYMBOLS]`."""
        return split_steps(self.linear(embedding))

    def decode(self, logits: Tensor, lengths: Tensor) -> list[str]:
        """Decode the first `lengths` `[B]` samples greedily."""
        return greedy_decode(logits, self.n_steps(lengths, logits.shape[1] // self.steps_per_frame))


class SemanticRecognizer:
    """A recogniser made of a codec and its head, which reads the semantic codes of a recording.

    It favours its own codec: encoded again, that codec's outputs give much the same codes, however they sound. So use
    it to follow one codec during training, and another recogniser to compare several.

    Args:
        folder: a checkpoint of a codec trained with `loss.distill.kind=ctc`, such as `best/` of a run.

    Raises:
        MissingDependencyError: there is no head.
        CheckpointError: a file is damaged, or the head belongs to another codec.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / WEIGHTS
        if not path.is_file():
            raise MissingDependencyError(
                f"asr:ctc={folder}: no {WEIGHTS} there; give best/ or last/ of a run with loss.distill.kind=ctc"
            )
        self.tokenizer = load(folder)
        self.head = _load_head(path, self.tokenizer.fingerprint, self.tokenizer.config.hop_length)
        self.sample_rate = self.tokenizer.config.sample_rate
        self.version = f"ctc {digest(path)}"  # of the codec too, which the file names

    @torch.inference_mode()
    def transcribe(self, waveform: NDArray, language: str) -> str:
        """Transcribe `[L]` at `sample_rate` in the letters of `eval.ctc`; the language plays no part."""
        tokens = self.tokenizer.encode(waveform, self.sample_rate)
        quantizer = self.tokenizer.model.quantizer
        embedding = quantizer.decode(tokens.codes[:, :1])[..., : quantizer.config.semantic_dim]
        return self.head.decode(self.head.logits(embedding), tokens.n_samples)[0]


def save_head(folder: Path, head: SemanticHead, fingerprint: str) -> None:
    """Write a head into the checkpoint folder of the codec with this fingerprint."""
    write_tensors(folder / WEIGHTS, head.state_dict(), {"fingerprint": fingerprint})


def _load_head(path: Path, fingerprint: str, hop_length: int) -> SemanticHead:
    state, metadata = read_tensors(path)
    if (recorded := metadata.get("fingerprint")) != fingerprint:
        raise CheckpointError(
            f"{path}: the head of codec {recorded}, beside codec {fingerprint}; copy the folder again as a whole"
        )
    n_outputs, dim = state["linear.weight"].shape
    head = SemanticHead(dim, hop_length, n_outputs // N_SYMBOLS)
    head.load_state_dict(state)
    return head.eval().requires_grad_(False)
