"""Streams whose network runs in ONNX Runtime, on the CPU, from the files of `codec export-onnx --step`."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from codec.checkpoint.store import CheckpointError
from codec.config import CodecConfig
from codec.export import DECODER_STEP, ENCODER_STEP
from codec.extras import needs
from codec.model import MissingEncoderError
from codec.nn.state import State
from codec.stream import DecoderStream, EncoderStream

with needs("onnxruntime", "streams in ONNX Runtime", "onnx"):
    import onnxruntime

DTYPES = {"tensor(int64)": torch.int64, "tensor(float)": torch.float32}


class OnnxStep:
    """A step of streams, see `codec.step`, of a frame at a time.

    Raises:
        CheckpointError: no such file, or not one of `codec export-onnx --step`.
    """

    chunk_frames = 1
    device = torch.device("cpu")

    def __init__(self, path: Path, n_threads: int) -> None:
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file; codec export-onnx --step writes it")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = n_threads
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # of many kinds, which have only this in common
            raise CheckpointError(f"{path}: ONNX Runtime cannot load it ({error}); export it again") from error
        about = self._session.get_modelmeta().custom_metadata_map
        if not about.keys() >= {"config", "fingerprint"}:
            raise CheckpointError(f"{path}: not the step of a stream; codec export-onnx --step writes one")
        self.config, self.fingerprint = CodecConfig.from_json(about["config"]), about["fingerprint"]
        self._inputs = [each.name for each in self._session.get_inputs()]
        self._outputs = [each.name for each in self._session.get_outputs()]

    def init_state(self, batch_size: int) -> State:
        inputs = self._session.get_inputs()[self._inputs.index("seen") :]
        return [torch.zeros(batch_size, *each.shape[1:], dtype=DTYPES[each.type]) for each in inputs]

    def __call__(self, x: Tensor, length: Tensor | None, *state: Tensor) -> tuple[Tensor, ...]:
        values = [x, *state]
        if "length" in self._inputs:
            values.insert(1, torch.full((len(x),), x.shape[1]) if length is None else length)
        feeds = {name: value.numpy() for name, value in zip(self._inputs, values, strict=True)}
        return tuple(torch.from_numpy(y) for y in self._session.run(self._outputs, feeds))


class OnnxStreams:
    """The streams of a codec, from a folder of `codec export-onnx --step`.

    Args:
        folder: of encoder_step.onnx and decoder_step.onnx; each is read when it is first asked for.
        n_threads: of the processor, for one step.

    Raises:
        CheckpointError: no decoder step in there.
    """

    def __init__(self, folder: str | Path, n_threads: int = 1) -> None:
        self._folder, self._n_threads = Path(folder), n_threads
        if not (self._folder / DECODER_STEP).is_file():
            raise CheckpointError(f"{folder}: holds no {DECODER_STEP}; codec export-onnx --step writes it")

    @cached_property
    def encode_step(self) -> OnnxStep:
        if not (self._folder / ENCODER_STEP).is_file():
            raise MissingEncoderError
        return OnnxStep(self._folder / ENCODER_STEP, self._n_threads)

    @cached_property
    def decode_step(self) -> OnnxStep:
        return OnnxStep(self._folder / DECODER_STEP, self._n_threads)

    def encoder_stream(self, batch_size: int = 1) -> EncoderStream:
        """New streams from samples to tokens."""
        return EncoderStream(self.encode_step, batch_size, self.encode_step.fingerprint)

    def decoder_stream(self, batch_size: int = 1) -> DecoderStream:
        """New streams from tokens to samples."""
        return DecoderStream(self.decode_step, batch_size)
