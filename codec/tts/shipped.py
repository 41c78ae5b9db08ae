"""Voices that come with this package: short clips of speakers who gave them away, encoded by the codec in use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from codec.audio.io import Audio
from codec.tts.text.languages import primary_language, primary_tag
from codec.tts.voices import MAX_SECONDS, MIN_SECONDS, VoiceError

SPEAKERS = Path(__file__).parent / "speakers"  # NAME.flac of each, and what speakers.json says of it


@dataclass(frozen=True)
class ShippedVoice:
    """A speaker to ask for by name."""

    name: str
    language: str  # a BCP-47 tag
    licence: str  # of the clip, by its SPDX name
    source: str  # where the recordings were published
    recording: str  # which of them the clip is from
    text: str  # what the clip says
    consent: str  # who agreed to the use of the voice, and how

    @property
    def clip(self) -> Path:
        """The recording to make the voice of."""
        return SPEAKERS / f"{self.name}.flac"

    def __str__(self) -> str:
        return f"{self.name} ({self.language})"


@cache
def shipped_voices() -> tuple[ShippedVoice, ...]:
    """All of them; the first one of a language is its default."""
    content = json.loads((SPEAKERS / "speakers.json").read_text(encoding="utf-8"))
    return tuple(ShippedVoice(name, **fields) for name, fields in content.items())


def voice_for(language: str) -> ShippedVoice:
    """The voice to speak a language in when none is asked for.

    Raises:
        VoiceError: no shipped voice speaks it. ValueError: the language is unknown.
    """
    wanted = primary_language(language)
    for voice in shipped_voices():
        if primary_tag(voice.language) == wanted:
            return voice
    raise VoiceError(f"language {language!r}: no shipped voice speaks it; take {_choices()}")


def named(audio: Audio) -> ShippedVoice | None:
    """The shipped voice that a text names; None for samples, paths, and the name of an existing file, which wins.

    Raises:
        VoiceError: neither a file nor a name.
    """
    if not isinstance(audio, str) or Path(audio).is_file():
        return None
    for voice in shipped_voices():
        if voice.name == audio:
            return voice
    raise VoiceError(f"voice {audio!r}: no such file, and no shipped voice; take {_choices()}")


def _choices() -> str:
    voices = ", ".join(map(str, shipped_voices()))
    return f"one of {voices}, or a recording of {MIN_SECONDS:g} to {MAX_SECONDS:g} s"
