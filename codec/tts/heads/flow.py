"""The flow-matching head: a velocity network over three positions, and the solver that follows it (section 2.2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from codec.nn.norm import RMSNorm
from codec.nn.product import Linear
from codec.tts.config import TransformerConfig
from codec.tts.heads.base import AcousticHead, HeadSampling, drop_hidden, make_layers


class FlowHead(AcousticHead):
    """Carries noise along a learned velocity to the acoustic values of a frame, which are then rounded to levels.

    The network reads three positions, [x_t, t, h], attends to all of them, and gives the velocity at
    the first. Level k of L stands for the value `scale` * (2k / (L - 1) - 1).

    The noise deviates by 1. Values that deviate much less are told from it only near the end of the path, and most
    of the loss is then about what they are, not about which of them the hidden state asks for: `scale` evens that out.
    The release has 1.
    """

    needs_levels = True

    def __init__(self, config: TransformerConfig, acoustic_dim: int, n_levels: int, scale: float = 1.0) -> None:
        super().__init__()
        dim = config.dim
        self.acoustic_dim, self.n_levels, self.scale = acoustic_dim, n_levels, scale
        self.input_projection = Linear(acoustic_dim, dim)
        self.time_projection = Linear(dim, dim)
        self.hidden_projection = Linear(dim, dim)
        self.layers = make_layers(config, n_first=1)
        self.norm = RMSNorm(dim, config.norm_eps)
        self.output = Linear(dim, acoustic_dim)

    def velocity(self, x: Tensor, t: Tensor, h: Tensor) -> Tensor:
        """dx/dt `[N, acoustic_dim]` at points `[N, acoustic_dim]`, times `[N]` in [0, 1] and hidden states `[N, dim]`.

        Zeros in place of a hidden state give the unconditional velocity.
        """
        return self._velocity(x, self._moments(t), self.hidden_projection(h))

    def _moments(self, t: Tensor) -> Tensor:
        """What the network reads of times `[N]`: `[N, dim]`."""
        weight = self.time_projection.weight
        return self.time_projection(time_embedding(t, weight.shape[1]).to(weight.dtype))

    def _velocity(self, x: Tensor, moments: Tensor, hidden: Tensor) -> Tensor:
        y = torch.stack([self.input_projection(x.to(hidden.dtype)), moments, hidden], dim=1)  # [N, 3, D]
        for layer in self.layers:
            y, _ = layer(y)
        return self.output(self.norm(y[:, 0]))

    def loss(self, h: Tensor, codes: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """|v(x_t, t, h) - (x_1 - x_0)|^2 with x_t = (1 - t) x_0 + t x_1; t uniform, x_0 normal.

        In training mode, h is dropped at times.
        """
        h = drop_hidden(h, generator) if self.training else h
        path = self.draw_path(codes, generator)
        return path.error(self.velocity(path.x, path.t, h))

    def draw_path(self, codes: Tensor, generator: torch.Generator | None = None) -> Path:
        """A random time and a random start for each frame of codes `[N, acoustic_dim]`."""
        x1 = self.values(codes)
        t = torch.rand(len(x1), generator=generator, device=x1.device)
        x0 = torch.randn(x1.shape, generator=generator, device=x1.device)
        return Path(x0, x1, t)

    def expected(self, h: Tensor, noise: Tensor) -> Tensor:
        """The mean `[N, acoustic_dim]` of the values that hidden states `[N, dim]` lead to: where noise sets out for.

        At time 0 noise says nothing of the values, so that the best velocity is their mean less the noise.
        """
        return noise + self.velocity(noise, torch.zeros(len(h), device=h.device), h).float()

    def draw(self, sampling: HeadSampling, generator: torch.Generator | None = None) -> Tensor:
        """The start `[acoustic_dim]` of one frame's path, of deviation `sampling.temperature`."""
        return sampling.temperature * torch.randn(self.acoustic_dim, generator=generator, dtype=torch.float32)

    def sample(self, h: Tensor, noise: Tensor, sampling: HeadSampling) -> Tensor:
        return self.round(self.solve(h, noise, sampling)[-1])

    def solve(self, h: Tensor, noise: Tensor, sampling: HeadSampling, cfg_scale: Tensor | None = None) -> list[Tensor]:
        """The path from noise `[N, acoustic_dim]`: `n_steps` + 1 points, at even times from 0 to 1.

        `cfg_scale` `[N]` overrides that of `sampling` row by row.
        """
        scale = torch.full((len(h),), sampling.cfg_scale, device=h.device) if cfg_scale is None else cfg_scale
        hidden = self.hidden_projection(h)
        hidden = torch.cat([hidden, torch.zeros_like(hidden)])  # with the hidden states, and without

        def guided(x: Tensor, moment: Tensor) -> Tensor:
            """scale * v(h) + (1 - scale) * v(0), both in one pass."""
            v, v0 = self._velocity(torch.cat([x, x]), moment.expand_as(hidden), hidden).float().chunk(2)
            return scale[:, None] * v + (1 - scale[:, None]) * v0

        per_step = 2 if sampling.solver == "midpoint" else 1
        times = torch.linspace(0, 1, per_step * sampling.n_steps + 1, device=h.device)
        points, dt = [noise], 1 / sampling.n_steps
        for first, *middle in self._moments(times[:-1]).split(per_step):
            x = points[-1]
            v = guided(x, first)
            for moment in middle:
                v = guided(x + v * dt / 2, moment)
            points.append(x + v * dt)
        return points

    def values(self, codes: Tensor) -> Tensor:
        """Codes to values in [-scale, scale], float32."""
        return self.scale * (codes.float() * 2 / (self.n_levels - 1) - 1)

    def round(self, x: Tensor) -> Tensor:
        """Values to the nearest codes; ties go to the even one."""
        return torch.round(((x / self.scale).clamp(-1, 1) + 1) / 2 * (self.n_levels - 1)).long()


class Path:
    """Straight lines from noise `x0` to data `x1`, both `[N, D]`, each looked at at its own time `t` `[N]`."""

    def __init__(self, x0: Tensor, x1: Tensor, t: Tensor) -> None:
        self.x0, self.x1, self.t = x0, x1, t
        self.x = torch.lerp(x0, x1, t[:, None])
        self.target = x1 - x0

    def error(self, velocity: Tensor) -> Tensor:
        """Squared distance `[N]` float32 of a velocity `[N, D]` to the line's."""
        return (velocity.float() - self.target).square().sum(1)


def time_embedding(t: Tensor, dim: int) -> Tensor:
    """Times `[N]` as cosines, then sines, `[N, dim]` float32, of frequencies from 1 down to 1 / 10,000."""
    powers = torch.arange(dim // 2, device=t.device, dtype=torch.float32) / (dim // 2)
    angles = t.float()[:, None] * torch.exp(-math.log(10_000) * powers)
    return torch.cat([angles.cos(), angles.sin()], dim=1)
