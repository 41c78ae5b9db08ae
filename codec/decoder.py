"""The decoder: latents to waveform, the encoder's mirror image."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn

from codec.config import CodecConfig
from codec.nn.conv import PROJ_PADDING, CausalConv1d, CausalConvTranspose1d
from codec.nn.stack import CausalStack
from codec.nn.state import State


class Decoder(nn.Module):
    """Convolution -> stages of (transformer, transposed convolution) -> convolution -> patches -> waveform."""

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
        self.stack.add(CausalConv1d(config.dim, config.patch_size, config.proj_kernel_size, padding=PROJ_PADDING))

    def forward(self, z: Tensor, state: State, length: Tensor | None = None) -> tuple[Tensor, State]:
        """Decode the next chunk of each stream.

        Args:
            z: latents `[B, T, D]`.
            state: of `stack.init_state` or of the previous chunk.
            length: `[B]` int64, real frames of the chunk, for streams that end in it; None: all.

        Returns:
            Waveform `[B, T * hop_length]`, not limited to [-1, 1], and the state.
        """
        x, state = self.stack(z, state, length)
        return rearrange(x, "b t p -> b (t p)"), state
