"""Synthesis of texts by speech models: audio, codes and times are kept in the folder of the run."""

from __future__ import annotations

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
from codec.tts.speech import TTS, SpeechCodes
from codec.tts.voices import provenance_comment
from eval.digest import digest
from eval.metrics.base import Column
from eval.progress import progress
from eval.speed import timed
from eval.store import Outputs, make_folder
from eval.tts.items import Item
from eval.tts.voices import ReferenceVoice, Request

COLUMNS = (
    Column("chars_per_s", "characters/s", False, 1),
    Column("cut", "cut", False, 2),  # share that did not end by themselves
    Column("rtf", "RTF", False, 3),
    Column("first_audio", "first audio", False, 0, "ms"),
)


@dataclass(frozen=True)
class SpeechOutput:
    """Speech to be scored: synthesized, recorded or decoded. Fields with a default are known of synthesized speech."""

    item: Item
    reference: ReferenceVoice
    digest: str  # of all that it was made from, except the model
    path: Path  # of the audio
    seconds: float
    cut: bool | None = None  # part of it did not end by itself
    rtf: float | None = None  # compute time per audio time of its batch
    first_audio: float | None = None  # ms from the request to the first packet of a stream, the voice being known

    def values(self) -> dict[str, float]:
        """By key of `COLUMNS`; rates of speech without any audio are left out."""
        chars_per_s = len(self.item.text) / self.seconds if self.seconds else None
        values = {"chars_per_s": chars_per_s, "cut": self.cut, "rtf": self.rtf, "first_audio": self.first_audio}
        return {key: float(value) for key, value in values.items() if value is not None}


class Synthesizer:
    """A model with its sampling settings; speech that the folder of the run has is not synthesized again.

    Args:
        name: of the system in results.
        tts: the model.
        version: of the model; speech is reused while this, text, voice and settings stay the same.
        sampling: the settings, with the seed.
        outputs: in the folder of the run.
    """

    def __init__(self, name: str, tts: TTS, version: str, sampling: Sampling, outputs: Outputs) -> None:
        self.name, self.tts, self.version, self.sampling = name, tts, version, sampling
        self.outputs, self._is_warm = outputs, False

    def synthesize(self, requests: Sequence[Request], batch_size: int) -> tuple[list[SpeechOutput], dict[str, str]]:
        """Return the speech of all items that can be spoken, in their order, and by id why others cannot.

        Texts of similar lengths are synthesized together, `batch_size` at a time.
        """
        missing = [one for one in requests if self._find(*one) is None]
        missing.sort(key=lambda one: len(one[0].text))
        batches = deque(missing[i : i + batch_size] for i in range(0, len(missing), batch_size))
        failures: dict[str, str] = {}
        with progress(total=len(missing), desc=f"{self.name}: synthesize", unit="text") as bar:
            while batches:
                batch = batches.popleft()
                try:
                    self._synthesize(batch)
                except (ValueError, RuntimeError) as error:
                    if len(batch) > 1:  # one by one, to find which of them fails
                        batches.extendleft([one] for one in batch)
                        continue
                    failures[batch[0][0].id] = str(error)
                bar.update(len(batch))
        found = (self._find(*one) for one in requests)
        return [output for output in found if output], failures

    def _synthesize(self, batch: list[Request]) -> None:
        """Synthesize a batch, time it and keep it.

        Raises:
            ValueError, RuntimeError: one of the texts cannot be spoken, or memory does not suffice.
        """
        if not self._is_warm:
            self._first_audio(*batch[0])  # the first call does work that later ones find done
            self._is_warm = True
        device, rate = self.tts.model.device, self.tts.sample_rate
        elapsed, made = timed(device, self._generate, batch)
        seconds = [len(waveform) / rate for _, waveform in made]
        rtf = elapsed / sum(seconds) if any(seconds) else None
        for (item, reference), (speech, waveform), length in zip(batch, made, seconds, strict=True):
            audible = waveform if len(waveform) else torch.zeros(1)  # a file needs a sample
            path = make_folder(self.outputs.audio(self.name, item.id))
            write_audio(path, audible, rate, provenance_comment(reference.voice))
            first = 1000 * timed(device, self._first_audio, item, reference)[0] if length else None
            numbers = {"seconds": length, "cut": speech.was_cut, "rtf": rtf, "first_audio": first}
            self.outputs.add(self.name, item.id, self._made_from(item, reference) | numbers, speech.codes)

    def _generate(self, batch: list[Request]) -> list[tuple[SpeechCodes, Tensor]]:
        items, references = zip(*batch, strict=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "speech did not end")  # counted in the column `cut`
            speeches = self.tts.generate_codes(
                [item.text for item in items],
                [reference.voice for reference in references],
                [self.sampling] * len(batch),
                [item.language for item in items],
            )
        return [(s, self.tts.codec.decode(s.codes[None])[0].cpu()) for s in speeches]

    def _first_audio(self, item: Item, reference: ReferenceVoice) -> None:
        next(self.tts.stream(item.text, reference.voice, self.sampling, item.language))

    def _find(self, item: Item, reference: ReferenceVoice) -> SpeechOutput | None:
        made_from = self._made_from(item, reference)
        kept = self.outputs.find(self.name, item.id, made_from)
        if kept is None:
            return None
        numbers = (kept[key] for key in ("seconds", "cut", "rtf", "first_audio"))
        path = self.outputs.audio(self.name, item.id)
        return SpeechOutput(item, reference, made_from["digest"], path, *numbers)

    def _made_from(self, item: Item, reference: ReferenceVoice) -> dict[str, str]:
        ids = self.tts.text_tokenizer.encode(item.text)
        inputs = [item.text, ids, item.language, reference.digest, asdict(self.sampling)]
        return {"version": self.version, "digest": digest(json.dumps(inputs))}
