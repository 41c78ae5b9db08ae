"""Shipped voices: short, freely licensed clips of speakers, encoded by the codec in use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from codec.audio.io import Audio
from codec.tts.text.languages import primary_language, primary_tag
from codec.tts.voices import MAX_SECONDS, MIN_SECONDS, VoiceError

SPEAKERS = Path(__file__).parent / "speakers"  # NAME.flac of each, and speakers.json


@dataclass(frozen=True)
class ShippedVoice:
    """A packaged clip of a speaker."""

    name: str
    language: str  # a BCP-47 tag
    licence: str  # of the clip, SPDX name
    source: str  # where the recordings were published
    recording: str  # recording of the clip
    text: str  # transcript of the clip
    consent: str  # who agreed to the use of the voice, and how

    @property
    def clip(self) -> Path:
        """Path of the recording."""
        return SPEAKERS / f"{self.name}.flac"

    def __str__(self) -> str:
        return f"{self.name} ({self.language})"


@cache
def shipped_voices() -> tuple[ShippedVoice, ...]:
    """List the shipped voices; the first one of a language is its default."""
    content = json.loads((SPEAKERS / "speakers.json").read_text(encoding="utf-8"))
    return tuple(ShippedVoice(name, **fields) for name, fields in content.items())


def default_voice(language: str) -> ShippedVoice:
    """Default voice of a language.

    Raises:
        VoiceError: no shipped voice for it. ValueError: an unknown language.
    """
    primary = primary_language(language)
    for voice in shipped_voices():
        if primary_tag(voice.language) == primary:
            return voice
    raise VoiceError(f"language {language!r}: no shipped voice for it; give {_choices()}")


def find_voice(audio: Audio) -> ShippedVoice | None:
    """Find a shipped voice by name; None for samples, paths and names of existing files.

    Raises:
        VoiceError: neither a file nor a shipped voice.
    """
    if not isinstance(audio, str) or Path(audio).is_file():
        return None
    for voice in shipped_voices():
        if voice.name == audio:
            return voice
    raise VoiceError(f"voice {audio!r}: no such file or shipped voice; give {_choices()}")


def _choices() -> str:
    voices = ", ".join(map(str, shipped_voices()))
    return f"one of {voices}, or a recording of {MIN_SECONDS:g} to {MAX_SECONDS:g} s"
