"""What speech models say, kept as audio and codes with how long it took."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from codec.audio.io import write_audio
from codec.tts.sampling import Sampling
from codec.tts.speech import TTS, Speech
from codec.tts.voices import provenance_comment
from eval.metrics.base import Column
from eval.progress import progress
from eval.results import file_of
from eval.run import Lines, keep_codes
from eval.speed import timed
from eval.tts.items import Item
from eval.tts.voices import Reference

COLUMNS = (
    Column("chars_per_s", "characters/s", False, 1),
    Column("cut", "cut", False, 2),  # share that did not end by themselves
    Column("rtf", "RTF", False, 3),
    Column("first_audio", "first audio", False, 0, "ms"),
)


@dataclass(frozen=True)
class Take:
    """An utterance that is there to be judged; what the fields with a default say is not known of recordings."""

    item: Item
    reference: Reference
    digest: str  # of all that it was made from, but for the model
    path: Path  # of the audio
    seconds: float
    cut: bool | None = None  # part of it did not end by itself
    rtf: float | None = None  # compute time per audio time, of the batch that it was made in
    first_audio: float | None = None  # ms from the request to the first packet of a stream, the voice being known

    def values(self) -> dict[str, float]:
        """By key of `COLUMNS`; rates of an utterance without any audio are left out."""
        chars_per_s = len(self.item.text) / self.seconds if self.seconds else None
        values = {"chars_per_s": chars_per_s, "cut": self.cut, "rtf": self.rtf, "first_audio": self.first_audio}
        return {key: float(value) for key, value in values.items() if value is not None}


class Speaker:
    """A model with one setting at work; what it said before is taken from the folder of the run.

    Args:
        name: as in results.
        tts: the model.
        version: of the model; what it said is kept for as long as this, text, voice and settings stay the same.
        sampling: the settings, with the seed.
        out: folder of the run.
        lines: what is kept there, by system and id.
    """

    def __init__(self, name: str, tts: TTS, version: str, sampling: Sampling, out: Path, lines: Lines) -> None:
        self.name, self.tts, self.version, self.sampling = name, tts, version, sampling
        self.out, self.lines, self._is_warm = out, lines, False

    def say(self, wanted: Sequence[tuple[Item, Reference]], batch_size: int) -> tuple[list[Take], dict[str, str]]:
        """Takes of all items that can be spoken, in their order, and by id why others cannot.

        Texts of about the same length are spoken side by side, `batch_size` at a time.
        """
        missing = [one for one in wanted if self._kept(*one) is None]
        missing.sort(key=lambda one: len(one[0].text))
        batches = deque(missing[i : i + batch_size] for i in range(0, len(missing), batch_size))
        failures: dict[str, str] = {}
        with progress(total=len(missing), desc=f"{self.name}: speak", unit="text") as bar:
            while batches:
                batch = batches.popleft()
                try:
                    self._say(batch)
                except (ValueError, RuntimeError) as error:
                    if len(batch) > 1:  # which of them it was shows one by one
                        batches.extendleft([one] for one in batch)
                        continue
                    failures[batch[0][0].id] = str(error)
                bar.update(len(batch))
        takes = (self._kept(*one) for one in wanted)
        return [take for take in takes if take], failures

    def _say(self, batch: list[tuple[Item, Reference]]) -> None:
        """Speak a batch by the clock and keep it.

        Raises:
            ValueError, RuntimeError: one of the texts cannot be spoken, or memory does not suffice.
        """
        if not self._is_warm:
            self._first_audio(*batch[0])  # the first call pays for what later ones find ready
            self._is_warm = True
        device = self.tts.model.device
        elapsed, made = timed(device, self._speak, batch)
        seconds = [len(waveform) / self.tts.sample_rate for _, waveform in made]
        rtf = elapsed / sum(seconds) if any(seconds) else None
        for (item, reference), (speech, waveform), length in zip(batch, made, seconds, strict=True):
            path = self._audio(item)
            path.parent.mkdir(parents=True, exist_ok=True)
            # A file needs a sample, if only a silent one.
            audible = waveform if len(waveform) else torch.zeros(1)
            write_audio(path, audible, self.tts.sample_rate, provenance_comment(reference.voice))
            keep_codes(file_of(self.out, "codes", self.name, item.id), speech.codes)
            first = 1000 * timed(device, self._first_audio, item, reference)[0] if length else None
            numbers = {"seconds": length, "cut": speech.was_cut, "rtf": rtf, "first_audio": first}
            self.lines.add({"system": self.name, "id": item.id, **self._made_from(item, reference), **numbers})

    def _speak(self, batch: list[tuple[Item, Reference]]) -> list[tuple[Speech, Tensor]]:
        items, references = zip(*batch, strict=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "speech did not end")  # it is counted instead
            speeches = self.tts.speak_codes(
                [item.text for item in items],
                [reference.voice for reference in references],
                [self.sampling] * len(batch),
                [item.language for item in items],
            )
        return [(s, self.tts.codec.decode(s.codes[None])[0].cpu()) for s in speeches]

    def _first_audio(self, item: Item, reference: Reference) -> None:
        next(self.tts.stream(item.text, reference.voice, self.sampling, item.language))

    def _kept(self, item: Item, reference: Reference) -> Take | None:
        made_from, path = self._made_from(item, reference), self._audio(item)
        kept = self.lines.get(self.name, item.id)
        if kept is None or not path.exists() or any(kept[key] != value for key, value in made_from.items()):
            return None
        numbers = (kept[key] for key in ("seconds", "cut", "rtf", "first_audio"))
        return Take(item, reference, made_from["digest"], path, *numbers)

    def _made_from(self, item: Item, reference: Reference) -> dict[str, str]:
        ids = self.tts.text_tokenizer.encode(item.text)
        inputs = [item.text, ids, item.language, reference.digest, asdict(self.sampling)]
        digest = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:16]
        return {"version": self.version, "digest": digest}

    def _audio(self, item: Item) -> Path:
        return file_of(self.out, "audio", self.name, item.id)
