"""What a speech recogniser still understands: errors in the output's transcript, the reference's being taken as right.

Both are transcribed by the same recogniser, so its own mistakes on clean speech do not count against a codec.
Synthetic speech has no such reference: what it was to say is taken as right, and the recogniser's mistakes count.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Collection
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import jiwer
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from codec.tts.text.languages import primary_tag
from codec.tts.text.normalise import normalise as in_words
from eval.ctc import normalise as fold
from eval.metrics.base import Column, Metric, MissingBackendError, Pair, SynthesisPair
from eval.metrics.rate import at_rate
from eval.metrics.semantic_asr import SemanticRecognizer

RATE = 16_000  # Hz, of what most recognisers hear
COLUMNS = (Column("wer", "WER", False, 3), Column("cer", "CER", False, 3))
STUCK = 2.4  # text that shrinks more when compressed is a loop, by which OpenAI's decoder knows it too
N_KEPT = 2**16  # transcripts of references, some 100 bytes each


class Recognizer(Protocol):
    """Speech in, text out; the same speech always gives the same text."""

    version: str  # changes when transcripts may
    sample_rate: int  # Hz, of what it hears

    def transcribe(self, waveform: NDArray[np.float32], language: str) -> str:
        """What is said in `[L]` at `sample_rate`, in any spelling.

        `language` is as in `Pair`. Raises ValueError where the recogniser cannot judge.
        """


def make_asr(option: str) -> Metric:
    """Word and character error rates by the recogniser that `option` names; none is `pocketsphinx`.

    Raises:
        MissingBackendError: its package or weights are not there; the message says what to do.
        ValueError: no such recogniser.
    """
    name = f"asr:{option}" if option else "asr"
    match option.partition("="):
        case ("" | "pocketsphinx", "", _):
            return asr_metric(name, PocketSphinx())
        case ("whisper", _, source) if source:
            return asr_metric(name, Whisper(source))
        case ("faster-whisper", _, source) if source:
            return asr_metric(name, FasterWhisper(source))
        case ("ctc", _, folder) if folder:
            return asr_metric(name, SemanticRecognizer(Path(folder)))
    known = "asr:pocketsphinx, asr:whisper=FOLDER_OR_HUB_ID, asr:faster-whisper=FOLDER_OR_NAME and asr:ctc=FOLDER"
    raise ValueError(f"{name}: unknown; there are {known}")


def asr_metric(name: str, recognizer: Recognizer) -> Metric:
    """Word and character error rates by any recogniser, as shares of the reference's words and characters.

    Insertions count, so they can exceed 1. Languages written without spaces have no words to count: read their
    character errors. A silent output has all words wrong; a reference without words raises ValueError.
    Of `SynthesisPair` pairs the text is the reference, and both sides are compared `spoken_form`.
    """
    heard = _Memory(recognizer)

    def transcript(pair: Pair) -> str:
        if not pair.output.any():  # recognisers make words up where there is no sound at all
            return ""
        waveform = at_rate(pair.output, pair.sample_rate, recognizer.sample_rate, "output")
        return recognizer.transcribe(waveform, pair.language)

    def measure(pair: Pair) -> list[float]:
        if isinstance(pair, SynthesisPair):
            if not (reference := spoken_form(pair.text, pair.language)):
                raise ValueError("text: there are no words in it")
            output = spoken_form(transcript(pair), pair.language)
        else:
            waveform = at_rate(pair.reference, pair.sample_rate, recognizer.sample_rate, "reference")
            if not (reference := plain(heard.transcribe(waveform, pair.language))):
                raise ValueError("reference: the recogniser hears no words in it")
            output = plain(transcript(pair))
        return [jiwer.wer(reference, output), jiwer.cer(reference, output)]

    return Metric(name, COLUMNS, measure, recognizer.version)


def spoken_form(text: str, language: str) -> str:
    """`plain` text, with numbers in words and Latin letters without accents, so that only what is heard differs.

    Where the language, or how it says numbers, is not known, Latin text is left without them.
    """
    with suppress(ValueError):
        text = in_words(text, language)
    is_latin = all(unicodedata.name(c, "").startswith("LATIN") for c in text if c.isalpha())
    return plain(fold(text)) if is_latin else plain(text)


def plain(text: str) -> str:
    """Words in lower case with single spaces: no punctuation, but the letters, accents and digits of any script."""
    text = unicodedata.normalize("NFKC", text).lower()
    for apostrophe in "'\u2019":
        text = text.replace(apostrophe, "")  # "don't" is one word
    return " ".join("".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text).split())


class _Memory:
    """Transcripts of references, which every system is compared with."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.recognizer = recognizer
        self.kept: dict[tuple[bytes, str], str] = {}  # by digest of the samples, and language

    def transcribe(self, waveform: NDArray[np.float32], language: str) -> str:
        key = hashlib.sha256(waveform.tobytes()).digest(), language
        if key not in self.kept:
            text = self.recognizer.transcribe(waveform, language)
            if len(self.kept) == N_KEPT:
                del self.kept[next(iter(self.kept))]
            self.kept[key] = text
        return self.kept[key]


