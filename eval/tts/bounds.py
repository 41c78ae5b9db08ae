"""Upper bounds of speech models: recordings of the texts, and the same recordings through the model's codec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codec.audio.io import AudioError, read_audio, write_audio
from codec.tokenizer import Tokenizer
from eval.digest import digest
from eval.progress import progress
from eval.store import Outputs, make_folder
from eval.systems.base import SAMPLE_RATE
from eval.tts.synthesis import SpeechOutput
from eval.tts.voices import Request


def read_recordings(requests: Sequence[Request]) -> tuple[list[SpeechOutput], dict[str, str]]:
    """Return the recordings of the items that have one, and by id why others cannot be read."""
    recordings, failures = [], {}
    for item, reference in requests:
        if item.recording is None:
            continue
        try:
            waveform = read_audio(item.recording, None, SAMPLE_RATE)
        except AudioError as error:
            failures[item.id] = str(error)
            continue
        made_from = digest(f"{item.text} {item.language} {reference.digest}", waveform)
        seconds = len(waveform) / SAMPLE_RATE
        recordings.append(SpeechOutput(item, reference, made_from, item.recording, seconds))
    return recordings, failures


def round_trip(name: str, codec: Tokenizer, recordings: Sequence[SpeechOutput], outputs: Outputs) -> list[SpeechOutput]:
    """Encode and decode recordings, unless the folder of the run has the result.

    Args:
        name: of the system in results.
        codec: of a speech model.
        recordings: as from `read_recordings`.
        outputs: in the folder of the run.
    """
    decoded = []
    for recording in progress(recordings, desc=f"{name}: code", unit="file"):
        id, path = recording.item.id, outputs.audio(name, recording.item.id)
        made_from = {"version": codec.fingerprint, "digest": recording.digest}
        if outputs.find(name, id, made_from) is None:
            waveform = codec.decode(codec.encode(recording.path))[0].cpu()
            write_audio(make_folder(path), waveform, codec.config.sample_rate)
            outputs.add(name, id, made_from)
        decoded.append(replace(recording, path=path))
    return decoded
