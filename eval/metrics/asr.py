"""Speech recognition: errors of the output's transcript against the transcript of its reference.

The same recogniser transcribes both, so its own mistakes on clean speech do not count against a codec. Synthetic
speech is compared with its text instead, so there the recogniser's mistakes count.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import jiwer
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from codec.extras import MissingDependencyError, needs
from codec.tts.text.languages import primary_tag
from codec.tts.text.normalise import normalise as in_words
from eval.ctc import normalise as fold
from eval.digest import digest
from eval.metrics.base import Column, Metric, Pair, SynthesisPair, at_rate
from eval.metrics.semantic_asr import SemanticRecognizer

RATE = 16_000  # Hz, of most recognisers' input
COLUMNS = (Column("wer", "WER", False, 3), Column("cer", "CER", False, 3))
MAX_COMPRESSION = 2.4  # of text; more is a loop, as in OpenAI's decoder


class Recognizer(Protocol):
    """Speech to text; the same speech always gives the same text."""

    version: str  # changes when transcripts may
    sample_rate: int  # Hz, of its input

    def transcribe(self, waveform: NDArray[np.float32], language: str) -> str:
        """Transcribe `[L]` at `sample_rate`, in any spelling.

        `language` is as in `Pair`. Raises ValueError where the recogniser cannot.
        """


def make_asr(option: str) -> Metric:
    """Word and character error rates by the recogniser that `option` names; empty is `pocketsphinx`.

    Raises:
        MissingDependencyError: its package or weights are not there; the message says what to do.
        ValueError: no such recogniser.
    """
    match option.partition("="):
        case ("" | "pocketsphinx", "", _):
            return asr_metric(PocketSphinx())
        case ("whisper", _, source) if source:
            return asr_metric(Whisper(source))
        case ("faster-whisper", _, source) if source:
            return asr_metric(FasterWhisper(source))
        case ("ctc", _, folder) if folder:
            return asr_metric(SemanticRecognizer(Path(folder)))
    known = "asr:pocketsphinx, asr:whisper=FOLDER_OR_HUB_ID, asr:faster-whisper=FOLDER_OR_NAME and asr:ctc=FOLDER"
    raise ValueError(f"asr:{option}: unknown; there are {known}")


def asr_metric(recognizer: Recognizer) -> Metric:
    """Word and character error rates by any recogniser, as shares of the reference's words and characters.

    Insertions count, so they can exceed 1. Languages written without spaces have no words to count: read their
    character errors. A silent output has all words wrong; a reference without words raises ValueError.
    Of a `SynthesisPair` the text is the reference, and both sides are compared in `spoken_form`.
    """
    transcripts: dict[tuple[str, str], str] = {}  # of references, with which every system is compared

    def transcribe(pair: Pair, side: str) -> str:
        waveform = at_rate(getattr(pair, side), pair.sample_rate, recognizer.sample_rate, side)
        return recognizer.transcribe(waveform, pair.language)

    def reference(pair: Pair) -> str:
        key = digest(torch.as_tensor(pair.reference)), f"{pair.sample_rate} {pair.language}"
        if key not in transcripts:
            transcripts[key] = transcribe(pair, "reference")
        return transcripts[key]

    def measure(pair: Pair) -> list[float]:
        is_synthesis = isinstance(pair, SynthesisPair)
        normalise = partial(spoken_form, language=pair.language) if is_synthesis else plain
        if not (expected := normalise(pair.text if is_synthesis else reference(pair))):
            raise ValueError("text: no words in it" if is_synthesis else "reference: no words recognised in it")
        # Recognisers make up words for digital silence.
        found = normalise(transcribe(pair, "output")) if pair.output.any() else ""
        return [jiwer.wer(expected, found), jiwer.cer(expected, found)]

    return Metric(COLUMNS, measure, recognizer.version)


def spoken_form(text: str, language: str) -> str:
    """`plain` text with numbers in words and Latin letters without accents, so that only sounds differ.

    Numbers stay as they are in a language that is not known, or whose numbers are not.
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


