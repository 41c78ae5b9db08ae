"""How semantic the codes are: how well a linear map of them spells the text, and how well they tell sounds apart.

Works on frozen codes and transcripts alone, on a CPU, without any model to download. Half an hour
of speech is enough to compare codecs; the numbers are for comparison, not for publication.
"""

from __future__ import annotations

from dataclasses import dataclass

import jiwer
import torch
from torch import Tensor, nn
from torchaudio.functional import forced_align

from eval.ctc import BLANK, N_SYMBOLS, ctc_losses, greedy_decode, normalise, steps_needed, text_to_symbols
from eval.probes.codes import entropy

_BATCH_SIZE = 8


class LinearProbe(nn.Module):
    """CTC from semantic codes by a linear map of a few neighbouring frames, and nothing that is not linear.

    Each code is the row of a table: the codec's own entries when given, which shows what their
    geometry holds, and otherwise a learned row, which makes it a linear map of the one-hot code.

    Args:
        codebook_size: number of codes.
        entries: `[codebook_size, D]`, the codec's codebook, kept frozen.
        steps_per_frame: CTC steps in every frame; more than characters per frame, about 1.2 at 12.5 Hz.
        context: frames on each side that are looked at; a letter is spread over its neighbours.
    """

    def __init__(
        self, codebook_size: int, entries: Tensor | None = None, steps_per_frame: int = 4, context: int = 2
    ) -> None:
        super().__init__()
        if entries is None:
            self.table = nn.Embedding(codebook_size, 128)
        else:
            # Of unit variance, so that one learning rate suits every codec.
            entries = entries.detach().float()
            self.table = nn.Embedding.from_pretrained((entries - entries.mean(0)) / entries.std(0).clamp(min=1e-5))
        self.dropout = nn.Dropout(0.2)  # half an hour is little for thousands of codes
        self.steps_per_frame = steps_per_frame
        width, n_outputs = 2 * context + 1, steps_per_frame * N_SYMBOLS
        self.linear = nn.Conv1d(self.table.embedding_dim, n_outputs, width, padding=context)

    def forward(self, codes: list[Tensor]) -> tuple[Tensor, Tensor]:
        """B items of codes `[T]` -> logits `[B, S, N_SYMBOLS]`, and `[B]` how many of the S steps are real."""
        n_frames = torch.tensor([len(item) for item in codes])
        # Padded after the table: beyond its end an item has zeros, whatever it is batched with.
        vectors = nn.utils.rnn.pad_sequence([self.dropout(self.table(item)) for item in codes], batch_first=True)
        logits = self.linear(vectors.transpose(1, 2)).transpose(1, 2)
        logits = logits.unflatten(-1, (self.steps_per_frame, N_SYMBOLS)).flatten(1, 2)
        return logits, n_frames * self.steps_per_frame

    @torch.no_grad()
    def cer(self, codes: list[Tensor], texts: list[str]) -> float:
        """Character errors of greedy decoding per character of the transcripts, both normalised.

        Raises:
            ValueError: no transcript has any letter.
        """
        kept = [(item, text) for item, text in zip(codes, map(normalise, texts), strict=True) if text]
        if not kept:
            raise ValueError("no test transcript has a letter of a-z: the probe needs Latin-script text")
        hypotheses = [greedy_decode(*self([item]))[0] for item, _ in kept]
        return float(jiwer.cer([text for _, text in kept], hypotheses))

    @torch.no_grad()
    def align(self, codes: Tensor, text: str) -> Tensor:
        """Which character each frame belongs to: codes `[T]` and their transcript -> symbols `[T]` int64.

        The best path that spells the text; a frame without a character of its own continues the
        one before. These labels stand in for phones where there is no phone aligner. Train their
        probe without context, or CTC spells a character in whichever neighbouring frame it likes,
        and on other items, or the labels are shaped by the codes they are to judge.

        Raises:
            ValueError: the text is empty or has more characters than the frames have steps.
        """
        target = text_to_symbols(text)
        log_probs = self([codes])[0].log_softmax(-1)
        if not 0 < steps_needed(target) <= log_probs.shape[1]:
            raise ValueError(f"{len(codes)} frames cannot spell {text!r}: drop the item")
        path = forced_align(log_probs, target[None], blank=BLANK)[0][0].long().unflatten(0, (len(codes), -1))
        spoken = path != BLANK
        # The first character in the frame, else the last frame that has one, else the text's first.
        first = path.gather(1, spoken.long().argmax(1, keepdim=True))[:, 0]
        source = torch.where(spoken.any(1), torch.arange(len(codes)), -1).cummax(0).values
        return torch.where(source < 0, target[0], first[source.clamp(min=0)])


