"""Lyra v2 with networks in place of its own that quantize samples, and where they are on disk with its own."""

import os
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from codec.audio.io import read_audio
from codec.extras import MissingDependencyError
from eval.metrics.perceptual import estoi
from eval.systems.lyra import FILES, FRAME
from eval.systems.registry import make_system

REAL = os.environ.get("LYRA", "")  # folder of the real networks
KINDS = ("encoder", "quantizer", "decoder")
HOLD = 8  # samples: latent k is their mean at place k of the frame


class Interpreter:
    """Networks that are told apart by the first word of their files.

    Encoder and decoder flip the sign of every other frame: only from the first frame on, both one by one, is it undone.
    """

    def __init__(self, model_content, num_threads):
        self.kind, self.sign = model_content.decode().partition(" ")[0], 1
        if self.kind not in KINDS:
            raise ValueError("The model is not a valid Flatbuffer buffer")

    def get_signature_runner(self, key):
        run = getattr(self, f"{self.kind}_{key}", None)
        if run is None:
            raise ValueError(f'Invalid signature_key provided: "{key}".')
        return run

    def encoder_serving_default(self, input_audio):
        assert (input_audio.shape, input_audio.dtype) == ((1, 320), np.float32)
        latents = np.zeros((1, 1, 64), np.float32)
        latents[..., : FRAME // HOLD] = self.flip() * input_audio.reshape(-1, HOLD).mean(-1)
        return {"output_0": latents}

    def quantizer_encode(self, input_frames, num_quantizers):
        assert (input_frames.shape, input_frames.dtype) == ((1, 1, 64), np.float32)
        assert (num_quantizers.shape, num_quantizers.dtype) == ((), np.int32)
        codes = np.round((input_frames.flatten()[:46] + 1) / 2 * 15).clip(0, 15).astype(np.int32)
        codes[num_quantizers:] = -1
        return {"output_0": codes.reshape(46, 1, 1), "output_1": np.int32(4)}

    def quantizer_decode(self, encoding_indices):
        assert (encoding_indices.shape, encoding_indices.dtype) == ((46, 1, 1), np.int32)
        codes = encoding_indices.flatten()
        latents = np.zeros((1, 1, 64), np.float32)
        latents[..., :46] = np.where(codes < 0, 0, codes / 15 * 2 - 1)
        return {"output_0": latents}

    def decoder_serving_default(self, input_audio):
        assert (input_audio.shape, input_audio.dtype) == ((1, 1, 64), np.float32)
        held = np.repeat(self.flip() * input_audio[0, :, : FRAME // HOLD], HOLD, axis=-1)
        return {"output_0": held.astype(np.float32)}

    def flip(self):
        self.sign = -self.sign
        return -self.sign


@pytest.fixture
def folder(tmp_path, monkeypatch):
    package = ModuleType("ai_edge_litert.interpreter")
    package.Interpreter = Interpreter
    monkeypatch.setitem(sys.modules, "ai_edge_litert", SimpleNamespace(interpreter=package))
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", package)
    for file, kind in zip(FILES, KINDS, strict=True):
        (tmp_path / file).write_text(kind)
    return tmp_path


def sine(n_samples: int = 24_000) -> torch.Tensor:
    return 0.5 * torch.sin(2 * torch.pi * 100 / 24_000 * torch.arange(n_samples))


@pytest.mark.parametrize(("count", "n_q", "bitrate"), [(":16", 16, 3200), (":30", 30, 6000), ("", 46, 9200)])
def test_bits_codes_and_length(folder, count, n_q, bitrate):
    name, x = f"lyra={folder}{count}", sine(24_000)
    system = make_system(name)
    assert (system.name, system.lag, system.codebook_sizes) == (name, 0, (16,) * n_q)
    coded = system.encode(x)
    assert coded.bits == bitrate
    assert (coded.codes.shape, coded.codes.dtype) == ((n_q, 50), torch.int64)
    assert coded.codes.min() >= 0
    y = system.decode(coded)
    assert (y.shape, y.dtype) == (x.shape, torch.float32)


@pytest.mark.parametrize("n_samples", [1, 479, 481, 1001])
def test_the_last_frame_is_filled_and_cut(folder, n_samples):
    system = make_system(f"lyra={folder}")
    coded = system.encode(sine(n_samples))
    assert coded.codes.shape == (46, -(-n_samples // 480))
    assert abs(len(system.decode(coded)) - n_samples) <= 1


def test_the_output_is_in_time_and_every_recording_starts_anew(folder):
    system, x = make_system(f"lyra={folder}"), sine(24_000 + 480)  # an odd number of frames
    coded = system.encode(x)
    again = system.encode(x)
    assert torch.equal(again.codes, coded.codes)
    for y in (system.decode(coded), system.decode(again)):
        torch.testing.assert_close(y[500:-500], x[500:-500], atol=0.25, rtol=0)


def test_fewer_quantizers_are_the_first_ones(folder):
    x, part = sine(), make_system(f"lyra={folder}:16")
    coded = part.encode(x)
    assert torch.equal(coded.codes, make_system(f"lyra={folder}").encode(x).codes[:16])
    frames = part.decode(coded).unfold(0, 480, 480)
    assert frames[:, :170].std() > 0.3  # 16 latents of 8 samples at 16 kHz are 192 samples at 24 kHz
    assert frames[:, 220:450].abs().max() < 0.1


def test_the_version_follows_the_networks(folder):
    first = make_system(f"lyra={folder}").version
    assert make_system(f"lyra={folder}:16").version == first
    (folder / "README").write_text("no network")
    assert make_system(f"lyra={folder}").version == first
    (folder / "lyragan.tflite").write_text("decoder 2")
    assert make_system(f"lyra={folder}").version != first


@pytest.mark.parametrize("n_q", [0, 47])
def test_too_many_quantizers(folder, n_q):
    with pytest.raises(ValueError, match=f"lyra={folder}:{n_q}: n_q = {n_q}; it has 1 to 46 codebooks"):
        make_system(f"lyra={folder}:{n_q}")


@pytest.mark.parametrize("content", ["junk", "encoder"])
def test_other_networks_are_refused(folder, content):
    (folder / "quantizer.tflite").write_text(content)
    with pytest.raises(ValueError, match=rf"{folder}: .*; expected the networks of Lyra v2 in soundstream_encoder"):
        make_system(f"lyra={folder}")


@pytest.mark.parametrize("file", FILES)
def test_a_missing_network_says_where_it_is_from(folder, file):
    (folder / file).unlink()
    with pytest.raises(MissingDependencyError, match=rf"{file} not found; copy .* of github.com/google/lyra, "):
        make_system(f"lyra={folder}:16")


@pytest.mark.parametrize("spec", ["lyra", "lyra:16", "lyra=/no/such/folder:16"])
def test_without_a_folder(folder, spec, monkeypatch):
    monkeypatch.chdir(folder)  # which is not looked at
    with pytest.raises(MissingDependencyError, match=rf"^{spec}: soundstream_encoder.tflite not found; .*lyra=FOLDER"):
        make_system(spec)


def test_without_its_package(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingDependencyError, match="pip install ai-edge-litert"):
        make_system(f"lyra={folder}")


@pytest.mark.skipif(not REAL, reason="LYRA names no folder with the networks of Lyra v2")
def test_real_networks():
    pytest.importorskip("ai_edge_litert")
    x, scores = read_audio("tests/data/kathleen.flac", None, 24_000), []
    for n_q in (16, 30, 46):
        system = make_system(f"lyra={REAL}:{n_q}")
        coded = system.encode(x)
        assert coded.bits == -(-len(x) // 480) * n_q * 4
        assert (coded.codes.min(), coded.codes.max()) == (0, 15)
        assert torch.equal(system.encode(x).codes, coded.codes)
        y = system.decode(coded)
        assert y.shape == x.shape
        assert torch.equal(system.decode(coded), y)
        scores.append(estoi(x, y))
    assert 0.7 < scores[0] < scores[1] < scores[2] < 1
    n = 2 * len(x)
    correlation = torch.fft.irfft(torch.fft.rfft(y, n) * torch.fft.rfft(x, n).conj(), n)
    lag = int(correlation.argmax())
    assert min(lag, n - lag) <= 1
