"""Voices: codes of some seconds of a speaker, with provenance and consent."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, int32, int64

from codec.audio.io import Audio, AudioError, read_audio, read_content, to_mono, unpack
from codec.tensors import write_tensors
from codec.tokenizer import Tokenizer
from codec.tokens.tokens import check_codes

MIN_SECONDS, MAX_SECONDS = 3.0, 30.0  # of a reference, without silence at its ends
MARGIN_SECONDS = 0.3  # of silence to keep at each end
WINDOW_SECONDS = 0.02  # of the short-time level
SILENT_RMS = 1e-3  # -60 dBFS; a quieter recording counts as silent
SILENT_DB = -40.0  # level of a silent window, relative to the loudest
MAX_CONSENT_BYTES = 1500  # as JSON, to fit the comment of a .wav file
NOTICE = "synthetic speech, made by codec37 in the voice of a reference recording"


class VoiceError(AudioError):
    """An unusable reference or voice file; the message says what to do."""


@dataclass(frozen=True)
class Provenance:
    """Origin of a voice.

    Raises:
        VoiceError: an invalid field; the message names it.
    """

    source: str  # name of the reference's file, or "samples"
    sha256: str  # of the file's bytes, or of the samples: mono float32 at their own rate
    created: str  # time of creation: ISO 8601, UTC
    consent: str  # who agreed to the use of the voice, and how
    codec: str  # fingerprint of the codec
    seconds: float  # of the trimmed reference

    def __post_init__(self) -> None:
        _require(bool(self.source), "source", self.source, 'the name of a file, or "samples"')
        _require(re.fullmatch("[0-9a-f]{64}", self.sha256), "sha256", self.sha256, "64 hex digits")
        _require(_is_utc(self.created), "created", self.created, "a time in UTC, like 2026-01-31T12:00:00+00:00")
        _require(bool(self.consent.strip()), "consent", self.consent, "a note: who agreed to this use, and how")
        size = len(json.dumps(self.consent, ensure_ascii=False).encode())
        _require(size <= MAX_CONSENT_BYTES, "consent", f"{size} bytes", f"a note of at most {MAX_CONSENT_BYTES} bytes")
        _require(re.fullmatch("[0-9a-f]+", self.codec), "codec", self.codec, "the hex digits of a fingerprint")
        _require(0 < self.seconds < math.inf, "seconds", self.seconds, "a positive number")


@dataclass(frozen=True)
class Voice:
    """A voice for TTS.

    Raises:
        VoiceError: `codes` have a wrong type or shape, or are negative.
    """

    codes: Tensor  # [K, T] int64, of the codec, unshifted
    provenance: Provenance

    def __post_init__(self) -> None:
        codes = self.codes
        if codes.dtype != int64 or codes.ndim != 2 or not codes.numel() or int(codes.min()) < 0:
            lowest = f", lowest {int(codes.min())}" if codes.numel() else ""
            raise VoiceError(f"codes: {codes.dtype} {tuple(codes.shape)}{lowest}; expected int64 [K, T] of 0 or more")

    def check(self, codebook_sizes: tuple[int, ...], fingerprint: str = "") -> None:
        """Check that the codes are those of a codec; the fingerprint "" accepts any of the same shape.

        Raises:
            VoiceError: codes of another codec, or with a wrong number of codebooks.
        """
        remake = "make the voice again from its recording, with the codec of this model"
        if fingerprint not in ("", self.provenance.codec):
            raise VoiceError(f"voice: made by codec {self.provenance.codec}, this model's is {fingerprint}; {remake}")
        try:
            check_codes(self.codes[None], codebook_sizes)
        except ValueError as error:
            raise VoiceError(f"voice: {error}; {remake}") from error
        if len(self.codes) != len(codebook_sizes):
            raise VoiceError(
                f"voice: {len(self.codes)} codebooks, this model's codec has {len(codebook_sizes)}; {remake}"
            )

    def save(self, path: str | Path) -> None:
        """Write a safetensors file."""
        metadata = {name: str(value) for name, value in dataclasses.asdict(self.provenance).items()}
        write_tensors(Path(path), {"codes": self.codes.to(int32).cpu()}, metadata)

    @classmethod
    def load(cls, path: str | Path) -> Voice:
        """Read what `save` wrote.

        Raises:
            VoiceError: a missing or damaged file, another kind of file, or one without consent; the message names it.
        """
        try:
            with safe_open(path, framework="pt") as file:
                codes, metadata = file.get_tensor("codes"), file.metadata() or {}
            fields = {field.name: metadata[field.name] for field in dataclasses.fields(Provenance)}
            provenance = Provenance(**{**fields, "seconds": float(fields["seconds"])})  # type: ignore[arg-type]
            return cls(codes.long() if codes.dtype == int32 else codes, provenance)
        except KeyError as error:
            raise VoiceError(f"{path}: no {error} in it; make the voice file again with make_voice") from error
        except (OSError, SafetensorError, ValueError) as error:
            raise VoiceError(f"{path}: not a voice file, or a damaged one ({error})") from error


def make_voice(tokenizer: Tokenizer, audio: Audio, consent: str, sample_rate: float | None = None) -> Voice:
    """Make a voice from a recording of one speaker, with a note of consent.

    Silence at the ends is trimmed to `MARGIN_SECONDS`. Whether it is speech of one speaker is not checked: music, noise
    or several speakers give a bad voice.

    Args:
        tokenizer: codec of the TTS model.
        audio: `MIN_SECONDS` to `MAX_SECONDS`: a path, an open file, samples, or other input of `read_audio`.
        consent: who agreed to the use of the voice, and how; stored in the voice and in its speech.
        sample_rate: of bare samples, in Hz.

    Raises:
        VoiceError: no consent, or the recording is too short, too long or silent.
        AudioError: unreadable audio. MissingEncoderError: the codec has no encoder.
    """
    if not consent.strip():
        raise VoiceError(f"consent = {consent!r}: say who agreed to the use of this voice, and how")
    target = tokenizer.config.sample_rate
    source, sample_rate = unpack(audio, sample_rate)
    path = Path(source) if isinstance(source, str | Path) else None
    name = "samples" if path is None else str(path)
    if hasattr(source, "read"):
        source = io.BytesIO(read_content(source, name))  # read twice
    waveform = _trim(read_audio(source, sample_rate, target, name), target, name)
    seconds = len(waveform) / target
    wanted = f"expected {MIN_SECONDS:g} to {MAX_SECONDS:g} s of one speaker"
    if seconds < MIN_SECONDS:
        raise VoiceError(f"{name}: {seconds:.2f} s without the silence at its ends; {wanted}: take a longer recording")
    if seconds > MAX_SECONDS:
        how = "slice them" if path is None else f"for example ffmpeg -i {path} -ss 0 -t 20 reference.wav"
        raise VoiceError(f"{name}: {seconds:.2f} s; {wanted}: cut out a span of clear speech, {how}")
    provenance = Provenance(
        source="samples" if path is None else path.name,
        sha256=hashlib.sha256(_content(source)).hexdigest(),
        created=_now(),
        consent=consent,
        codec=tokenizer.fingerprint,
        seconds=seconds,
    )
    return Voice(tokenizer.encode(waveform, target).codes[0].cpu(), provenance)


def provenance_comment(voice: Voice) -> str:
    """JSON for the metadata of an audio file spoken with a voice."""
    fields = {
        "notice": NOTICE,
        "created": _now(),
        "voice_sha256": voice.provenance.sha256,
        "voice_created": voice.provenance.created,
        "consent": voice.provenance.consent,
    }
    return json.dumps(fields, ensure_ascii=False)


def _content(source: Any) -> bytes:
    """Bytes that identify a recording: those of its file, or its samples as mono float32."""
    if isinstance(source, io.BytesIO):
        return source.getvalue()
    return Path(source).read_bytes() if isinstance(source, str | Path) else to_mono(source).numpy(force=True).tobytes()


def _trim(waveform: Tensor, sample_rate: int, name: str) -> Tensor:
    """Trim silence at the ends of `[L]`, except for a margin."""
    centred = waveform - waveform.mean()  # ignores an offset
    if float(centred.square().mean().sqrt()) < SILENT_RMS:
        level = f"{20 * math.log10(SILENT_RMS):.0f} dBFS"
        raise VoiceError(f"{name}: silent, or nearly so (below {level}); check the microphone, or turn it up")
    window, margin = round(WINDOW_SECONDS * sample_rate), round(MARGIN_SECONDS * sample_rate)
    power = F.pad(centred, (0, -len(centred) % window)).view(-1, window).square().mean(1)
    loud = (power > power.max() * 10 ** (SILENT_DB / 10)).nonzero()
    start, stop = int(loud[0]) * window - margin, (int(loud[-1]) + 1) * window + margin
    return waveform[max(start, 0) : stop]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _is_utc(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).utcoffset() == timedelta(0)
    except ValueError:
        return False


def _require(condition: object, name: str, value: object, expected: str) -> None:
    if not condition:
        raise VoiceError(f"{name} = {value!r}: expected {expected}")
