"""Faster steps: compiled, and on a GPU recorded as CUDA graphs, which spare the launch of hundreds of kernels."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Literal

import torch
from torch import Tensor

from codec.settings import require

Mode = Literal["eager", "compile", "graph"]
MODES = ("eager", "compile", "graph")
WARMUP = 3  # calls before a graph is recorded, as libraries set themselves up


class Accelerated:
    """A function of tensors of few shapes, run as `mode` says.

    "compile" generates code for it; "graph" does too, and records that code once for each key and shape. A graph's
    results are overwritten by the next call, and what else the function reads or writes, such as weights and
    caches, must stay where it is in memory as long as its key is the same.

    Args:
        function: `(*settings, *tensors)` to tensors, which waits for nothing on the GPU.
        mode: how to run it.

    Raises:
        ValueError: no such mode, or graphs without a GPU.
    """

    def __init__(self, function: Callable[..., Any], mode: Mode) -> None:
        require(mode in MODES, "mode", mode, f"one of {', '.join(MODES)}")
        if mode == "graph" and not torch.cuda.is_available():
            raise ValueError("mode = 'graph': CUDA graphs need an NVIDIA GPU; use 'compile' or 'eager'")
        self.function = function if mode == "eager" else torch.compile(function, dynamic=False)
        self.mode = mode
        self._graphs: dict[Hashable, tuple[torch.cuda.CUDAGraph, list[Tensor], Any]] = {}

    def __call__(self, tensors: list[Tensor], *settings: Any, key: Hashable = None) -> Any:
        """Call the function with `settings`, which `key` tells apart, and `tensors`."""
        if self.mode != "graph":
            return self.function(*settings, *tensors)
        key = (key, *(t.shape for t in tensors))
        if key not in self._graphs:
            self._graphs[key] = self._record(tensors, settings)
        graph, inputs, outputs = self._graphs[key]
        for static, t in zip(inputs, tensors, strict=True):
            static.copy_(t, non_blocking=True)
        graph.replay()
        return outputs

    def _record(self, tensors: list[Tensor], settings: tuple[Any, ...]) -> tuple[Any, list[Tensor], Any]:
        inputs = [t.clone() for t in tensors]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARMUP):
                self.function(*settings, *inputs)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = self.function(*settings, *inputs)
        return graph, inputs, outputs
