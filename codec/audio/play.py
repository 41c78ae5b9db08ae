"""The sound device of this computer, through the sounddevice package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def player(sample_rate: int) -> Iterator[Callable[[Tensor], None]]:
    """A function that plays mono samples `[L]`, each call's after those of the last; leaving waits for the end.

    Samples that come later than they are due leave a gap.

    Raises:
        ImportError: sounddevice is not installed. OSError: PortAudio or a device is missing, or fails.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise ImportError("playing needs sounddevice: pip install sounddevice, or write a file") from error
    except OSError as error:
        raise OSError(f"playing needs PortAudio ({error}): install libportaudio2, or write a file") from error
    try:
        with sounddevice.OutputStream(sample_rate, channels=1, dtype="float32") as device:

            def play(samples: Tensor) -> None:
                device.write(samples.float().clamp(-1, 1).numpy(force=True))

            yield play
    except sounddevice.PortAudioError as error:
        raise OSError(f"the sound device does not play {sample_rate} Hz mono ({error}); write a file") from error
