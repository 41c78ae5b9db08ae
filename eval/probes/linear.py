"""How semantic codes are: whether a linear map of their vectors spells the text, and whether they agree with sounds.

Works on frozen codebooks and transcripts, on a CPU, without another model. Twenty minutes of speech are enough to
compare codecs: from some codes a map of vectors learns what all mean, unlike a table with letters for each of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import jiwer
import torch
from torch import Tensor, nn

from eval.ctc import N_SYMBOLS, ctc_losses, greedy_decode, normalise, split_steps
from eval.probes.codes import entropy

BATCH_SIZE = 8
CONTEXT = 2  # frames on each side, as a letter is spread over its neighbours


class LinearProbe(nn.Module):
    """CTC by a linear map of the vectors of a few neighbouring frames.

    Args:
        mean: `[D]`, of the vectors.
        deviation: from it, over all channels.
        steps_per_frame: CTC steps in every frame; more than characters per frame, about 1.2 at 12.5 Hz.
    """

    def __init__(self, mean: Tensor, deviation: float, steps_per_frame: int = 4) -> None:
        super().__init__()
        self.mean, self.deviation, self.steps_per_frame = mean, deviation, steps_per_frame
        self.dropout = nn.Dropout(0.2)
        self.linear = nn.Conv1d(len(mean), steps_per_frame * N_SYMBOLS, 2 * CONTEXT + 1, padding=CONTEXT)

    def forward(self, items: list[Tensor]) -> tuple[Tensor, Tensor]:
        """B items of vectors `[T, D]` -> logits `[B, S, N_SYMBOLS]`, and `[B]` how many of the S steps are real."""
        n_frames = torch.tensor([len(item) for item in items])
        # Padded after they are centred, so that zeros follow an item whatever it is batched with.
        centred = [self.dropout((item - self.mean) / self.deviation) for item in items]
        logits = self.linear(nn.utils.rnn.pad_sequence(centred, batch_first=True).transpose(1, 2)).transpose(1, 2)
        return split_steps(logits), n_frames * self.steps_per_frame

    @torch.no_grad()
    def cer(self, items: list[Tensor], texts: list[str]) -> float:
        """Character error rate of greedy decoding, both texts normalised: 0 spells all, about 1 nothing.

        Raises:
            ValueError: no transcript has any letter.
        """
        kept = [(item, text) for item, text in zip(items, map(normalise, texts), strict=True) if text]
        if not kept:
            raise ValueError("no test transcript has a letter of a-z: the probe needs Latin-script text")
        hypotheses = [greedy_decode(*self([item]))[0] for item, _ in kept]
        return float(jiwer.cer([text for _, text in kept], hypotheses))


def train_probe(
    items: list[Tensor], texts: list[str], steps_per_frame: int = 4, n_updates: int = 400, seed: int = 0
) -> LinearProbe:
    """Train a probe on items of vectors `[T, D]` and their transcripts; the same seed gives the same probe.

    CTC takes nearly all the time, about 20 s on two cores for items of 10 s at 12.5 Hz.
    """
    joined = torch.cat(items)
    mean = joined.mean(0)
    deviation = max(float((joined - mean).std()), 1e-6)  # of a codec that uses one code: 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        probe = LinearProbe(mean, deviation, steps_per_frame)
        optimizer = torch.optim.Adam(probe.parameters(), lr=1e-2)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=n_updates)
        for _ in range(n_updates):
            batch = torch.randperm(len(items))[:BATCH_SIZE].tolist()
            logits, n_steps = probe([items[i] for i in batch])
            losses = ctc_losses(logits, n_steps, [texts[i] for i in batch])
            if len(losses):
                optimizer.zero_grad()
                losses.mean().backward()
                nn.utils.clip_grad_norm_(probe.parameters(), 1.0)
                optimizer.step()
            schedule.step()
    return probe.eval()


@dataclass
class Purity:
    """Agreement of codes and labels, both in [0, 1].

    Both grow with the number of codes and fall with the number of frames, so compare codecs on the
    same labels at equal codebook sizes, and with the same codes shuffled.
    """

    purity: float  # share of frames with the most frequent label of their code
    nmi: float  # mutual information over the entropy of the labels (HuBERT's PNMI)


def purity(codes: Tensor, labels: Tensor) -> Purity:
    """Compare codes `[N]` with one label each `[N]`, such as phones or clusters of MFCCs.

    Raises:
        ValueError: the two differ in shape, or are empty.
    """
    if codes.shape != labels.shape or not codes.numel():
        raise ValueError(f"codes {list(codes.shape)} and labels {list(labels.shape)}: expected one label for each code")
    code, label = (x.flatten().unique(return_inverse=True)[1] for x in (codes, labels))
    n_labels = int(label.max()) + 1
    pair = code * n_labels + label
    bits = entropy(label)
    nmi = (bits + entropy(code) - entropy(pair)) / bits if bits > 0 else 1.0
    most_frequent = torch.bincount(pair, minlength=(int(code.max()) + 1) * n_labels).view(-1, n_labels).amax(1)
    return Purity(float(most_frequent.sum()) / codes.numel(), min(max(nmi, 0.0), 1.0))
