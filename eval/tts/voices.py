"""The voices that a model is to speak in: each made once, from the first recording that will do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
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
    """A voice, and what it sounds like."""

    path: Path  # of a recording or a voice file
    voice: Voice
    tts: TTS

    @cached_property
    def digest(self) -> str:
        """Of the codes, which are all that a model knows of a voice."""
        return digest(self.voice.codes)

    def waveform(self) -> Tensor:
        """`[L]` at 24 kHz: the recording, or what the codec makes of a voice file."""
        if self.path.suffix != VOICE_SUFFIX:
            return read_audio(self.path, None, SAMPLE_RATE)
        decoded = self.tts.codec.decode(self.voice.codes[None])[0].cpu()
        return resample(decoded, self.tts.sample_rate, SAMPLE_RATE)


class ReferenceVoices:
    """ReferenceVoices of one model by file.

    Args:
        tts: the model.
        consent: the note that goes into voices made from recordings; voice files have their own.
    """

    def __init__(self, tts: TTS, consent: str) -> None:
        self.tts, self.consent = tts, consent
        self._made: dict[Path, ReferenceVoice | AudioError] = {}

    def find(self, item: Item) -> ReferenceVoice:
        """The first usable voice of the item.

        Raises:
            AudioError: none is; the message says why the last one is not.
        """
        for path in item.voices:
            if path not in self._made:
                self._made[path] = self._make(path)
            if isinstance(found := self._made[path], ReferenceVoice):
                return found
        raise AudioError(f"none of {len(item.voices)} recordings is usable as a voice; the last: {found}")

    def _make(self, path: Path) -> ReferenceVoice | AudioError:
        try:
            voice = Voice.load(path) if path.suffix == VOICE_SUFFIX else self.tts.voice(path, self.consent)
        except AudioError as error:
            return error
        return ReferenceVoice(path, voice, self.tts)
