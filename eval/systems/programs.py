"""Codecs that are pairs of programs: Opus, Speex and Codec 2."""

from __future__ import annotations

import io
import math
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.extras import MissingDependencyError
from eval.systems.base import SAMPLE_RATE, Coded, System, resample
from eval.systems.ogg import payload_bits

N_OGG_HEADERS = 2
CODEC2_RATE = 8_000  # Hz
CODEC2_FRAME_BITS = {"3200": 64, "2400": 48, "1600": 64, "700C": 28}  # c2enc pads each frame to whole bytes


class OggProgram(System):
    """An encoder from WAV to Ogg and its decoder.

    Args:
        name: as in tables.
        package: the Debian package.
        encoder: command without its last two arguments, the paths of input and output; `decoder` as well.
        sample_rate: of the encoder's input in Hz.
        lag: as of `System`.

    Raises:
        MissingDependencyError: a program is not installed.
    """

    def __init__(
        self,
        name: str,
        package: str,
        encoder: str,
        decoder: str,
        sample_rate: int = SAMPLE_RATE,
        lag: int | None = None,
    ) -> None:
        self.name, self.encoder, self.decoder = name, encoder.split(), decoder.split()
        self.sample_rate, self.lag = sample_rate, lag
        require_programs(package, self.encoder[0], self.decoder[0])

    def encode(self, waveform: Tensor) -> Coded:
        file = io.BytesIO()
        soundfile.write(file, _to_pcm(waveform, self.sample_rate), self.sample_rate, format="WAV")
        data = convert(self.encoder, file.getvalue(), ".ogg")
        return Coded(payload_bits(data, N_OGG_HEADERS), data)

    def decode(self, coded: Coded) -> Tensor:
        return _of_pcm(*soundfile.read(io.BytesIO(convert(self.decoder, coded.data, ".wav")), dtype="int16"))


def opus(name: str, bitrate: int, frame_ms: int = 20) -> OggProgram:
    """Opus with a target bitrate in kbit/s: linear prediction below about 10 kbit/s, transform coding above.

    opusdec removes the delay that the header states, so there is no lag.
    """
    encoder = f"opusenc --quiet --bitrate {bitrate} --framesize {frame_ms}"
    return OggProgram(name, "opus-tools", encoder, f"opusdec --quiet --rate {SAMPLE_RATE}", lag=0)


def speex(name: str, band: str, quality: int) -> OggProgram:
    """Speex, linear prediction of `narrowband` (8 kHz) or `wideband` (16 kHz) at a constant quality, 0 to 10."""
    rate = {"narrowband": 8_000, "wideband": 16_000}[band]
    return OggProgram(name, "speex", f"speexenc --{band} --quality {quality}", "speexdec", rate)


class Codec2(System):
    """Codec 2, parametric narrowband coding in one `mode` of c2enc and c2dec: 3200, 2400, 1600 or 700C.

    Raises:
        MissingDependencyError: they are not installed.
    """

    def __init__(self, mode: str) -> None:
        require_programs("codec2", "c2enc", "c2dec")
        self.name, self.mode = f"codec2-{mode}", mode

    def encode(self, waveform: Tensor) -> Coded:
        data = convert(["c2enc", self.mode], _to_pcm(waveform, CODEC2_RATE).tobytes(), "")  # .c2 would add a header
        frame_bits = CODEC2_FRAME_BITS[self.mode]
        return Coded(float(len(data) // math.ceil(frame_bits / 8) * frame_bits), data)

    def decode(self, coded: Coded) -> Tensor:
        return _of_pcm(np.frombuffer(convert(["c2dec", self.mode], coded.data, ".raw"), "<i2"), CODEC2_RATE)


def require_programs(package: str, *names: str) -> None:
    """Raise MissingDependencyError, which names the Debian package, unless all programs are on PATH."""
    for name in names:
        if shutil.which(name) is None:
            raise MissingDependencyError(f"{name} not found: install the Debian package {package}")


def run_program(command: Sequence[str | Path]) -> None:
    """Run a program to its end.

    Raises:
        RuntimeError: it fails; the message has the last line of its output.
    """
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, errors="replace", check=False)
    if result.returncode:
        last = (result.stderr.strip() or result.stdout.strip()).rpartition("\n")[2]
        raise RuntimeError(f"{command[0]} failed with status {result.returncode}: {last}")


def convert(command: Sequence[str], data: bytes, suffix: str) -> bytes:
    """Convert the content of a file with a program.

    Args:
        command: without its last two arguments, the paths of input and output.
        data: content of the input.
        suffix: of the output, which some programs go by.

    Raises:
        RuntimeError: the program fails (see `run_program`).
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in", Path(folder) / f"out{suffix}"
        source.write_bytes(data)
        run_program([*command, source, target])
        return target.read_bytes()


def _to_pcm(waveform: Tensor, sample_rate: int) -> NDArray[np.int16]:
    """Waveform `[L]` at 24 kHz as 16-bit samples at `sample_rate`."""
    x = resample(waveform, SAMPLE_RATE, sample_rate).numpy(force=True)
    return np.clip(np.round(x * 32768), -32768, 32767).astype("<i2")


def _of_pcm(samples: NDArray[np.int16], sample_rate: int) -> Tensor:
    """16-bit samples at `sample_rate` as a waveform `[L]` at 24 kHz."""
    return resample(torch.from_numpy(samples.astype(np.float32) / 32768), sample_rate, SAMPLE_RATE)
