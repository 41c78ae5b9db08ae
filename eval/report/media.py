"""Audio and codes of a page."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from codec.audio.io import read_audio
from eval.progress import progress
from eval.report.runs import Runs, Source
from eval.store import Kind, read_codes
from eval.systems.base import SAMPLE_RATE

# In libsndfile's terms; near 46 kbit/s for speech. Copies of the test clips score PESQ-WB 4.48 or more (of 4.64).
OPUS_COMPRESSION = 0.85
CODE = np.dtype("<u2")  # as heatmap.js reads it


def opus(path: Path) -> bytes:
    """Encode a recording as Ogg Opus, equally long.

    Raises:
        AudioError: it cannot be read.
    """
    waveform, file = read_audio(path, None, SAMPLE_RATE).numpy(), io.BytesIO()
    soundfile.write(file, waveform, SAMPLE_RATE, "OPUS", format="OGG", compression_level=OPUS_COMPRESSION)
    return file.getvalue()


def media(runs: Runs) -> Iterator[tuple[str, bytes]]:
    """Yield all kept audio and codes, as `audio-S-R` and `codes-S-R` with the numbers of system and recording.

    Audio is Ogg Opus, that of the recordings themselves `audio-reference-R`; codes are `[K, T]` uint16, little-endian.

    Raises:
        ValueError: an audio file cannot be read, or codes do not fit 16 bits.
    """
    sources = {"reference": runs.reference} | {str(s): source for s, source in enumerate(runs.sources.values())}
    recordings = progress(runs.results.recordings, desc="audio", unit="recording")
    with ThreadPoolExecutor() as pool:
        for r, recording in enumerate(recordings):
            audio = _files(sources, "audio", recording.id)
            for s, file in zip(audio, pool.map(opus, audio.values()), strict=True):
                yield f"audio-{s}-{r}", file
            for s, path in _files(sources, "codes", recording.id).items():
                yield f"codes-{s}-{r}", _codes(path)


def _files(sources: dict[str, Source], kind: Kind, recording: str) -> dict[str, Path]:
    """Return the kept files of a recording, by source."""
    paths = {s: source.file(kind, recording) for s, source in sources.items()}
    return {s: path for s, path in paths.items() if path}


def _codes(path: Path) -> bytes:
    codes = read_codes(path)
    if codes.size and not 0 <= codes.min() <= codes.max() <= np.iinfo(CODE).max:
        raise ValueError(f"{path}: codes from {codes.min()} to {codes.max()}; the page holds 0 to 65535")
    return codes.astype(CODE).tobytes()
