"""The decoder: latents to waveform, mirroring the encoder."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn

from codec.config import CodecConfig
from codec.nn.conv import PROJ_PADDING, CausalConv1d, CausalConvTranspose1d
from codec.nn.source_filter import Controls, PitchReader, SourceFilter
from codec.nn.stack import CausalStack, edge_tails
from codec.nn.state import Span, State


class Decoder(nn.Module):
    """Convolution -> stages of (transformer, transposed convolution) -> convolution -> patches -> waveform.

    With the head `source_filter`, the last convolution outputs controls, from which the head makes the patches.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.stack = CausalStack(config, 1)
        kernel_sizes, strides = config.kernel_sizes[::-1], config.strides[::-1]
        self.stack.add(CausalConv1d(config.latent_dim, config.dim, kernel_sizes[0], strides[0]))
        for i, (n_layers, window) in enumerate(zip(config.decoder_layers, config.windows[::-1], strict=True)):
            self.stack.add_blocks(n_layers, window)
            if i + 1 < len(strides) and (kernel_sizes[i + 1], strides[i + 1]) != (1, 1):
                conv = CausalConvTranspose1d(config.dim, config.dim, kernel_sizes[i + 1], strides[i + 1])
                self.stack.add(conv, up=strides[i + 1])
        self.patches_per_frame = config.patches_per_frame
        self.head: SourceFilter | None = None
        if config.head == "source_filter":
            bands = config.envelope_bands, config.periodicity_bands
            self.head = SourceFilter(config.patch_size, config.sample_rate, *bands)
            self.pitch = PitchReader(config.latent_dim, config.patches_per_frame)
        out_dim = config.patch_size if self.head is None else self.head.in_dim
        self.stack.add(CausalConv1d(config.dim, out_dim, config.proj_kernel_size, padding=PROJ_PADDING))

    def init_state(self, batch_size: int) -> State:
        """Initial state of `batch_size` streams."""
        state = self.stack.init_state(batch_size)
        return state if self.head is None else [*state, *edge_tails(batch_size, state[0].device, self.pitch, self.head)]

    def forward(self, z: Tensor, state: State, length: Tensor | None = None) -> tuple[Tensor, State]:
        """Decode the next chunk of each stream.

        Args:
            z: latents `[B, T, D]`.
            state: from `init_state` or the previous chunk.
            length: `[B]` int64, frames without padding, for streams that end in this chunk; None: all.

        Returns:
            Waveform `[B, T * hop_length]`, not limited to [-1, 1], and the state.
        """
        if self.head is None:
            x, state = self.stack(z, state, length)
            return rearrange(x, "b t p -> b (t p)"), state
        x, log_f0, new_state = self._head_inputs(z, state, length)
        y, tail = self.head(x, log_f0, state[-1], Span(state[0] * self.patches_per_frame, None))
        return rearrange(y, "b t p -> b (t p)"), [*new_state, tail]

    def reconstruct(self, z: Tensor, with_waveform: bool) -> tuple[Tensor | None, Controls | None]:
        """Decode whole latents `[B, T, D]` to the waveform `[B, T * hop_length]` and its controls.

        The head source_filter makes a waveform only `with_waveform`; other heads have no controls.
        """
        state = self.init_state(len(z))
        if self.head is None:
            return self.forward(z, state)[0], None
        x, log_f0, _ = self._head_inputs(z, state, None)
        y = self.head(x, log_f0, state[-1], Span(state[0], None))[0] if with_waveform else None
        return None if y is None else rearrange(y, "b t p -> b (t p)"), self.head.controls(x, log_f0)

    def _head_inputs(self, z: Tensor, state: State, length: Tensor | None) -> tuple[Tensor, Tensor, State]:
        """Inputs of the head: controls `[B, T, in_dim]` and pitch `[B, T]`; and the new state without the head's."""
        x, new_state = self.stack(z, state[:-2], length)
        log_f0, tail = self.pitch(z, state[-2], Span(state[0], None))
        return x, log_f0, [*new_state, tail]