class PocketSphinx:
    """CMU's recogniser with the English model in its package: weak, but small and needs no download.

    Raises:
        MissingBackendError: it is not installed.
    """

    sample_rate = RATE

    def __init__(self) -> None:
        try:
            from pocketsphinx import Decoder
        except ImportError as error:
            raise MissingBackendError("asr:pocketsphinx needs PocketSphinx: pip install pocketsphinx") from error
        self.decoder = Decoder(loglevel="FATAL")
        self.version = f"pocketsphinx {version('pocketsphinx')}"

    def transcribe(self, waveform: NDArray[np.float32], language: str) -> str:
        if language and not language.lower().startswith("en"):
            raise ValueError(f"language {language}: PocketSphinx reads English only; use asr:whisper=FOLDER_OR_HUB_ID")
        self.decoder.reinit_feat()  # or its estimate of the noise would carry over from the recording before
        self.decoder.start_utt()
        pcm = np.clip(np.round(waveform * 32768), -32768, 32767).astype(np.int16)
        self.decoder.process_raw(pcm.tobytes(), full_utt=True)
        self.decoder.end_utt()
        best = self.decoder.hyp()
        return best.hypstr if best else ""


class Whisper:
    """A Whisper of any size, decoding greedily; where the language is not known, it guesses it from the sound.

    Args:
        source: a folder, or the id of a repository in the local Hugging Face cache; nothing is downloaded.

    Raises:
        MissingBackendError: transformers or the weights are not there.
        ValueError: the weights are not those of a Whisper.
    """

    sample_rate = RATE

    def __init__(self, source: str) -> None:
        try:
            from transformers import WhisperForConditionalGeneration, WhisperProcessor
        except ImportError as error:
            raise MissingBackendError("asr:whisper needs transformers: pip install transformers") from error
        try:
            loaded: Any = WhisperForConditionalGeneration.from_pretrained(
                source, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
            self.processor: Any = WhisperProcessor.from_pretrained(source, local_files_only=True)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise MissingBackendError(
                f"asr:whisper={source}: cannot be loaded ({reason}); run hf download openai/whisper-small (or another "
                "Whisper) and give its id, or give a folder that has all files of such a repository"
            ) from error
        model, loading = loaded
        if missing := sorted(loading["missing_keys"]):  # they would stay random
            raise ValueError(f"asr:whisper={source}: {len(missing)} tensors of a Whisper are missing, as {missing[0]}")
        self.model: Any = model.eval()
        self.version = f"transformers {version('transformers')}, {_digest(model)}"

    @torch.inference_mode()
    def transcribe(self, waveform: NDArray[np.float32], language: str) -> str:
        longest = self.processor.feature_extractor.chunk_length
        if (seconds := len(waveform) / RATE) > longest:
            raise ValueError(f"{seconds:.1f} s: Whisper hears {longest} s at a time, cut it")
        inputs = self.processor(waveform, sampling_rate=RATE, return_attention_mask=True, return_tensors="pt")
        tokens = self.model.generate(**inputs, **self._prompt(language), do_sample=False, num_beams=1)
        return self.processor.batch_decode(tokens, skip_special_tokens=True)[0]

    def _prompt(self, language: str) -> dict[str, str]:
        config = self.model.generation_config
        tokens = config.lang_to_id if getattr(config, "is_multilingual", False) else ()
        code = _language_code(language, tokens)
        if not tokens:
            return {}
        return {"task": "transcribe", "language": f"<|{code}|>"} if code else {"task": "transcribe"}


class FasterWhisper:
    """A Whisper of any size as CTranslate2 runs it, in 8 bits on the processor, with a beam of 5.

    Faster than `Whisper`, it hears recordings of any length, 30 s at a time; where the language is not known,
    it guesses it from the sound. Where it gets stuck and repeats itself, it has heard nothing.

    Args:
        source: a folder with a model converted for CTranslate2, or one's size, such as `small`, or repository id
            in the local Hugging Face cache; nothing is downloaded.

    Raises:
        MissingBackendError: faster-whisper or the weights are not there.
    """

    sample_rate = RATE

    def __init__(self, source: str) -> None:
        try:
            from faster_whisper import WhisperModel, download_model
        except ImportError as error:
            raise MissingBackendError("asr:faster-whisper needs faster-whisper: pip install faster-whisper") from error
        threads = torch.get_num_threads()  # 1 in workers
        try:
            folder = Path(source if Path(source).is_dir() else download_model(source, local_files_only=True))
            version_of_files = _digest_of_files(folder)
            self.model: Any = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)
            heard, given = self.model.model.n_mels, len(self.model.feature_extractor.mel_filters)
            if heard != given:
                raise ValueError(f"{heard} mel bands wanted, {given} given: there is no preprocessor_config.json")
        except Exception as error:  # CTranslate2 and tokenizers raise many kinds for files that are not theirs
            reason = str(error).strip().partition("\n")[0]
            raise MissingBackendError(
                f"asr:faster-whisper={source}: cannot be loaded ({reason}); run hf download "
                "Systran/faster-whisper-small (or another) and give its id, or give a folder that has all files of "
                "such a repository"
            ) from error
        tokens = [f"<|{code}|>" for code in self.model.supported_languages] if self.model.model.is_multilingual else []
        self.languages = [token for token in tokens if self.model.hf_tokenizer.token_to_id(token) is not None]
        packages = [f"{name} {version(name)}" for name in ("faster-whisper", "ctranslate2")]
        self.version = ", ".join([*packages, version_of_files])

    def transcribe(self, waveform: NDArray[np.float32], language: str) -> str:
        segments, _ = self.model.transcribe(
            waveform,
            language=_language_code(language, self.languages) or None,
            beam_size=5,
            temperature=0.0,  # alone: hard recordings are not sampled at others, which would differ each time
            condition_on_previous_text=False,
            vad_filter=False,
        )
        # A loop is as long as the network can write: one would outweigh all other recordings.
        return "".join(segment.text for segment in segments if segment.compression_ratio <= STUCK)


def _language_code(language: str, tokens: Collection[str]) -> str:
    """The code that a Whisper with these language tokens, such as `<|en|>`, has for a language; empty if to be guessed.

    One without any reads English only. Raises ValueError for a language that it does not know.
    """
    code = primary_tag(language)
    if not tokens and code not in ("", "en"):
        raise ValueError(f"language {language}: this Whisper reads English only; use a multilingual one")
    if tokens and code and f"<|{code}|>" not in tokens:
        raise ValueError(f"language {language}: this Whisper does not know it; use another")
    return code


def _digest_of_files(folder: Path) -> str:
    """16 hex digits of a model converted for CTranslate2.

    Raises:
        FileNotFoundError: one of its files is missing; without a tokenizer, faster-whisper would download one.
    """
    digest = hashlib.sha256()
    for name in ("config.json", "model.bin", "tokenizer.json"):
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(f"no {name} in {folder}")
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _digest(model: torch.nn.Module) -> str:
    """16 hex digits of the weights."""
    digest = hashlib.sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()[:16]
