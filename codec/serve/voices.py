"""The voices of a server: those that come with this package, and those in its folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from fastapi import APIRouter, Request

from codec.serve.errors import ApiError
from codec.tts.shipped import shipped_voices
from codec.tts.speech import TTS
from codec.tts.voices import Voice

SUFFIX = ".safetensors"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

router = APIRouter(prefix="/v1/audio/voices")


@dataclass(frozen=True)
class Speaker:
    """A voice and the language that it speaks by itself."""

    voice: Voice
    language: str


class VoiceStore:
    """Voices by name.

    Args:
        tts: the model that speaks as them.
        folder: of voice files, `NAME.safetensors` each; None: there are only the shipped ones.
    """

    def __init__(self, tts: TTS, folder: Path | None = None) -> None:
        self.tts, self.folder = tts, folder
        self._shipped = {voice.name: voice for voice in shipped_voices()}
        self._made: dict[str, Speaker] = {}  # of the shipped ones
        self._lock = Lock()

    def describe(self) -> list[dict[str, Any]]:
        """What is known of each."""
        shipped = [
            {"id": v.name, "object": "audio.voice", "language": v.language, "consent": v.consent}
            for v in self._shipped.values()
        ]
        own = [
            {"id": path.stem, "object": "audio.voice", "language": None, "consent": Voice.load(path).provenance.consent}
            for path in self._files()
        ]
        return shipped + own

    def get(self, name: str) -> Speaker:
        """A voice, encoded now if it is a shipped one that nobody asked for before.

        Raises:
            ApiError: there is none of that name.
        """
        if name in self._shipped:
            with self._lock:
                if name not in self._made:
                    shipped = self._shipped[name]
                    self._made[name] = Speaker(self.tts.voice(shipped.clip, shipped.consent), shipped.language)
                return self._made[name]
        path = self._path(name)
        if path is None or not path.is_file():
            names = ", ".join([*self._shipped, *(path.stem for path in self._files())])
            raise ApiError(f"voice {name!r}: there is none of that name; take one of {names}", 400, "voice")
        return Speaker(Voice.load(path), "en")

    def _files(self) -> list[Path]:
        return [] if self.folder is None else sorted(self.folder.glob(f"*{SUFFIX}"))

    def _path(self, name: str) -> Path | None:
        """Of an own voice, be it there or not."""
        return self.folder / f"{name}{SUFFIX}" if self.folder is not None and NAME.fullmatch(name) else None


@router.get("")
def list_voices(request: Request) -> dict[str, Any]:
    """The voices that there are."""
    return {"object": "list", "data": request.app.state.voices.describe()}
