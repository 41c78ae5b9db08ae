"""The encoder: waveform to latents, one 292-channel vector per 80 ms at the default settings."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn

from codec.config import CodecConfig
from codec.nn.conv import PROJ_PADDING, CausalConv1d
from codec.nn.stack import CausalStack
from codec.nn.state import State


class Encoder(nn.Module):
    """Patches -> convolution -> stages of (transformer, strided convolution) -> latents."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.patch_size = config.patch_size
        self.stack = CausalStack(config, config.patches_per_frame)
        kernel_size = config.proj_kernel_size
        self.stack.add(CausalConv1d(config.patch_size, config.dim, kernel_size, padding=PROJ_PADDING))
        stages = list(zip(config.encoder_layers, config.windows, config.kernel_sizes, config.strides, strict=True))
        for i, (n_layers, window, kernel_size, stride) in enumerate(stages):
            last = i == len(stages) - 1
            self.stack.add_blocks(n_layers, window)
            if last or (kernel_size, stride) != (1, 1):
                out_dim = config.latent_dim if last else config.dim
                self.stack.add(CausalConv1d(config.dim, out_dim, kernel_size, stride), down=stride)

    def forward(self, waveform: Tensor, state: State, length: Tensor | None = None) -> tuple[Tensor, State]:
        """Encode the next chunk of each stream.

        Args:
            waveform: `[B, T * hop_length]` float, zeros after the end of a stream.
            state: of `stack.init_state` or of the previous chunk.
            length: `[B]` int64, real samples of the chunk, for streams that end in it; None: all.

        Returns:
            Latents `[B, T, D]`, of which those of frames with no real sample mean nothing, and the state.
        """
        x = rearrange(waveform, "b (t p) -> b t p", p=self.patch_size)
        n_patches = None if length is None else (length + self.patch_size - 1) // self.patch_size
        return self.stack(x, state, n_patches)
