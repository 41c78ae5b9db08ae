"""Streams in ONNX Runtime give what those in PyTorch give, and files that are none of theirs are refused."""

import importlib
import sys

import pytest
import torch
from onnx_steps import source_filter_steps  # noqa: F401
from stream_mix import assert_equal_in_any_mix
from tiny import SMALL_GRAPHS, SMALLEST_GRAPH, make_codec
from typer.testing import CliRunner

import codec
from codec.checkpoint.store import CheckpointError
from codec.cli import app
from codec.export import DECODER_STEP, OPSET, export_steps
from codec.model import Codec, MissingEncoderError
from codec.stream import DecoderStream, EncoderStream
from codec.tokenizer import Tokenizer

helper = pytest.importorskip("onnx.helper", reason="needs the extra onnx")
onnx = pytest.importorskip("codec.onnx", reason="needs the extra onnx", exc_type=ImportError)
BATCH_SIZE = 3


@pytest.fixture(scope="module", params=["patches", "source filter"])
def pair(request, tmp_path_factory):
    """A codec, and its streams as files."""
    folder = tmp_path_factory.mktemp("steps") / "onnx"
    if request.param == "patches":
        torch.manual_seed(0)
        model = Codec(codec.preset("tiny", **SMALL_GRAPHS["patches"]))
        Tokenizer(model).save(folder.parent / "codec")
        command = ["export-onnx", "--step", "--model", str(folder.parent / "codec"), "--out", str(folder)]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        model = codec.load(folder.parent / "codec").model
    else:
        model = make_codec(**SMALL_GRAPHS["source filter"])
        folder = request.getfixturevalue("source_filter_steps")
    return model, onnx.OnnxStreams(folder)


@pytest.mark.parametrize("seed", range(4))
def test_any_mix_of_streams(pair, seed):
    assert_equal_in_any_mix(*pair, BATCH_SIZE, seed)


def test_old_streams(pair):
    """A single stream, silent at first, and longer than anything it remembers."""
    model, streams = pair
    encoder, decoder = streams.encoder_stream(), streams.decoder_stream()
    x = 0.3 * torch.randn(25 * model.config.hop_length, generator=torch.Generator().manual_seed(0))
    x[: len(x) // 5] = 0
    tokens = encoder.push(x)
    wanted = EncoderStream(model).push(x)
    assert (tokens.codes != wanted.codes).double().mean() <= 0.01
    torch.testing.assert_close(decoder.push(wanted)[0], DecoderStream(model).push(wanted)[0], atol=1e-4, rtol=0)


def test_tokens_are_of_the_codec(pair):
    model, streams = pair
    assert streams.encode_step.config == streams.decode_step.config == model.config
    assert len(streams.encoder_stream().push(torch.zeros(5)).fingerprint) == 16


def test_bad_pushes(pair):
    decoder = pair[1].decoder_stream(2)
    with pytest.raises(ValueError, match="one per stream"):
        decoder.push(torch.zeros(1, 9, 1, dtype=torch.long))
    with pytest.raises(ValueError, match="codebook 1"):
        decoder.push(torch.full((2, 9, 1), 21))


def test_bad_folders(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no decoder_step.onnx; codec export-onnx --step"):
        onnx.OnnxStreams(tmp_path)
    (tmp_path / DECODER_STEP).write_bytes(b"no protocol buffer")
    streams = onnx.OnnxStreams(tmp_path)
    with pytest.raises(CheckpointError, match=r"decoder_step.onnx: ONNX Runtime cannot load it .* export it again"):
        streams.decoder_stream()
    with pytest.raises(MissingEncoderError):
        streams.encoder_stream()


def test_other_graphs_are_no_steps(tmp_path):
    x, y = (helper.make_tensor_value_info(name, 1, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    (tmp_path / DECODER_STEP).write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match=r"decoder_step.onnx: not the step of a stream"):
        onnx.OnnxStreams(tmp_path).decoder_stream()


def test_a_first_chunk_of_several_frames_is_refused(tmp_path):
    with pytest.raises(ValueError, match="proj_kernel_size = 7: streams begin with 4 frames at once"):
        export_steps(make_codec("50 Hz"), tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


def test_decoder_only(tmp_path):
    model = Codec(codec.preset("tiny", **SMALLEST_GRAPH), with_encoder=False)
    export_steps(model, tmp_path / "onnx")
    assert [path.name for path in (tmp_path / "onnx").iterdir()] == [DECODER_STEP]


def test_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "codec.onnx")
    with pytest.raises(ImportError, match=r"pip install 'codec37\[onnx\]'"):
        importlib.import_module("codec.onnx")
