"""Playback, by the sounddevice package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from codec.extras import MissingDependencyError, needs

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def player(sample_rate: int) -> Iterator[Callable[[Tensor], None]]:
    """Yield a function that queues mono samples `[L]` for playback; leaving the context waits for the end.

    Late samples cause a gap.

    Raises:
        MissingDependencyError: sounddevice or PortAudio is not installed. OSError: no device, or it fails.
    """
    try:
        with needs("sounddevice", "playing", "play"):
            import sounddevice
    except OSError as error:
        raise MissingDependencyError(f"playing needs PortAudio: install libportaudio2 ({error})") from error
    try:
        with sounddevice.OutputStream(sample_rate, channels=1, dtype="float32") as device:

            def play(samples: Tensor) -> None:
                device.write(samples.float().clamp(-1, 1).numpy(force=True))

            yield play
    except sounddevice.PortAudioError as error:
        raise OSError(f"the sound device does not play {sample_rate} Hz mono ({error}); write a file") from error
