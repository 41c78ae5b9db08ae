"""DASB: a codec as recipes of SpeechBrain's benchmark call it, `sig_to_toks` and `toks_to_sig`.

So says audiocodecs/codec.py of lucadellalib/audiocodecs. `BaseTokenizer` in
benchmarks/DASB/model/tokenizer_interface.py of speechbrain/benchmarks calls the same `sig_to_tokens` and
`tokens_to_sig`. There is no table of embeddings to start from: the acoustic codes are steps on a scale, not entries.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from codec.tokenizer import Tokenizer
from codec.tokens.tokens import Tokens
from eval.systems.base import resample


class DASBTokenizer(nn.Module):
    """A codec of ours at the rate of a recipe.

    Args:
        tokenizer: the codec.
        sample_rate: of all signals, in Hz.
        num_codebooks: in use; by default all.
    """

    def __init__(self, tokenizer: Tokenizer, sample_rate: int, num_codebooks: int | None = None) -> None:
        super().__init__()
        self.tokenizer, self.sample_rate = tokenizer, sample_rate
        sizes = tokenizer.config.codebook_sizes[:num_codebooks]
        self.num_codebooks, self.vocab_size = len(sizes), max(sizes)  # smaller codebooks leave the last entries unused

    def sig_to_toks(self, sig: Tensor, length: Tensor | None = None) -> Tensor:
        """Encode signals.

        Args:
            sig: `[B, L]` float.
            length: `[B]`, lengths relative to L; by default all are 1.

        Returns:
            `[B, N, K]` int64, zero past the end of an item.

        Raises:
            ValueError: unusable audio.
        """
        waveforms = [x[:n] for x, n in zip(sig.cpu(), _absolute(sig, length), strict=True)]
        tokens = self.tokenizer.encode(waveforms, self.sample_rate).prefix(self.num_codebooks)
        return tokens.codes.transpose(1, 2).to(sig.device)

    def toks_to_sig(self, toks: Tensor, length: Tensor | None = None) -> Tensor:
        """Decode tokens.

        Args:
            toks: `[B, N, K]` int64.
            length: `[B]`, lengths relative to N; by default all are 1.

        Returns:
            `[B, L]` float32, zero past the end of an item.

        Raises:
            ValueError: a token that its codebook does not have.
        """
        c = self.tokenizer.config
        n_samples = torch.tensor(_absolute(toks, length)) * c.hop_length
        decoded = self.tokenizer.decode(Tokens(toks.transpose(1, 2), n_samples, c.sample_rate, c.hop_length))
        signals = [resample(x, c.sample_rate, self.sample_rate) for x in decoded]
        return pad_sequence(signals, batch_first=True).to(toks.device)

    def sig_to_tokens(self, signal: Tensor, lengths: Tensor, num_codebooks: int | None = None) -> Tensor:
        """The same as `sig_to_toks`, with the first `num_codebooks`."""
        return self.sig_to_toks(signal, lengths)[..., :num_codebooks]

    def tokens_to_sig(self, tokens: Tensor) -> Tensor:
        """The same as `toks_to_sig`."""
        return self.toks_to_sig(tokens)


def _absolute(batch: Tensor, length: Tensor | None) -> list[int]:
    """Lengths of the items of a batch `[B, L, ...]`, of which `length` are relative ones."""
    relative = torch.ones(len(batch)) if length is None else length.cpu()
    return [int(n) for n in (relative * batch.shape[1]).round()]
