"""Opus packet by packet through the C library, whose decoder conceals lost packets."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes.util import find_library

import numpy as np
import torch
from torch import Tensor

from codec.extras import MissingDependencyError
from eval.systems.base import SAMPLE_RATE

# From opus_defines.h.
VOIP, SET_BITRATE, GET_LOOKAHEAD = 2048, 4002, 4027
MAX_BYTES = 1275  # of a packet


class OpusPackets:
    """Encoder and decoder of one rate and packet size, mono, 24 kHz.

    Args:
        kbit_per_s: target rate, from 6.
        packet_ms: audio of a packet: 20, 40 or 60.

    Raises:
        MissingDependencyError: libopus is not installed.
    """

    def __init__(self, kbit_per_s: int = 6, packet_ms: int = 60) -> None:
        name = find_library("opus")
        if name is None:
            raise MissingDependencyError("libopus not found: install the Debian package opus-tools")
        self.lib, self.kbit_per_s, self.packet_ms = ctypes.CDLL(name), kbit_per_s, packet_ms
        self.n_samples = SAMPLE_RATE * packet_ms // 1000
        for kind in ("encoder", "decoder"):
            getattr(self.lib, f"opus_{kind}_create").restype = ctypes.c_void_p
            getattr(self.lib, f"opus_{kind}_destroy").argtypes = [ctypes.c_void_p]

    def encode(self, waveform: Tensor) -> tuple[list[bytes], int]:
        """Encode `[L]` float32; returns the packets, and the delay of their decoded samples."""
        lib, error, delay = self.lib, ctypes.c_int(), ctypes.c_int()
        coder = ctypes.c_void_p(lib.opus_encoder_create(SAMPLE_RATE, 1, VOIP, ctypes.byref(error)))
        lib.opus_encoder_ctl(coder, SET_BITRATE, ctypes.c_int(1000 * self.kbit_per_s))
        lib.opus_encoder_ctl(coder, GET_LOOKAHEAD, ctypes.byref(delay))
        n_packets = -(-(len(waveform) + delay.value) // self.n_samples)
        samples = np.zeros(n_packets * self.n_samples, np.float32)
        samples[: len(waveform)] = waveform.numpy(force=True)
        packets, buffer = [], ctypes.create_string_buffer(MAX_BYTES)
        for part in samples.reshape(n_packets, -1):
            part = np.ascontiguousarray(part)
            size = lib.opus_encode_float(coder, part.ctypes.data_as(ctypes.c_void_p), len(part), buffer, MAX_BYTES)
            packets.append(buffer.raw[: _checked(size)])
        lib.opus_encoder_destroy(coder)
        return packets, delay.value

    def decode(self, packets: Sequence[bytes | None], delay: int, n_samples: int) -> Tensor:
        """Decode packets, None for a lost one, to `[n_samples]` float32 without the delay."""
        lib, error = self.lib, ctypes.c_int()
        decoder = ctypes.c_void_p(lib.opus_decoder_create(SAMPLE_RATE, 1, ctypes.byref(error)))
        samples = np.zeros((len(packets), self.n_samples), np.float32)
        for packet, out in zip(packets, samples, strict=True):
            size, target = len(packet or b""), out.ctypes.data_as(ctypes.c_void_p)
            _checked(lib.opus_decode_float(decoder, packet, size, target, self.n_samples, 0))
        lib.opus_decoder_destroy(decoder)
        return torch.from_numpy(samples.ravel()[delay : delay + n_samples])


def _checked(result: int) -> int:
    """A result of the library. Raises RuntimeError for its error codes."""
    if result < 0:
        raise RuntimeError(f"libopus: error {result}")
    return result
