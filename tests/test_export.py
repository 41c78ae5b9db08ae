"""Graphs of the codec give what the codec gives: torch.compile, torch.export and ONNX."""

import copy
import sys

import pytest
import torch
from tiny import SMALL_GRAPHS, SMALLEST_GRAPH, in_halves, make_codec

from codec import export
from codec.config import preset
from codec.export import export_decoder, export_encoder, export_onnx
from codec.extras import MissingDependencyError
from codec.model import Codec
from codec.nn.product import store_for_streams
from codec.step import DecodeStep, EncodeStep

CASES = [(1, 1), (2, 1), (2, 3), (1, 16), (3, 2), (4, 21)]  # batch size, frames; the example has (2, 3)


@pytest.fixture(scope="module", params=["patches", "source filter"])
def codec(request):
    torch.manual_seed(0)
    if request.param == "source filter":
        codec = make_codec(**SMALL_GRAPHS["source filter"])
    else:
        codec = Codec(preset("tiny", **SMALL_GRAPHS["patches"])).eval().requires_grad_(False)
    store_for_streams(in_halves(codec))  # as loaded ones are
    return codec


@pytest.fixture(scope="module")
def programs(codec):
    return export_encoder(codec), export_decoder(codec)


def batch(codec, batch_size, n_frames, n_missing=100):
    """Noise of `n_frames`, the last of them cut, and zeros after shorter items; with the frames of each item."""
    hop = codec.config.hop_length
    n_samples = n_frames * hop - n_missing
    lengths = torch.tensor([max(1, n_samples * (i + 1) // batch_size) for i in range(batch_size)])
    waveform = 0.3 * torch.randn(batch_size, n_samples) * (torch.arange(n_samples) < lengths[:, None])
    return waveform, lengths, -(-lengths // hop)


def assert_same_codes(got, want, n_frames):
    assert got.shape == want.shape
    for g, w, n in zip(got, want, n_frames, strict=True):
        assert torch.equal(g[:, :n], w[:, :n])


def test_compile(codec):
    waveform, lengths, n_frames = batch(codec, 2, 3)
    codes = codec.encode(waveform, lengths)
    encode = torch.compile(codec.encode, fullgraph=True, backend="aot_eager", dynamic=False)
    decode = torch.compile(codec.decode, fullgraph=True, backend="aot_eager", dynamic=False)
    assert_same_codes(encode(waveform, lengths), codes, n_frames)
    torch.testing.assert_close(decode(codes), codec.decode(codes), atol=1e-4, rtol=0)
    torch._dynamo.reset()


def test_export(codec, programs):
    encode, decode = (program.module() for program in programs)
    for batch_size, n_frames in [*(case for case in CASES if case[0] > 1), (1, 17)]:  # the limit it documents
        waveform, lengths, item_frames = batch(codec, batch_size, n_frames)
        codes = codec.encode(waveform, lengths)
        assert_same_codes(encode(waveform, lengths), codes, item_frames)
        torch.testing.assert_close(decode(codes), codec.decode(codes), atol=1e-4, rtol=0)


def test_export_step(codec):
    waveform = 0.3 * torch.randn(2, 3 * codec.config.hop_length)
    codes = codec.encode(waveform)
    chunks = waveform.split(codec.config.hop_length, dim=1)
    for step, part, inputs, want in (
        (EncodeStep(codec), codec.encoder, chunks, codes),
        (DecodeStep(codec), codec.decoder, codes.split(1, dim=2), codec.decode(codes)),
    ):
        state = part.init_state(2)
        program = torch.export.export(copy.deepcopy(step), (inputs[0], None, *state)).module()
        outputs = []
        for chunk in inputs:
            y, *state = program(chunk, None, *state)
            outputs.append(y)
        torch.testing.assert_close(torch.cat(outputs, dim=-1), want, atol=1e-4, rtol=0)


def test_onnx(codec, programs, tmp_path, monkeypatch):
    runtime = pytest.importorskip("onnxruntime")
    for name, program in zip(("export_encoder", "export_decoder"), programs, strict=True):
        monkeypatch.setattr(export, name, lambda _, program=program: program)
    export_onnx(codec, tmp_path / "onnx")
    encoder, decoder = (runtime.InferenceSession(tmp_path / "onnx" / f"{name}.onnx") for name in ("encoder", "decoder"))
    for batch_size, n_frames in CASES:
        for n_missing in (0, 100):
            waveform, lengths, item_frames = batch(codec, batch_size, n_frames, n_missing)
            want = codec.encode(waveform, lengths)
            (codes,) = encoder.run(None, {"waveform": waveform.numpy(), "lengths": lengths.numpy()})
            assert_same_codes(torch.from_numpy(codes), want, item_frames)
            (decoded,) = decoder.run(None, {"codes": want.numpy()})
            torch.testing.assert_close(torch.from_numpy(decoded), codec.decode(want), atol=1e-4, rtol=0)


def test_onnx_decoder_only(tmp_path):
    export_onnx(Codec(preset("tiny", **SMALLEST_GRAPH), with_encoder=False), tmp_path / "onnx")
    assert [path.name for path in (tmp_path / "onnx").iterdir()] == ["decoder.onnx"]


def test_onnx_missing_package(codec, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingDependencyError, match=r"needs onnx onnxscript: pip install 'codec37\[onnx\]'"):
        export_onnx(codec, tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()
