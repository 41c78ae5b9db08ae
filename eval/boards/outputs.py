"""The audio that a run keeps, by system and recording, as files for other programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import soundfile

from codec.files import atomic_file
from eval.results import Recording, Results
from eval.store import file_of


@dataclass(frozen=True)
class Output:
    """The output of a system for a recording, or the recording itself."""

    recording: Recording
    path: Path  # of the audio

    @property
    def name(self) -> str:
        """Unique in the run, without spaces or slashes."""
        return self.path.stem


def read_outputs(run: Path) -> dict[str, list[Output]]:
    """List the audio in the folder of a run of `python -m eval` or `eval.tts`, by system.

    Systems are named as in the run; recordings of the test set are the system `reference`, and those of a voice model
    are `MODEL@SEED`.

    Raises:
        ValueError: it is no such folder, or has no audio.
    """
    recordings = Results.load(run).recordings
    systems = sorted(unquote(folder.name) for folder in (run / "audio").glob("*/"))
    found = {system: list(_outputs(run, system, recordings)) for system in systems}
    found = {system: outputs for system, outputs in found.items() if outputs}
    if not found:
        raise ValueError(f"{run}: no audio of its recordings in it; run python -m eval or python -m eval.tts again")
    return found


def _outputs(run: Path, system: str, recordings: list[Recording]) -> Iterator[Output]:
    for recording in recordings:
        path = file_of(run, "audio", system, recording.id)
        if path.exists():
            yield Output(recording, path)


def write_wavs(outputs: list[Output], folder: Path) -> None:
    """Write each output as `NAME.wav`, 16-bit PCM at its own rate; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for output in outputs:
        waveform, sample_rate = soundfile.read(output.path, dtype="int16")
        with atomic_file(folder / f"{output.name}.wav") as new:
            soundfile.write(new, waveform, sample_rate, subtype="PCM_16")


def folder_of(out: Path, output: Output) -> Path:
    """The folder of the output's system in `out`."""
    return out / output.path.parent.name
