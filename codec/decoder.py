"""The decoder: latents to waveform, mirroring the encoder."""

from __future__ import annotations

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
        span = self.stack.span(state[0], length)
        y, tails = self.stack(z, state[1:], span)
        if self.head is not None:
            log_f0, tails[-2] = self.pitch(z, tails[-2], span)
            y, tails[-1] = self.head(y, log_f0, tails[-1], span._replace(seen=state[0] * self.patches_per_frame))
        return y.flatten(1), [state[0] + z.shape[1], *tails]

    def reconstruct(self, z: Tensor, with_waveform: bool) -> tuple[Tensor | None, Controls | None]:
        """Decode whole latents `[B, T, D]` to the waveform `[B, T * hop_length]` and its controls.

        The head source_filter makes a waveform only `with_waveform`; other heads have no controls.
        """
        state = self.init_state(len(z))
        if self.head is None:
            return self.forward(z, state)[0], None
        start = Span(state[0], None)
        x, _ = self.stack(z, state[1:], start)
        log_f0, _ = self.pitch(z, state[-2], start)
        y = self.head(x, log_f0, state[-1], start)[0].flatten(1) if with_waveform else None
        return y, self.head.controls(x, log_f0)
