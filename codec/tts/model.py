"""The TTS network as tensors in, tensors out: embeddings, backbone, semantic head, acoustic head.

A frame `[K]` holds shifted codes: those of the codec, each moved past the special codes EMPTY and END of
`codec.tokens.layout`. A semantic token is the first of them; END there ends the audio.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.nn.norm import RMSNorm
from codec.nn.product import Linear
from codec.tokens.layout import EMPTY, END, IdLayout
from codec.tts.backbone import Backbone
from codec.tts.config import TTSConfig, padded
from codec.tts.heads import make_head
from codec.tts.sequence import NONE

INIT_STD = 0.02


@dataclass
class TTSBatch:
    """Packed sequences for training: what is read at each of S positions, and the N frames predicted from some."""

    text: Tensor  # [B, S, W] int64, ids, NONE where no text is read
    frames: Tensor  # [B, S, K] int64, shifted codes, NONE where no frame is read
    positions: Tensor  # [B, S] int64, in their sequences; each begins at 0
    target_positions: Tensor  # [N] int64, positions in [0, B * S) from which frames are predicted
    targets: Tensor  # [N, K] int64, the shifted codes of these frames; (END, EMPTY, ...) after the last
    moves: Tensor  # [N] int64, ids that the text goes on after each; NONE where that is not predicted
    weights: Tensor  # [N] float32, how much each counts

    @property
    def is_frame(self) -> Tensor:
        """Which targets are frames, `[N]` bool, not the end."""
        return self.targets[:, 0] != END

    @property
    def codes(self) -> Tensor:
        """Acoustic codes of the targets, `[N, K - 1]` int64; 0 for the end."""
        return (self.targets[:, 1:] - IdLayout.n_special).clamp(min=0)


@dataclass
class TTSLosses:
    """What each predicted frame costs, `[N]` float32, and from what it is predicted."""

    semantic: Tensor  # cross-entropy in nats
    acoustic: Tensor  # of the acoustic head; 0 for END
    move: Tensor  # cross-entropy in nats; 0 where no move is predicted
    condition: Tensor  # [N, D], what the acoustic head reads


class TTSModel(nn.Module):
    """Backbone, semantic head and acoustic head of one configuration, randomly initialised."""

    def __init__(self, config: TTSConfig) -> None:
        super().__init__()
        self.config = config
        self.layout = IdLayout(config.codebook_sizes)
        dim = config.backbone.dim
        self.text_embedding = nn.Embedding(config.sequence.text_width * config.vocab_size, dim)
        self.audio_embedding = nn.Embedding(padded(self.layout.vocab_size), dim)
        self.backbone = Backbone(config.backbone, config.rope_theta)
        self.semantic_head = Linear(dim, padded(config.semantic_codebook_size + self.layout.n_special))
        self.acoustic_head = make_head(config)
        aligned = config.sequence.design == "aligned"
        self.move_head = Linear(dim, config.sequence.max_move + 1) if aligned else None
        self.apply(_init)
        self.semantic_condition: nn.Sequential | None = None
        if config.acoustic_reads_semantic:
            projection = Linear(dim, dim)
            nn.init.zeros_(projection.weight)  # nothing is added at first
            self.semantic_condition = nn.Sequential(RMSNorm(dim, config.backbone.norm_eps), projection)

    @property
    def device(self) -> torch.device:
        return self.audio_embedding.weight.device

    def embed(self, text: Tensor, frames: Tensor | None) -> Tensor:
        """Text ids `[B, T, W]` and frames `[B, T, K]`, NONE where absent -> their summed embeddings `[B, T, D]`."""
        places = self.config.vocab_size * torch.arange(text.shape[-1], device=text.device)
        x = (self.text_embedding(text.clamp(min=0) + places) * (text != NONE)[..., None]).sum(2)
        if frames is None:
            return x
        rows = frames.clamp(min=0) + torch.tensor(self.layout.offsets, device=frames.device)
        has_frame = (frames[..., 0] != NONE)[..., None]
        sums = F.embedding_bag(rows.flatten(0, 1), self.audio_embedding.weight, mode="sum")
        return x + sums.view_as(x) * has_frame

    def forward(self, batch: TTSBatch, generator: torch.Generator | None = None) -> TTSLosses:
        """Losses of the predicted frames; `generator` draws what the acoustic head needs."""
        h = self.backbone(self.embed(batch.text, batch.frames), batch.positions)
        h = h.flatten(0, 1)[batch.target_positions]  # [N, D]
        semantic = F.cross_entropy(self.semantic_logits(h), batch.targets[:, 0], reduction="none")
        move = torch.zeros_like(semantic)
        if self.move_head is not None:
            move = F.cross_entropy(self.move_head(h).float(), batch.moves, ignore_index=NONE, reduction="none")
        condition = self.condition(h, batch.targets[:, 0])
        acoustic = self.acoustic_head.loss(condition, batch.codes, generator) * batch.is_frame
        return TTSLosses(semantic, acoustic, move, condition)

    def semantic_logits(self, h: Tensor) -> Tensor:
        """Hidden states `[N, D]` -> logits `[N, padded]` float32 of the semantic token, -inf where there is none."""
        n_tokens = self.config.semantic_codebook_size + self.layout.n_special
        logits = self.semantic_head(h).float()
        return F.pad(logits[:, END:n_tokens], (END, logits.shape[1] - n_tokens), value=-torch.inf)

    def condition(self, h: Tensor, semantic: Tensor) -> Tensor:
        """What the acoustic head reads, `[N, D]`, of hidden states `[N, D]` and the semantic tokens `[N]` beside it.

        Hidden states alone, as in the paper, unless `acoustic_reads_semantic`: then a frame's acoustic values fit the
        token that was drawn for it, not all that might have been.
        """
        if self.semantic_condition is None:
            return h
        return h + self.semantic_condition(self.audio_embedding(semantic + self.layout.offsets[0]))

    def make_frames(self, semantic: Tensor, codes: Tensor) -> Tensor:
        """Semantic tokens `[N]` and acoustic codes `[N, acoustic_dim]` as frames `[N, K]`; those of END are code 0."""
        codes = codes.masked_fill(semantic[:, None] == END, 0)
        return torch.cat([semantic[:, None], codes + self.layout.n_special], dim=1)

    def trim_voice(self, voice: Tensor) -> Tensor:
        """The start of a voice's codes `[K, T]`, no longer than in training: `TTSConfig.max_voice_frames`."""
        return voice[:, : self.config.max_voice_frames or None]


def as_frames(codes: Tensor) -> Tensor:
    """Codes `[K, T]` as frames `[T + 1, K]` int64 with the one after the last."""
    return torch.cat([codes.T.long() + IdLayout.n_special, end_frame(len(codes))[None]])


def end_frame(num_codebooks: int) -> Tensor:
    """The frame `[K]` after the last: (END, EMPTY, EMPTY, ...)."""
    return torch.tensor([END] + [EMPTY] * (num_codebooks - 1))


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=INIT_STD)
