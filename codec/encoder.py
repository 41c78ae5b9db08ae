"""The encoder: waveform to latents, one 292-channel vector per 80 ms at the default settings."""

from __future__ import annotations

from torch import Tensor, nn

from codec.config import CodecConfig
from codec.nn.conv import PROJ_PADDING, CausalConv1d
from codec.nn.spectrum import SpectrumFront
from codec.nn.stack import CausalStack, edge_tails
from codec.nn.state import State


class Encoder(nn.Module):
    """Patches or their spectra -> convolution -> stages of (transformer, strided convolution) -> latents."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.patch_size = config.patch_size
        self.front = SpectrumFront(config.patch_size, config.sample_rate) if config.front == "spectrum" else None
        in_dim = config.patch_size if self.front is None else self.front.dim
        self.stack = CausalStack(config, config.patches_per_frame)
        self.stack.add(CausalConv1d(in_dim, config.dim, config.proj_kernel_size, padding=PROJ_PADDING))
        stages = list(zip(config.encoder_layers, config.windows, config.kernel_sizes, config.strides, strict=True))
        for i, (n_layers, window, kernel_size, stride) in enumerate(stages):
            last = i == len(stages) - 1
            self.stack.add_blocks(n_layers, window)
            if last or (kernel_size, stride) != (1, 1):
                out_dim = config.latent_dim if last else config.dim
                self.stack.add(CausalConv1d(config.dim, out_dim, kernel_size, stride), down=stride)

    def init_state(self, batch_size: int) -> State:
        """Initial state of `batch_size` streams."""
        state = self.stack.init_state(batch_size)
        return state if self.front is None else [*state, *edge_tails(batch_size, state[0].device, self.front)]

    def forward(self, waveform: Tensor, state: State, length: Tensor | None = None) -> tuple[Tensor, State]:
        """Encode the next chunk of each stream.

        Args:
            waveform: `[B, T * hop_length]` float, zeros after the end of a stream.
            state: from `init_state` or the previous chunk.
            length: `[B]` int64, samples without padding, for streams that end in this chunk; None: all.

        Returns:
            Latents `[B, T, D]`, undefined in frames of padding only, and the state.
        """
        x = waveform.unflatten(1, (-1, self.patch_size))
        n_patches = None if length is None else (length + self.patch_size - 1) // self.patch_size
        span = self.stack.span(state[0], n_patches)
        new_state = [state[0] + x.shape[1] // self.stack.steps_per_frame, *state[1:]]
        if self.front is not None:
            x, new_state[-1] = self.front(x, state[-1], span)
        z, new_state[1:] = self.stack(x, new_state[1:], span)
        return z, new_state
