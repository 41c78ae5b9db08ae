"""Text to speech for users: voices from recordings, text to waveforms, whole or in packets while they are made."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from codec import tokenizer as codecs
from codec.audio.io import Audio
from codec.nn.precision import check_device, warn_if_emulated
from codec.nn.product import store_for_streams
from codec.settings import DEFAULT, require
from codec.tts.accelerate import Mode
from codec.tts.checkpoint import load_tts, resolve_tts
from codec.tts.config import PRESETS
from codec.tts.loop import Request, SpeechCache, SpeechLoop
from codec.tts.model import TTSModel
from codec.tts.sampling import Sampling
from codec.tts.shipped import find_voice
from codec.tts.text import feed
from codec.tts.text.languages import LANGUAGES, primary_language
from codec.tts.text.phonemes import check_phonemes
from codec.tts.text.tokenizer import BPETokenizer, TextError, TextTokenizer
from codec.tts.voices import Voice, VoiceError, make_voice

OWN_CODEC = "codec"  # folder beside a model's weights
MAX_SLOTS = 16  # requests that are spoken side by side
FRAMES_AT_ONCE = 32  # of all requests together, where nobody waits for the first
NOTHING_TO_SAY = "text: nothing to say; give at least one word"


@dataclass(frozen=True)
class SpeechCodes:
    """Generated codes of one text."""

    codes: Tensor  # [K, T] int64; T = 0 if the model ended before it began
    was_cut: bool  # part of it did not end by itself (see `Sampling`)


class TTS:
    """A voice model with its text tokenizer and its codec; `codec.tts.load` makes it.

    Args:
        model: the network; used in eval mode.
        text_tokenizer: of the text.
        codec: the one whose codes the network predicts.
        mode: how single steps are run: eager, compile (a minute at the first sentence) or, on a GPU, graph.

    Raises:
        ValueError: the codec is not the one that the network was trained with.
    """

    def __init__(
        self, model: TTSModel, text_tokenizer: TextTokenizer, codec: codecs.Tokenizer, mode: Mode = "eager"
    ) -> None:
        expected = model.config.codec_fingerprint
        if expected not in ("", codec.fingerprint) or codec.config.codebook_sizes != model.config.codebook_sizes:
            raise ValueError(
                f"codec: {codec.fingerprint} with {codec.config.num_codebooks} codebooks; this voice model speaks "
                f"through {expected or 'one'} with {model.config.num_codebooks}: load {model.config.codec!r}"
            )
        self.model, self.text_tokenizer, self.codec, self.mode = model.eval(), text_tokenizer, codec, mode
        self._cache = SpeechCache(codec)

    @property
    def sample_rate(self) -> int:
        """Of all waveforms, in Hz."""
        return self.codec.config.sample_rate

    def voice(self, audio: Audio, consent: str = "", sample_rate: float | None = None) -> Voice:
        """A shipped voice by its name, or the voice of a recording. Keep it with `Voice.save`.

        Args:
            audio: a name in `codec.tts.shipped_voices`, or a recording, as for `codec.tts.voices.make_voice`;
                a file of that name is taken rather than the shipped voice.
            consent: who agreed to the use of a recorded voice, and how; shipped ones have their own note.
            sample_rate: of bare samples, in Hz.

        Raises:
            VoiceError: neither a file nor a name, or as of `make_voice`.
        """
        shipped = find_voice(audio)
        if shipped is None:
            return make_voice(self.codec, audio, consent, sample_rate)
        if consent:
            raise VoiceError(f"consent: the shipped voice {shipped.name} has its own note; leave it out")
        return make_voice(self.codec, shipped.clip, shipped.consent)

    def speak(self, text: str, voice: Voice, sampling: Sampling | None = None, language: str = "en") -> Tensor:
        """A text, of any length, as a waveform `[L]` float32; arguments and errors as of `stream`."""
        packets = self.stream(text, voice, sampling, language, FRAMES_AT_ONCE)
        return torch.cat([torch.zeros(0, dtype=torch.float32), *packets])

    def speak_batch(
        self,
        texts: Sequence[str],
        voices: Sequence[Voice],
        samplings: Sequence[Sampling] | None = None,
        languages: Sequence[str] | None = None,
    ) -> list[Tensor]:
        """Several texts side by side, each as `speak` would speak it alone."""
        speeches = self.generate_codes(texts, voices, samplings, languages)
        return [self.codec.decode(s.codes[None])[0] for s in speeches]

    def generate_codes(
        self,
        texts: Sequence[str],
        voices: Sequence[Voice],
        samplings: Sequence[Sampling] | None = None,
        languages: Sequence[str] | None = None,
    ) -> list[SpeechCodes]:
        """Speak as `speak_batch`, without decoding."""
        samplings = [Sampling()] * len(texts) if samplings is None else samplings
        languages = ["en"] * len(texts) if languages is None else languages
        settings = zip(texts, voices, samplings, languages, strict=True)
        requests = [self.request(*one) for one in settings]
        n_slots = max(1, min(len(requests), MAX_SLOTS))
        loop = self.loop(n_slots, FRAMES_AT_ONCE // n_slots)
        for request in requests:
            loop.submit(request)
        frames: dict[Request, list[Tensor]] = {request: [] for request in requests}
        for part in loop.run():  # of each request at least the part that ends it
            frames[part.request].append(part.codes)
        return [SpeechCodes(torch.cat(codes, dim=1), request.was_cut) for request, codes in frames.items()]

    def stream(
        self,
        text: str | Iterable[str],
        voice: Voice,
        sampling: Sampling | None = None,
        language: str = "en",
        packet_frames: int = 1,
    ) -> Iterator[Tensor]:
        """Speak while the audio is made: packets of one frame, 80 ms, the first after one frame's work.

        Args:
            text: all of it, or an iterable of pieces, cut anywhere, which may still be on their way. Pieces are
                read word by word, and a model begins with the first words, one of the design "prefix" once it
                has a sentence; they say the same words. Markdown, HTML and SSML are read without their marks.
            voice: who speaks.
            sampling: how frames are drawn; the same seed gives the same speech.
            language: of the text, a BCP-47 tag, of those that the model learned (`TTSConfig.languages`).
            packet_frames: frames of a packet, at most; without audio history, many take little more time than one.

        Returns:
            An iterator over waveforms `[n * hop_length]` float32. Long text is spoken sentence by sentence, each
            continuing the end of the one before; memory does not grow with it.

        Raises:
            TextError: nothing to say, or no text. ValueError: a language that is not known or that the model does not
                read, or a voice of another codec. MissingDependencyError: what reads phonemes is not installed.
        """
        return self._packets(self.request(text, voice, sampling or Sampling(), language), packet_frames)

    def request(self, text: str | Iterable[str], voice: Voice, sampling: Sampling, language: str) -> Request:
        """What a loop speaks; arguments and errors as of `stream`."""
        config = self.model.config
        pieces = feed.text_pieces(text)
        if primary_language(language) not in (config.languages or LANGUAGES):
            known = ", ".join(config.languages)
            raise ValueError(
                f"language {language!r}: this model reads {known}; give one of them, or load another model"
            )
        if config.phonemes:
            check_phonemes(language)
        by_sentence = isinstance(text, str) or config.sequence.design == "prefix"
        voice.check(config.codebook_sizes, self.codec.fingerprint)
        ids_of = feed.sentence_ids if by_sentence else feed.word_ids
        ids = ids_of(pieces, language, self.text_tokenizer, config.phonemes)
        return Request(iter(ids), voice, sampling)

    def loop(self, n_slots: int, packet_frames: int) -> SpeechLoop:
        """A loop that speaks what `request` makes, `n_slots` requests at a time; `packet_frames` as for `FrameLoop`."""
        return SpeechLoop(self.model, self.text_tokenizer.special, self._cache, n_slots, self.mode, packet_frames)

    def _packets(self, request: Request, packet_frames: int) -> Iterator[Tensor]:
        decoder = self.codec.decoder_stream()
        loop = self.loop(1, packet_frames)
        loop.submit(request)
        for part in loop.run():
            packet = decoder.push(part.codes[None])[0]
            if len(packet):
                yield packet
        if not request.has_speech:
            raise TextError(NOTHING_TO_SAY)
        rest = decoder.flush()[0]
        if len(rest):
            yield rest


def load(
    name: str | Path = DEFAULT,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    mode: Mode = "eager",
) -> TTS:
    """Load a voice model and the codec that it speaks through.

    That is the one in a folder `codec/` beside the model's weights, if there is one, else the one its config names.

    Args:
        name: "default" for the one that comes with this package, a checkpoint folder (ours, or the released
            Voxtral layout), a hub id, or a preset of `codec.tts.config`, with random weights and a warning.
        device: where to put both.
        dtype: of the network's weights; bfloat16 warns where the device only emulates it.
        mode: see `TTS`.

    Raises:
        CheckpointError: not found, damaged, or of parts that do not fit each other. ValueError: `dtype` is no
            floating type, or the device or the mode is not for this machine.
    """
    require(dtype.is_floating_point, "dtype", dtype, "a floating type")
    check_device(device)
    warn_if_emulated(dtype, device)
    model: TTSModel
    text_tokenizer: TextTokenizer
    own_codec: Path | None = None
    if str(name) in PRESETS and not Path(name).exists():
        warnings.warn(f"preset {name!r} is untrained: its weights are random and it babbles", stacklevel=2)
        with torch.random.fork_rng(devices=[]), codecs.float32_by_default():
            torch.manual_seed(0)
            model, text_tokenizer = TTSModel(PRESETS[str(name)]), BPETokenizer.train([], PRESETS[str(name)].vocab_size)
        model.to(dtype)
    else:
        folder = resolve_tts(name)
        model, text_tokenizer = load_tts(folder, dtype)
        own_codec = folder / OWN_CODEC if (folder / OWN_CODEC).is_dir() else None
    codec = codecs.load(own_codec or model.config.codec, device)
    model.requires_grad_(False).to(device)
    store_for_streams(model)
    return TTS(model, text_tokenizer, codec, mode)
