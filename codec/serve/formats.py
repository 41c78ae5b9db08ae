"""Speech as bytes, packet by packet, in the formats that OpenAI's clients ask for."""

from __future__ import annotations

import io
from typing import Any, Protocol

import soundfile
from torch import Tensor

from codec.audio.wav import pcm_bytes, stream_header

# Names of formats and what HTTP calls them. OpenAI's aac is left out: libsndfile does not write it.
MEDIA_TYPES = {
    "wav": "audio/wav",
    "pcm": "audio/pcm",
    "flac": "audio/flac",
    "opus": "audio/ogg; codecs=opus",
    "mp3": "audio/mpeg",
}
# A response of a route, for its documentation.
AUDIO: dict[str, Any] = {"content": {kind: {} for kind in MEDIA_TYPES.values()}}
_KINDS = {"flac": ("FLAC", "PCM_16"), "opus": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III")}  # in soundfile
_PAGE_MS = 80.0  # of an Ogg page, at most: libsndfile would else wait for a second of sound
_SET_PAGE_MS = 0x1302  # SFC_SET_OGG_PAGE_LATENCY_MS, which soundfile has no method for
_HEADER_LAST = ("flac", "mp3")  # their header says how long they are, and is written once that is known


class Encoder(Protocol):
    """Waveforms `[L]` to bytes, some of which may only come at the end."""

    def push(self, waveform: Tensor) -> bytes: ...

    def close(self) -> bytes: ...


def make_encoder(format: str, sample_rate: int, comment: str) -> Encoder:
    """The encoder of one speech.

    Args:
        format: one of `MEDIA_TYPES`; pcm is 16-bit, mono, little-endian, without a header.
        sample_rate: in Hz.
        comment: for the metadata; pcm has none.
    """
    if format in _KINDS:
        return _Compressed(format, sample_rate, comment)
    return _Plain(stream_header(sample_rate, comment) if format == "wav" else b"")


class _Plain:
    def __init__(self, header: bytes) -> None:
        self._header = header

    def push(self, waveform: Tensor) -> bytes:
        header, self._header = self._header, b""
        return header + pcm_bytes(waveform)

    def close(self) -> bytes:
        return self._header


class _Compressed:
    def __init__(self, format: str, sample_rate: int, comment: str) -> None:
        self._made, self._n_sent = io.BytesIO(), 0
        kind, subtype = _KINDS[format]
        self._file = soundfile.SoundFile(self._made, "w", sample_rate, 1, subtype, format=kind)
        if comment:
            self._file.comment = comment
        if kind == "OGG":
            most = soundfile._ffi.new("double *", _PAGE_MS)
            soundfile._snd.sf_command(self._file._file, _SET_PAGE_MS, most, soundfile._ffi.sizeof("double"))
        self._is_sent_whole = format in _HEADER_LAST

    def push(self, waveform: Tensor) -> bytes:
        self._file.write(waveform.clamp(-1, 1).numpy(force=True))
        return b"" if self._is_sent_whole else self._new()

    def close(self) -> bytes:
        self._file.close()
        return self._new()

    def _new(self) -> bytes:
        start, self._n_sent = self._n_sent, self._made.getbuffer().nbytes
        return bytes(self._made.getbuffer()[start:])
