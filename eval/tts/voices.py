"""Reference voices of a model: each made once, from the first usable recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from torch import Tensor

from codec.audio.io import AudioError, read_audio
from codec.tts.speech import TTS
from codec.tts.voices import Voice
from eval.digest import digest
from eval.systems.base import SAMPLE_RATE, resample
from eval.tts.items import VOICE_SUFFIX, Item


@dataclass(frozen=True)
class ReferenceVoice:
    """A voice with its audio."""

    path: Path  # of a recording or a voice file
    voice: Voice
    tts: TTS

    @cached_property
    def digest(self) -> str:
        """Of the codes, the only input of a model."""
        return digest(self.voice.codes)

    def waveform(self) -> Tensor:
        """`[L]` at 24 kHz: the recording, or the decoded codes of a voice file."""
        if self.path.suffix != VOICE_SUFFIX:
            return read_audio(self.path, None, SAMPLE_RATE)
        decoded = self.tts.codec.decode(self.voice.codes[None])[0].cpu()
        return resample(decoded, self.tts.sample_rate, SAMPLE_RATE)


Request = tuple[Item, ReferenceVoice]  # a text and the voice to speak it in


def find_voices(tts: TTS, consent: str, items: Sequence[Item]) -> tuple[list[Request], dict[str, str]]:
    """Make the first usable voice of each item, each voice once.

    Args:
        tts: the model.
        consent: note for voices made from recordings; voice files have their own.
        items: to be spoken.

    Returns:
        The items with their voices, and by id why others have none.
    """

    @cache
    def make(path: Path) -> ReferenceVoice | AudioError:
        try:
            voice = Voice.load(path) if path.suffix == VOICE_SUFFIX else tts.voice(path, consent)
        except AudioError as error:
            return error
        return ReferenceVoice(path, voice, tts)

    found, voiceless = [], {}
    for item in items:
        voice = next((v for v in map(make, item.voices) if isinstance(v, ReferenceVoice)), None)
        if voice:
            found.append((item, voice))
        else:
            last = make(item.voices[-1])
            voiceless[item.id] = f"none of {len(item.voices)} recordings is usable as a voice; the last: {last}"
    return found, voiceless