def train_probe(
    codes: list[Tensor],
    texts: list[str],
    codebook_size: int,
    entries: Tensor | None = None,
    steps_per_frame: int = 4,
    context: int = 2,
    n_updates: int = 400,
    seed: int = 0,
) -> LinearProbe:
    """Train a probe on items of codes `[T]` int64 and their transcripts; the same seed gives the same probe.

    Nearly all the time goes into CTC itself, about 20 s on two cores for items of 10 s at 12.5 Hz.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        probe = LinearProbe(codebook_size, entries, steps_per_frame, context)
        parameters = [p for p in probe.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(parameters, lr=1e-2)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=n_updates)
        for _ in range(n_updates):
            batch = torch.randperm(len(codes))[:_BATCH_SIZE].tolist()
            logits, n_real = probe([codes[i] for i in batch])
            losses = ctc_losses(logits, n_real, [texts[i] for i in batch])
            if len(losses):
                optimizer.zero_grad()
                losses.mean().backward()
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
            schedule.step()
    return probe.eval()


def ctc_probe(
    codes_train: list[Tensor],
    texts_train: list[str],
    codes_test: list[Tensor],
    texts_test: list[str],
    codebook_size: int,
    entries: Tensor | None = None,
    steps_per_frame: int = 4,
    n_updates: int = 400,
    seed: int = 0,
) -> float:
    """Character error rate, on held-out items, of a linear probe of the codes: 0 spells all, about 1 nothing.

    Raises:
        ValueError: no test transcript has any letter.
    """
    probe = train_probe(
        codes_train, texts_train, codebook_size, entries, steps_per_frame, n_updates=n_updates, seed=seed
    )
    return probe.cer(codes_test, texts_test)


@dataclass
class Purity:
    """How far codes and labels agree, both in [0, 1].

    Both grow with the number of codes and fall with the number of frames, so compare codecs on the
    same labels at equal codebook sizes, and against the same codes shuffled.
    """

    purity: float  # share of frames with the commonest label of their code; chance is that of the commonest label
    nmi: float  # mutual information over the labels' entropy: the share of a label that its code tells (HuBERT's PNMI)


def purity(codes: Tensor, labels: Tensor) -> Purity:
    """Compare codes `[N]` with one label each `[N]`, such as phones, `LinearProbe.align` or clusters of MFCCs.

    Raises:
        ValueError: the two differ in shape, or are empty.
    """
    if codes.shape != labels.shape or not codes.numel():
        raise ValueError(f"codes {list(codes.shape)} and labels {list(labels.shape)}: expected one label for each code")
    code, label = (x.flatten().unique(return_inverse=True)[1] for x in (codes, labels))
    n_labels = int(label.max()) + 1
    pair = code * n_labels + label
    # One label for everything leaves nothing to tell.
    told = entropy(label)
    nmi = (told + entropy(code) - entropy(pair)) / told if told > 0 else 1.0
    commonest = torch.bincount(pair, minlength=(int(code.max()) + 1) * n_labels).view(-1, n_labels).amax(1)
    return Purity(float(commonest.sum()) / codes.numel(), min(max(nmi, 0.0), 1.0))
