"""Semantic distillation: a loss on the embedding after the VQ, by one of three methods.

`none`: no loss, a purely acoustic codec. `ctc`: from transcripts. `whisper`: from a frozen Whisper, as in the Voxtral
paper, without transcripts.
"""

from __future__ import annotations

from torch import Tensor, nn

from codec.config import CodecConfig
from train.losses.config import DistillConfig
from train.losses.ctc import CTCHead
from train.losses.teacher import TeacherStates, WhisperHead
from train.losses.terms import Pass, Setup, Term


def make(setup: Setup) -> Term:
    n = setup.config.quantizer.semantic_dim

    def compute(x: Pass) -> dict[str, Tensor]:
        embedding, batch = x.output.quantized.z[..., :n], x.batch
        loss = x.networks["distillation"](embedding, x.target, batch.lengths, batch.texts, batch.teacher_states)
        return {"semantic": loss}

    distillation = make_distillation(setup.loss.distill, setup.config)
    return Term(("semantic",), compute, networks={"distillation": distillation})


class Distillation(nn.Module):
    """Mean over a batch of the losses of a head, whose layers are trained, too.

    A head returns one loss for each item with a text or teacher states; other items count as 0, so the loss does not
    depend on how a batch is split over processes and steps.
    """

    def __init__(self, head: CTCHead | WhisperHead | None = None) -> None:
        super().__init__()
        self.head = head

    def forward(
        self,
        embedding: Tensor,
        waveform: Tensor,
        lengths: Tensor,
        texts: list[str | None],
        teacher_states: list[TeacherStates | None] | None = None,
    ) -> Tensor:
        """Scalar loss, 0 if no item counts.

        Args:
            embedding: `[B, T, D]`, the semantic channels after the VQ.
            waveform: `[B, L]` or `[B, 1, L]`, at the codec's sample rate.
            lengths: `[B]` samples without padding.
            texts: B transcripts, None if unknown.
            teacher_states: of each item, None for an item without; if not given, a Whisper head runs its teacher.

        Raises:
            ValueError: see `WhisperHead.forward`.
        """
        # DDP needs gradients of all parameters even if no item counts.
        loss = embedding.new_zeros(()) + sum(0 * p.sum() for p in self.parameters())
        if self.head is None:
            return loss
        if isinstance(self.head, WhisperHead):
            losses = self.head(embedding, waveform.flatten(1), lengths, teacher_states)
            return loss + losses.sum() / len(texts)
        keep = [i for i, text in enumerate(texts) if text is not None]
        if not keep:
            return loss
        kept_texts = [text for text in texts if text is not None]
        losses = self.head(embedding[keep], waveform[keep].flatten(1), lengths[keep], kept_texts)
        return loss + losses.sum() / len(texts)


def make_distillation(config: DistillConfig, codec_config: CodecConfig) -> Distillation:
    """Make the distillation of `config` for codecs of `codec_config`.

    Raises:
        ValueError: the quantizer has no semantic codebook, or the teacher cannot be loaded.
    """
    dim = codec_config.quantizer.semantic_dim
    if config.kind != "none" and not dim:
        raise ValueError(
            f"loss.distill.kind = {config.kind!r}: model.quantizer.kind = {codec_config.quantizer.kind!r} has no "
            "semantic codebook to teach; give loss.distill.kind=none or model.quantizer.kind=split"
        )
    if config.kind == "ctc":
        return Distillation(CTCHead(dim, codec_config.hop_length, config.steps_per_frame))
    if config.kind == "whisper":
        sizes = dim, codec_config.sample_rate, codec_config.hop_length
        if config.width:
            return Distillation(WhisperHead(config.width, *sizes))
        from train.losses.whisper import WhisperTeacher  # transformers is optional and slow to load

        teacher = WhisperTeacher(config.whisper, codec_config.sample_rate, config.max_text_tokens)
        return Distillation(WhisperHead(teacher.width, *sizes, teacher))
    return Distillation()
