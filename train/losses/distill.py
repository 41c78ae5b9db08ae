"""What makes the semantic code semantic: a loss on the embedding after the VQ, by one of three methods.

`none` trains a purely acoustic codec. `ctc` learns from transcripts and needs nothing else.
`whisper` learns from a frozen speech recogniser, as in the Voxtral paper, and needs no transcripts.
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
    """The mean over a batch of a head's losses, 0 for items it cannot learn from; its layers are trained too.

    As such items count, a batch gives the same loss however it is spread over processes and steps.

    A head maps (embedding, waveform, lengths, and texts or what is heard) to one loss per item, leaving out items
    with nothing to learn.
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
        heard: list[TeacherStates | None] | None = None,
    ) -> Tensor:
        """The scalar loss, 0 if no item counts.

        Args:
            embedding: `[B, T, D]`, the semantic channels after the VQ.
            waveform: `[B, L]` or `[B, 1, L]`, at the codec's sample rate.
            lengths: `[B]` samples of the waveform that are real.
            texts: B transcripts; None where what is said is not known.
            heard: by a Whisper in each item, None for nothing; without the list, a Whisper head listens itself.

        Raises:
            ValueError: of a Whisper head: see `WhisperHead.forward`.
        """
        # Connected to every parameter even if no item counts: DDP waits for all gradients.
        loss = embedding.new_zeros(()) + sum(0 * p.sum() for p in self.parameters())
        if self.head is None:
            return loss
        if isinstance(self.head, WhisperHead):
            losses = self.head(embedding, waveform.flatten(1), lengths, heard)
            return loss + losses.sum() / len(texts)
        keep = [i for i, text in enumerate(texts) if text is not None]
        if not keep:
            return loss
        kept_texts = [text for text in texts if text is not None]
        losses = self.head(embedding[keep], waveform[keep].flatten(1), lengths[keep], kept_texts)
        return loss + losses.sum() / len(texts)


def make_distillation(config: DistillConfig, codec_config: CodecConfig) -> Distillation:
    """The distillation that `config` asks for, for codecs of shape `codec_config`.

    Raises:
        ValueError: the quantizer has nothing to teach, or the teacher cannot be loaded.
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
