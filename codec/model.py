"""The codec as a network on tensors; `codec.tokenizer` adds files, lengths and sample rates."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.config import CodecConfig
from codec.decoder import Decoder
from codec.encoder import Encoder
from codec.nn.source_filter import Controls
from codec.nn.stack import CausalStack
from codec.quant.base import Quantized, Quantizer

CHUNK_FRAMES = 256  # frames of a chunk, over the whole batch: bounds memory

# A forked process has none of the threads that OpenMP made before, and would wait for them forever.
os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


class MissingEncoderError(RuntimeError):
    """The codec has no encoder."""

    def __init__(self) -> None:
        super().__init__(
            "this codec has no encoder: the released Voxtral checkpoint holds only the decoder and the "
            "quantizer. Decoding works; to encode, load a checkpoint trained with this library, or train "
            "an encoder against this decoder."
        )


@dataclass
class CodecOutput:
    """Output of a training pass: the reconstruction, and latents before and after the quantizer."""

    waveform: Tensor | None  # [B, L]
    latents: Tensor  # [B, T, D]
    quantized: Quantized
    controls: Controls | None  # of the head `source_filter`


class Codec(nn.Module):
    """Encoder, quantizer and decoder of one configuration, randomly initialised.

    Args:
        config: the architecture.
        with_encoder: False omits the encoder, like the released weights.
    """

    def __init__(self, config: CodecConfig, with_encoder: bool = True) -> None:
        super().__init__()
        self.config = config
        self._encoder = Encoder(config) if with_encoder else None
        self.quantizer: Quantizer = config.quantizer.make()
        self.decoder = Decoder(config)

    @property
    def encoder(self) -> Encoder:
        """The encoder.

        Raises:
            MissingEncoderError: this codec was built without one.
        """
        if self._encoder is None:
            raise MissingEncoderError
        return self._encoder

    @property
    def has_encoder(self) -> bool:
        return self._encoder is not None

    @property
    def device(self) -> torch.device:
        return next(self.decoder.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the encoder's and decoder's weights; the quantizer is always float32."""
        return next(self.decoder.parameters()).dtype

    def cast(self, dtype: torch.dtype) -> Codec:
        """Cast encoder and decoder weights, in place; the quantizer, front and head stay float32."""
        for part in (self._encoder, self.decoder):
            if part is not None:
                part.stack.to(dtype)
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Codec:
        """Apply the rule of `cast` to `half()`, `double()`, `to(torch.bfloat16)` as well."""

        def move(tensor: Tensor) -> Tensor:
            new = fn(tensor)
            return new if new.dtype == tensor.dtype else tensor.to(new.device)

        for part in (self._encoder, self.decoder):
            for child in () if part is None else part.children():
                child._apply(fn if isinstance(child, CausalStack) else move)
        self.quantizer._apply(move)
        return self

    def latents(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Waveforms `[B, L]` -> latents `[B, ceil(L / hop_length), D]`, see `encode`."""
        n_frames = -(-waveform.shape[1] // self.config.hop_length)
        return self._run(self.encoder, waveform, self.config.hop_length, lengths)[:, :n_frames]

    def encode(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Waveforms to codes.

        Args:
            waveform: `[B, L]` float, mono at `config.sample_rate`, zeros after the end of an item.
            lengths: `[B]` int64, samples of each item; None: L.

        Returns:
            Codes `[B, K, ceil(L / hop_length)]` int64. The first ceil(length / hop_length) frames of an item do not
            depend on the batch; the others are undefined.

        Raises:
            MissingEncoderError: there is no encoder.
        """
        z = self.latents(waveform, lengths)
        parts = z.split(max(1, CHUNK_FRAMES // len(z)), dim=1)  # bounds the distances to all codebook entries
        return torch.cat([self.quantizer.encode(part) for part in parts], dim=2)

    def decode(self, codes: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Codes to waveforms.

        Args:
            codes: `[B, n_q, T]` integer, of the first n_q >= 1 codebooks.
            lengths: `[B]` int64, frames of each item; None: T.

        Returns:
            `[B, T * hop_length]`, not limited to [-1, 1], in the decoder's dtype.
        """
        return self.synthesize(self.quantizer.decode(codes), lengths)

    def synthesize(self, z: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Latents `[B, T, D]` -> waveforms `[B, T * hop_length]`; `lengths` as in `decode`."""
        return self._run(self.decoder, z, 1, lengths)[:, : z.shape[1] * self.config.hop_length]

    def forward(
        self, waveform: Tensor, generator: torch.Generator | None = None, with_waveform: bool = True
    ) -> CodecOutput:
        """One training pass over `[B, L]`, L a multiple of `config.hop_length`.

        Args:
            waveform: `[B, L]` float.
            generator: of the quantizer's random choices; on the same device.
            with_waveform: False skips the waveform of a head source_filter and returns only its controls.
        """
        latents, _ = self.encoder(waveform, self.encoder.init_state(len(waveform)))
        quantized = self.quantizer(latents, generator)
        output, controls = self.decoder.reconstruct(quantized.z, with_waveform)
        return CodecOutput(output, latents, quantized, controls)

    def _run(self, part: Encoder | Decoder, x: Tensor, unit: int, lengths: Tensor | None) -> Tensor:
        """Run `part` on `x` `[B, L, ...]`, `unit` rows per frame, in chunks, padded to whole frames."""
        batch_size, n_rows = x.shape[:2]
        lead = self.config.lead_frames
        size = max(-(-n_rows // unit), lead) * unit
        if lengths is None and size > n_rows:
            lengths = torch.full((batch_size,), n_rows, device=x.device)
        x = F.pad(x, (0, 0) * (x.ndim - 2) + (0, size - n_rows))
        state = part.init_state(batch_size)
        chunk_size = max(lead, CHUNK_FRAMES // batch_size) * unit
        outputs = []
        for start in range(0, size, chunk_size):
            chunk = x[:, start : start + chunk_size]
            left = None if lengths is None else (lengths - start).clamp(0, chunk.shape[1])
            y, state = part(chunk, state, left)
            outputs.append(y)
        return torch.cat(outputs, dim=1)
