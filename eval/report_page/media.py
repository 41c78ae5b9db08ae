"""Audio and codes as a page carries them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from codec.audio.io import read_audio
from eval.baselines.base import SAMPLE_RATE
from eval.report_page.codebooks import read_codes
from eval.report_page.runs import Runs

# In libsndfile's terms; near 46 kbit/s for speech. Copies of the test clips score PESQ-WB 4.48 or more (of 4.64).
OPUS_COMPRESSION = 0.85
CODE = np.dtype("<u2")  # as report.js reads it


def opus(path: Path) -> bytes:
    """The recording as Ogg Opus, equally long.

    Raises:
        AudioError: it cannot be read.
    """
    waveform, file = read_audio(path, None, SAMPLE_RATE).numpy(), io.BytesIO()
    soundfile.write(file, waveform, SAMPLE_RATE, "OPUS", format="OGG", compression_level=OPUS_COMPRESSION)
    return file.getvalue()


def media(runs: Runs) -> Iterator[tuple[str, bytes]]:
    """All audio and codes that are kept, as `audio-S-R` and `codes-S-R` with the numbers of system and recording.

    Audio is Ogg Opus, that of the recordings themselves `audio-reference-R`; codes are uint16, little-endian.

    Raises:
        ValueError: a file cannot be read, or a codebook has more than 65,536 entries.
    """
    for r, recording in enumerate(runs.results.recordings):
        for s, (system, source) in enumerate(runs.sources.items()):
            if path := source.file("audio", recording.id):
                yield f"audio-{s}-{r}", opus(path)
    for s, system in enumerate(runs.results.systems):
        sizes = system.codebook_sizes
