"""Streams whose network PyTorch compiles: with a C++ compiler for CPUs, into CUDA graphs for GPUs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from codec.nn.product import freeze_for_streams
from codec.nn.state import State
from codec.step import DecodeStep, EncodeStep
from codec.stream import DecoderStream, EncoderStream
from codec.tokenizer import Tokenizer

OPTIONS = {"cpu": {"cpp_wrapper": True}, "cuda": {"triton.cudagraphs": True}}  # of Inductor


class CompiledStep:
    """A step of streams, see `codec.step`, that is compiled for one whole frame of each stream of those that began.

    Other chunks, also those of some of the streams, run as before.

    The first such frame of a number of streams compiles: half a minute, or seconds if PyTorch has it in its cache.
    """

    def __init__(self, step: EncodeStep | DecodeStep, unit: int) -> None:
        self.step, self.unit = step, unit
        self.config, self.chunk_frames, self.device = step.config, step.chunk_frames, step.device
        self._batch_sizes: set[int] = set()

        def run(x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
            y, *new_state = step(x, None, *state)
            return y, *(t.clone(memory_format=torch.contiguous_format) for t in new_state)  # strided as fresh ones

        options: Any = {
            **OPTIONS.get(self.device.type, {}),
            "guard_filter_fn": torch.compiler.skip_guard_on_all_nn_modules_unsafe,
        }
        self._compiled = torch.compile(_with_own_code(run), fullgraph=True, dynamic=False, options=options)

    def init_state(self, batch_size: int) -> State:
        self._batch_sizes.add(batch_size)
        return self.step.init_state(batch_size)

    def __call__(self, x: Tensor, length: Tensor | None, *state: Tensor) -> tuple[Tensor, ...]:
        if length is not None or x.shape[-1] != self.unit or len(x) not in self._batch_sizes:
            return self.step(x, length, *state)  # type: ignore[no-any-return]
        torch.compiler.cudagraph_mark_step_begin()
        y = self._compiled(x, *state)
        return tuple(t.clone() for t in y) if x.is_cuda else y  # a graph writes its next results to the same place


def _with_own_code(function: Any) -> Callable[..., tuple[Tensor, ...]]:
    """A copy: PyTorch keeps what it compiled by code, not by function."""
    return FunctionType(function.__code__.replace(), function.__globals__, closure=function.__closure__)


class CompiledStreams:
    """The streams of a codec, compiled.

    Args:
        tokenizer: the codec; its weights must not change afterwards.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        freeze_for_streams(tokenizer.model)

    @cached_property
    def encode_step(self) -> CompiledStep:
        model = self._tokenizer.model
        return CompiledStep(EncodeStep(model), model.config.hop_length)

    @cached_property
    def decode_step(self) -> CompiledStep:
        return CompiledStep(DecodeStep(self._tokenizer.model), 1)

    def encoder_stream(self, batch_size: int = 1) -> EncoderStream:
        """New streams from samples to tokens."""
        return EncoderStream(self.encode_step, batch_size, self._tokenizer.fingerprint)

    def decoder_stream(self, batch_size: int = 1) -> DecoderStream:
        """New streams from tokens to samples."""
        return DecoderStream(self.decode_step, batch_size)
