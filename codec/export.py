"""The codec as fixed graphs: modules for torch.export and torch.compile, and ONNX files.

`Codec.encode` and `Codec.decode` walk through long inputs chunk by chunk, a loop that no graph with
dynamic shapes can hold. `EncodeGraph` and `DecodeGraph` take an input in one piece and give the same
codes and waveforms. Streams run by `EncodeStep` and `DecodeStep` of `codec.step`, here with one frame at a time.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.onnx import ONNXProgram

from codec.extras import needs
from codec.files import atomic_folder
from codec.model import Codec
from codec.step import DecodeStep, EncodeStep

ENCODER, DECODER = "encoder.onnx", "decoder.onnx"
ENCODER_STEP, DECODER_STEP = "encoder_step.onnx", "decoder_step.onnx"
OPSET = 20
STEP_OPSET = 23  # which has RMSNorm and attention as one node each
EXAMPLE = (2, 3)  # batch size and frames of the inputs that are traced; their values do not matter
MAX_BATCH, MAX_FRAMES = 2**12, 2**17  # torch.export wants bounds; nearly three hours at 12.5 Hz


class EncodeGraph(nn.Module):
    """Waveform `[B, L]` float and lengths `[B]` int64 (samples) -> codes `[B, K, ceil(L / hop_length)]` int64."""

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.encoder, self.quantizer, self.config = codec.encoder, codec.quantizer, codec.config

    def forward(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        (batch_size, n_samples), hop_length = waveform.shape, self.config.hop_length
        n_frames = (n_samples + hop_length - 1) // hop_length
        # Spare frames: they fill the reflect padding, and keep torch.export from treating one frame as special.
        lead = self.config.lead_frames
        waveform = F.pad(waveform, (0, (n_frames + lead) * hop_length - n_samples))
        z, _ = self.encoder(waveform, self.encoder.init_state(batch_size), lengths)
        return self.quantizer.encode(z).narrow(2, 0, n_frames)


class DecodeGraph(nn.Module):
    """Codes `[B, n_q, T]` int64 -> waveform `[B, T * hop_length]` float32."""

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.decoder, self.quantizer, self.config = codec.decoder, codec.quantizer, codec.config

    def forward(self, codes: Tensor) -> Tensor:
        batch_size, _, n_frames = codes.shape
        lead = self.config.lead_frames - 1
        lengths = torch.full((batch_size,), n_frames, device=codes.device) if lead else None
        z = F.pad(self.quantizer.decode(codes), (0, 0, 0, lead))
        waveform, _ = self.decoder(z, self.decoder.init_state(batch_size), lengths)
        return waveform.narrow(1, 0, n_frames * self.config.hop_length)


def export_encoder(codec: Codec) -> ExportedProgram:
    """`EncodeGraph` for any batch size and length, as `torch.export` gives it.

    Called with a single item, the program (not the ONNX file) wants more frames than an attention block
    has queries: torch.export takes one block in all for a special case.

    Raises:
        MissingEncoderError: this codec has no encoder.
    """
    batch_size, n_frames = EXAMPLE
    hop_length = codec.config.hop_length
    batch, samples = Dim("batch", min=1, max=MAX_BATCH), Dim("samples", min=1, max=MAX_FRAMES * hop_length)
    waveform = torch.zeros(batch_size, n_frames * hop_length, device=codec.device, dtype=codec.dtype)
    lengths = torch.full((batch_size,), n_frames * hop_length, device=codec.device)
    shapes = {"waveform": {0: batch, 1: samples}, "lengths": {0: batch}}
    return _export(EncodeGraph(codec), (waveform, lengths), shapes)


def export_decoder(codec: Codec) -> ExportedProgram:
    """`DecodeGraph` with all codebooks, for any batch size and number of frames; limited as `export_encoder`."""
    batch, frames = Dim("batch", min=1, max=MAX_BATCH), Dim("frames", min=1, max=MAX_FRAMES)
    codes = torch.zeros(EXAMPLE[0], codec.config.num_codebooks, EXAMPLE[1], device=codec.device, dtype=torch.int64)
    return _export(DecodeGraph(codec), (codes,), {"codes": {0: batch, 2: frames}})


def export_onnx(codec: Codec, folder: str | Path) -> None:
    """Write `encoder.onnx` and `decoder.onnx`, weights inside; a codec without encoder gives the decoder only.

    encoder.onnx: `waveform` `[B, L]` float32, `lengths` `[B]` int64 samples -> `codes` `[B, K, T]` int64
    with T = ceil(L / hop_length). decoder.onnx: `codes` `[B, K, T]` int64 -> `waveform` `[B, T * hop_length]` float32.
    An existing `folder` is replaced once both files are on disk. On a CPU, in float32.

    Raises:
        MissingDependencyError: onnx or onnxscript is not installed.
        ValueError: the codec's weights are not float32 on a CPU.
    """
    _check(codec)
    with atomic_folder(Path(folder)) as new:
        if codec.has_encoder:
            _write_onnx(new / ENCODER, export_encoder(codec), ["waveform", "lengths"], "codes")
        _write_onnx(new / DECODER, export_decoder(codec), ["codes"], "waveform")


def export_steps(codec: Codec, folder: str | Path, fingerprint: str = "") -> None:
    """Write `encoder_step.onnx` and `decoder_step.onnx`, which take a frame of each of B streams, and their state.

    encoder_step.onnx: `waveform` `[B, hop_length]` float32, `length` `[B]` int64, the real samples of each, and the
    state -> `codes` `[B, K, 1]` int64 and the new state. decoder_step.onnx: `codes` `[B, K, 1]` int64, the last of
    which may be `NO_CODE`, and the state -> `waveform` `[B, hop_length]` float32 and the new state. The state is
    `seen` `[B]` int64, 0 in a fresh stream, `tail_0`, `tail_1` and so on; new ones begin with `new_`. Config,
    sizes of the codebooks and fingerprint are in the metadata of the files. Otherwise as `export_onnx`.

    Raises:
        MissingDependencyError: onnx or onnxscript is not installed.
        ValueError: the codec's weights are not float32 on a CPU, or its streams begin with more than one frame.
    """
    _check(codec)
    c = codec.config
    if c.lead_frames > 1:
        raise ValueError(
            f"proj_kernel_size = {c.proj_kernel_size}: streams begin with {c.lead_frames} frames at once, expected 1 "
            f"for a step; export whole inputs, or train with at most {c.patches_per_frame}, the patches of a frame"
        )
    sizes = json.dumps(c.codebook_sizes)  # which not every runtime can tell from the config
    metadata = {"config": c.to_json(), "codebook_sizes": sizes, "fingerprint": fingerprint}
    with atomic_folder(Path(folder)) as new:
        if codec.has_encoder:
            lengths = torch.full((EXAMPLE[0],), c.hop_length)
            frame = torch.zeros(EXAMPLE[0], c.hop_length)
            _write_step(
                new / ENCODER_STEP, EncodeStep(codec), {"waveform": frame, "length": lengths}, "codes", metadata
            )
        codes = torch.zeros(EXAMPLE[0], c.num_codebooks, 1, dtype=torch.int64)
        _write_step(new / DECODER_STEP, DecodeStep(codec), {"codes": codes, "length": None}, "waveform", metadata)


def _check(codec: Codec) -> None:
    """Refuse what ONNX export cannot do."""
    with needs("onnx onnxscript", "ONNX export", "onnx"):
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    if (codec.device.type, codec.dtype) != ("cpu", torch.float32):
        raise ValueError(
            f"got a codec in {codec.dtype} on {codec.device}, expected torch.float32 on cpu: move it first"
        )


def _export(graph: nn.Module, inputs: tuple[Tensor | None, ...], shapes: dict[str, Any]) -> ExportedProgram:
    graph = copy.deepcopy(graph)  # without packed matrices
    # Without this, as torch.onnx.export also knows, sizes of 1 become special cases.
    any_size = torch.fx.experimental._config.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
    with any_size, torch.no_grad():
        return torch.export.export(graph.eval(), inputs, dynamic_shapes=shapes)


def _write_onnx(path: Path, program: ExportedProgram, inputs: list[str], output: str) -> None:
    _to_onnx(program, inputs, [output], OPSET).save(path)


def _write_step(
    path: Path, step: EncodeStep | DecodeStep, inputs: dict[str, Tensor | None], output: str, metadata: dict[str, str]
) -> None:
    state = step.init_state(EXAMPLE[0])
    names = ["seen", *(f"tail_{i}" for i in range(len(state) - 1))]
    batch = {0: Dim("batch", min=2, max=MAX_BATCH)}  # torch.export takes 1 for a special case; the graph is the same
    shapes = {"state": (batch,) * len(state)} | {name: None if x is None else batch for name, x in inputs.items()}
    program = _export(step, (*inputs.values(), *state), shapes)
    given = [name for name, x in inputs.items() if x is not None]
    onnx = _to_onnx(program, [*given, *names], [output, *(f"new_{name}" for name in names)], STEP_OPSET)
    onnx.model.metadata_props.update(metadata)
    onnx.save(path)


def _to_onnx(program: ExportedProgram, inputs: list[str], outputs: list[str], opset: int) -> ONNXProgram:
    onnx = torch.onnx.export(
        program, (), input_names=inputs, output_names=outputs, opset_version=opset, dynamo=True, verbose=False
    )
    assert onnx is not None
    return onnx
