"""The voices of a server: those that come with this package, and those in its folder."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request

from codec.serve.errors import ApiError
from codec.serve.upload import read_upload
from codec.tts.shipped import shipped_voices
from codec.tts.speech import TTS
from codec.tts.voices import Voice

SUFFIX = ".safetensors"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

router = APIRouter(prefix="/v1/audio/voices")


@dataclass(frozen=True)
class ServedVoice:
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
        self._made: dict[str, ServedVoice] = {}  # of the shipped ones
        self._lock = Lock()

    def describe(self) -> list[dict[str, Any]]:
        """What is known of each."""
        shipped = [_about(v.name, v.language, v.consent) for v in self._shipped.values()]
        return shipped + [_about(path.stem, None, Voice.load(path).provenance.consent) for path in self._files()]

    def get(self, name: str) -> ServedVoice:
        """A voice, encoded now if it is a shipped one that nobody asked for before.

        Raises:
            ApiError: there is none of that name.
        """
        if name in self._shipped:
            with self._lock:
                if name not in self._made:
                    shipped = self._shipped[name]
                    self._made[name] = ServedVoice(self.tts.voice(shipped.clip, shipped.consent), shipped.language)
                return self._made[name]
        path = self._path(name)
        if path is None or not path.is_file():
            names = ", ".join([*self._shipped, *(path.stem for path in self._files())])
            raise ApiError(f"voice {name!r}: there is none of that name; take one of {names}", 400, "voice")
        return ServedVoice(Voice.load(path), "en")

    def add(self, name: str, recording: bytes, consent: str) -> None:
        """Keep the voice of a recording.

        Raises:
            ApiError: there is no folder, or the name is taken or impossible. AudioError: of the recording or consent.
        """
        path = self._path(name)
        if self.folder is None:
            raise ApiError("this server keeps no voices; start it with a folder for them", 403)
        if path is None:
            raise ApiError(f"name {name!r}: expected at most 64 of a-z, 0-9, - and _", 400, "name")
        samples, _ = read_upload(recording, self.tts.sample_rate)
        voice = self.tts.voice(samples, consent, self.tts.sample_rate)
        with self._lock:
            if path.exists() or name in self._shipped:
                raise ApiError(f"name {name!r}: taken; delete that voice first, or take another name", 409, "name")
            voice.save(path)

    def delete(self, name: str) -> None:
        """Forget a voice that was added.

        Raises:
            ApiError: none of that name was.
        """
        path = self._path(name)
        with self._lock:
            if path is None or not path.is_file():
                raise ApiError(f"voice {name!r}: none of that name was added", 404, "voice")
            path.unlink()

    def _files(self) -> list[Path]:
        return [] if self.folder is None else sorted(self.folder.glob(f"*{SUFFIX}"))

    def _path(self, name: str) -> Path | None:
        """Of an own voice, be it there or not."""
        return self.folder / f"{name}{SUFFIX}" if self.folder is not None and NAME.fullmatch(name) else None


def _about(name: str, language: str | None, consent: str) -> dict[str, Any]:
    return {"id": name, "object": "audio.voice", "language": language, "consent": consent}


@router.get("")
def list_voices(request: Request) -> dict[str, Any]:
    """The voices that there are."""
    return {"object": "list", "data": request.app.state.voices.describe()}


@router.post("", status_code=201)
async def add_voice(
    request: Request,
    name: Annotated[str, Form()],
    consent: Annotated[str, Form()],
    audio_sample: Annotated[bytes, File()],
) -> dict[str, Any]:
    """Make a voice of a recording of 3 to 30 s; `consent` says who agreed to its use, and how."""
    state = request.app.state
    async with state.codec_turn:
        await asyncio.to_thread(state.voices.add, name, audio_sample, consent)
    return _about(name, None, consent)


@router.delete("/{name}")
def delete_voice(request: Request, name: str) -> dict[str, Any]:
    """Forget a voice that was added."""
    request.app.state.voices.delete(name)
    return {"id": name, "object": "audio.voice", "deleted": True}
