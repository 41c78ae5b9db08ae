"""Characters and CTC (Graves et al. 2006), the loss and greedy decoding of texts without alignments.

Each frame has several CTC steps: speech has about 15 characters a second, the default codec 12.5 frames.
"""

from __future__ import annotations

import unicodedata

import torch
import torch.nn.functional as F
from torch import Tensor

CHARSET = " 'abcdefghijklmnopqrstuvwxyz"
BLANK = 0  # symbol 0 is CTC's blank; symbol 1 + i is CHARSET[i]
N_SYMBOLS = 1 + len(CHARSET)

# Latin letters that Unicode does not decompose, and the apostrophes of typeset text.
_SPELLED = {"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i"}
_TABLE = str.maketrans({**_SPELLED, "\u2018": "'", "\u2019": "'", "\u02bc": "'"})


def normalise(text: str) -> str:
    """The text in `CHARSET`: case folded, accents dropped, one space for each run of anything else.

    One small alphabet serves every Latin-script language ("Größe" -> "grosse"). Digits are dropped
    like punctuation: how they are read depends on the language, so spell them before training.
    """
    text = unicodedata.normalize("NFKC", text).casefold().translate(_TABLE)
    letters = (c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return " ".join("".join(c if c in CHARSET else " " for c in letters).split())


def text_to_symbols(text: str) -> Tensor:
    """Any text -> symbols `[n]` int64 of its normalised form, without blanks."""
    return torch.tensor([1 + CHARSET.index(c) for c in normalise(text)], dtype=torch.int64)


def symbols_to_text(symbols: Tensor) -> str:
    """Symbols `[n]` -> text; blanks vanish."""
    return "".join(CHARSET[i - 1] for i in symbols.tolist() if i != BLANK)


def steps_needed(symbols: Tensor) -> int:
    """Count the CTC steps that symbols `[n]` take: one each, and a blank between the halves of a doubled letter."""
    return len(symbols) + int((symbols[1:] == symbols[:-1]).sum())


def split_steps(outputs: Tensor) -> Tensor:
    """Outputs of frames `[B, T, S * N_SYMBOLS]` -> logits of CTC steps `[B, T * S, N_SYMBOLS]`."""
    return outputs.unflatten(-1, (-1, N_SYMBOLS)).flatten(1, 2)


def ctc_losses(logits: Tensor, n_steps: Tensor, texts: list[str]) -> Tensor:
    """CTC loss of each item, in nats per character: `[n]` float32, in the items' order.

    Items with an empty text or more characters than steps are left out, so n <= B.

    Args:
        logits: `[B, S, N_SYMBOLS]`, any float type.
        n_steps: `[B]`, how many of the S steps are real.
        texts: B transcripts, in any spelling.
    """
    targets = [text_to_symbols(text) for text in texts]
    needed = map(steps_needed, targets)
    keep = [i for i, (need, steps) in enumerate(zip(needed, n_steps.tolist(), strict=True)) if 0 < need <= steps]
    if not keep:
        return logits.new_zeros(0, dtype=torch.float32)
    log_probs = logits[keep].float().log_softmax(-1).transpose(0, 1)
    n_target = torch.tensor([len(targets[i]) for i in keep], device=logits.device)
    flat = torch.cat([targets[i] for i in keep]).to(logits.device)
    n_input = n_steps[keep].to(logits.device)
    losses = F.ctc_loss(log_probs, flat, n_input, n_target, BLANK, reduction="none", zero_infinity=True)
    return losses / n_target


def greedy_decode(logits: Tensor, n_steps: Tensor) -> list[str]:
    """Take the best symbol of every step, merge repeats, remove blanks: `[B, S, N_SYMBOLS]` -> B texts."""
    best = logits.argmax(-1).cpu()
    return [symbols_to_text(row[:n].unique_consecutive()) for row, n in zip(best, n_steps.tolist(), strict=True)]