class PocketSphinx:
    """CMU's recogniser with the English model in its package: weak, but small, and without a download.

    Raises:
        MissingDependencyError: it is not installed.
    """

    sample_rate = RATE

    def __init__(self) -> None:
        with needs("pocketsphinx", "asr:pocketsphinx"):
            from pocketsphinx import Decoder
        self.decoder = Decoder(loglevel="FATAL")
        self.version = f"pocketsphinx {version('pocketsphinx')}"

    def transcribe(self, waveform: NDArray[np.float32], language: str) -> str:
        if language and not language.lower().startswith("en"):
            raise ValueError(f"language {language}: PocketSphinx reads English only; use asr:whisper=FOLDER_OR_HUB_ID")
        self.decoder.reinit_feat()  # or its estimate of noise carries over from the previous recording
        self.decoder.start_utt()
        pcm = np.clip(np.round(waveform * 32768), -32768, 32767).astype(np.int16)
        self.decoder.process_raw(pcm.tobytes(), full_utt=True)
        self.decoder.end_utt()
        best = self.decoder.hyp()
        return best.hypstr if best else ""


class Whisper:
    """A Whisper of any size, with greedy decoding; it detects the language where it is not given.

    Args:
        source: a folder, or the id of a repository in the local Hugging Face cache; nothing is downloaded.

    Raises:
        MissingDependencyError: transformers or the weights are not there.
        ValueError: the weights are not those of a Whisper.
    """

    sample_rate = RATE

    def __init__(self, source: str) -> None:
        with needs("transformers", "asr:whisper"):
            from transformers import WhisperForConditionalGeneration, WhisperProcessor
        try:
            loaded: Any = WhisperForConditionalGeneration.from_pretrained(
                source, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
            self.processor: Any = WhisperProcessor.from_pretrained(source, local_files_only=True)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise MissingDependencyError(
                f"asr:whisper={source}: cannot be loaded ({reason}); run hf download openai/whisper-small (or another "
                "Whisper) and give its id, or give a folder that has all files of such a repository"
            ) from error
        model, loading = loaded
        if missing := sorted(loading["missing_keys"]):  # they would stay random
            raise ValueError(f"asr:whisper={source}: {len(missing)} tensors of a Whisper are missing, as {missing[0]}")
        self.model: Any = model.eval()
        self.version = f"transformers {version('transformers')}, {digest(*model.state_dict().values())}"

    @torch.inference_mode()
    def transcribe(self, waveform: NDArray[np.float32], language: str) -> str:
        longest = self.processor.feature_extractor.chunk_length
        if (seconds := len(waveform) / RATE) > longest:
            raise ValueError(f"{seconds:.1f} s: Whisper takes {longest} s at a time; cut it")
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

    It is faster than `Whisper` and takes recordings of any length, 30 s at a time. It detects the language where it
    is not given. Segments in which it repeats itself are dropped.

    Args:
        source: a folder with a model converted for CTranslate2, or one's size, such as `small`, or repository id
            in the local Hugging Face cache; nothing is downloaded.

    Raises:
        MissingDependencyError: faster-whisper or the weights are not there.
    """

    sample_rate = RATE

    def __init__(self, source: str) -> None:
        with needs("faster-whisper", "asr:faster-whisper"):
            from faster_whisper import WhisperModel, download_model
        threads = torch.get_num_threads()  # 1 in workers
        try:
            folder = Path(source if Path(source).is_dir() else download_model(source, local_files_only=True))
            version_of_files = digest(*_files(folder))
            self.model: Any = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)
            expected, given = self.model.model.n_mels, len(self.model.feature_extractor.mel_filters)
            if expected != given:
                raise ValueError(f"{expected} mel bands expected, {given} given: there is no preprocessor_config.json")
        except Exception as error:  # CTranslate2 and tokenizers raise many kinds for files that are not theirs
            reason = str(error).strip().partition("\n")[0]
            raise MissingDependencyError(
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
        return "".join(segment.text for segment in segments if segment.compression_ratio <= MAX_COMPRESSION)


def _language_code(language: str, tokens: Collection[str]) -> str:
    """Return the code of a language among the tokens of a Whisper, such as `<|en|>`; empty if it is to be detected.

    One without any reads English only. Raises ValueError for a language that it does not know.
    """
    code = primary_tag(language)
    if not tokens and code not in ("", "en"):
        raise ValueError(f"language {language}: this Whisper reads English only; use a multilingual one")
    if tokens and code and f"<|{code}|>" not in tokens:
        raise ValueError(f"language {language}: this Whisper does not know it; use another")
    return code


def _files(folder: Path) -> list[Path]:
    """Return the files of a model converted for CTranslate2.

    Raises:
        FileNotFoundError: one is missing; without a tokenizer, faster-whisper would download one.
    """
    paths = [folder / name for name in ("config.json", "model.bin", "tokenizer.json")]
    if missing := [path for path in paths if not path.is_file()]:
        raise FileNotFoundError(f"no {missing[0].name} in {folder}")
    return paths
