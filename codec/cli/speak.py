"""The commands speak (text to speech to a file, standard output or a sound device) and voices."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from tqdm import tqdm

from codec.audio.wav import pcm_bytes, stream_header
from codec.cli.common import (
    Device,
    Model,
    Precision,
    check_precision,
    fail,
    open_model,
    read_comment,
    read_stdin,
    show_warnings,
    told,
    write_stdout,
)
from codec.extras import MissingDependencyError, needs
from codec.settings import DEFAULT

if TYPE_CHECKING:
    from torch import Tensor

    from codec.tts import ShippedVoice

VOICE_SUFFIX = ".safetensors"
PIPE = "-"  # in place of a text or a file
SUFFIXES = (".wav", ".flac", ".ogg")  # of formats with metadata about the voice
SPEECH = "speech.wav"  # default output

Text = Annotated[str, typer.Argument(help="text to speak; - reads standard input and speaks as it arrives")]
From = Annotated[
    str | None,
    typer.Option(
        "--voice", "-v", help="recording of 3 to 30 s, voice file, or one of `codec voices`; default: by language"
    ),
]
Consent = Annotated[
    str, typer.Option(help="who agreed to the use of the recorded voice, and how; stored in the output")
]
Output = Annotated[str | None, typer.Option("--out", "-o", help=f"file, or - for WAV to stdout; default: {SPEECH}")]
Play = Annotated[bool, typer.Option("--play", help="play the speech while it is generated")]
Language = Annotated[str | None, typer.Option(help="of the text: en, de, nl-BE ...; default: of the shipped voice")]
Seed = Annotated[int, typer.Option(help="random seed")]
Temperature = Annotated[float | None, typer.Option(help="temperature of semantic tokens; 0: greedy", min=0)]
AcousticTemperature = Annotated[float | None, typer.Option(help="temperature of acoustic codes", min=0)]
CfgScale = Annotated[float | None, typer.Option(help="guidance of acoustic codes; 1: off")]

S = TypeVar("S")


def speak(
    text: Text,
    voice: From = None,
    consent: Consent = "",
    out: Output = None,
    play: Play = False,
    model: Model = DEFAULT,
    language: Language = None,
    seed: Seed = 0,
    temperature: Temperature = None,
    acoustic_temperature: AcousticTemperature = None,
    cfg_scale: CfgScale = None,
    device: Device = "cpu",
    dtype: Precision = "float32",
) -> None:
    """Speak a text in a shipped voice or that of a recording; the output stores the consent."""
    check_precision(dtype)
    if re.fullmatch(r"--?[A-Za-z][\w-]*(=.*)?", text):
        fail(f"{text}: no such option; see codec speak --help")
    with told():
        target = _target(out, play)
        from codec import tts  # here, as other commands do not need its packages
        from codec.tts.shipped import default_voice, find_voice
        from codec.tts.speech import FRAMES_AT_ONCE

        sampling = _changed(tts.Sampling(seed=seed), temperature=temperature)
        head = _changed(sampling.head, cfg_scale=cfg_scale, temperature=acoustic_temperature)
        sampling = replace(sampling, head=head)
        shipped = default_voice(language or "en") if voice is None else find_voice(voice)
        language = language or (shipped.language if shipped else "en")
        path, note = _reference(shipped, str(voice), consent)
        known = tts.Voice.load(path) if path.suffix == VOICE_SUFFIX else None
    network = open_model(tts.load, model, device, dtype)
    with told(RuntimeError):
        speaker = known or network.voice(path, note)
        with show_warnings():
            source = _stdin_text() if text == PIPE else text
            is_live = play or target == PIPE
            packets = network.stream(source, speaker, sampling, language, 1 if is_live else FRAMES_AT_ONCE)
            if shipped:
                typer.echo(f"voice: {shipped}, {shipped.licence}", err=True)
            if target != out:
                typer.echo(f"to: {target}", err=True)
            _deliver(packets, network.sample_rate, target, play, tts.provenance_comment(speaker))


def voices() -> None:
    """List the shipped voices: name, language, licence, source."""
    with told():
        from codec.tts import shipped_voices
    for voice in shipped_voices():
        typer.echo(f"{voice.name:<14}{voice.language:<8}{voice.licence:<10}{voice.source}")


def _target(out: str | None, play: bool) -> str | None:
    """The file to write, or `PIPE`; None to play only.

    Raises:
        ValueError: not writable, or the default file exists and is not an output of this command.
    """
    if out is None and not play:
        from codec.tts.voices import NOTICE

        if Path(SPEECH).exists() and NOTICE not in read_comment(SPEECH):
            raise ValueError(
                f"{SPEECH} exists and is not an output of this command: give --out FILE, --out - or --play"
            )
        return SPEECH
    if out is None or out == PIPE:
        return out
    if Path(out).suffix.lower() not in SUFFIXES:
        raise ValueError(f"--out {out}: expected a name in {', '.join(SUFFIXES)}; these store the note about the voice")
    if not Path(out).parent.is_dir():
        raise ValueError(f"--out {out}: there is no folder {Path(out).parent}; create it first")
    return out


def _reference(shipped: ShippedVoice | None, voice: str, consent: str) -> tuple[Path, str]:
    """Recording or voice file of a voice, and the consent, which a voice file already contains."""
    path = shipped.clip if shipped else Path(voice)
    is_recording = not shipped and path.suffix != VOICE_SUFFIX
    if is_recording and not consent.strip():
        raise ValueError(f"--consent: say who agreed to the use of the voice in {voice}, and how")
    if consent and not is_recording:
        name = shipped.name if shipped else voice
        raise ValueError(f"--consent: {name} already has a note; leave the option out")
    return path, shipped.consent if shipped else consent


def _changed(settings: S, **changes: float | None) -> S:
    """Apply the changes that are not None."""
    return replace(settings, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[type-var]


def _stdin_text() -> Iterator[str]:
    try:
        yield from codecs.iterdecode(read_stdin(), "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"stdin: the text is not UTF-8 ({error})") from error


def _deliver(packets: Iterable[Tensor], sample_rate: int, out: str | None, play: bool, comment: str) -> None:
    """Play or pipe packets `[L]` as they come, or write a file at the end."""
    parts: list[Tensor] = []
    sinks: list[Callable[[Tensor], None]] = []
    with ExitStack() as stack:
        if play:
            sinks.append(stack.enter_context(_player(sample_rate)))
        if out == PIPE:
            write_stdout(stream_header(sample_rate, comment))
            sinks.append(lambda packet: write_stdout(pcm_bytes(packet)))
        elif out is not None:
            sinks.append(parts.append)
        bar = stack.enter_context(tqdm(bar_format="{n:.1f} s of speech in {elapsed}", disable=None))
        for packet in packets:
            for sink in sinks:
                sink(packet)
            bar.update(len(packet) / sample_rate)
    if out not in (None, PIPE):
        import torch

        from codec.audio.io import write_audio

        write_audio(out, torch.cat(parts), sample_rate, comment)


@contextmanager
def _player(sample_rate: int) -> Iterator[Callable[[Tensor], None]]:
    """Yield a function that queues mono samples `[L]` for playback; leaving the context waits for the end.

    Late samples cause a gap.

    Raises:
        MissingDependencyError: sounddevice or PortAudio is not installed. OSError: no device, or it fails.
    """
    try:
        with needs("sounddevice", "playing", "play"):
            import sounddevice
    except OSError as error:
        raise MissingDependencyError(f"playing needs PortAudio: install libportaudio2 ({error})") from error
    try:
        with sounddevice.OutputStream(sample_rate, channels=1, dtype="float32") as device:

            def play(samples: Tensor) -> None:
                device.write(samples.float().clamp(-1, 1).numpy(force=True))

            yield play
    except sounddevice.PortAudioError as error:
        raise OSError(f"the sound device does not play {sample_rate} Hz mono ({error}); write a file") from error
