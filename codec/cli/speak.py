"""The command speak: text to speech in a voice, to a file, to standard output while it is made, or aloud."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeVar

import torch
import typer
from torch import Tensor
from tqdm import tqdm

from codec.audio.io import write_audio
from codec.audio.play import player
from codec.audio.wav import stream_header
from codec.checkpoint.hub import DEFAULT
from codec.cli.common import (
    Device,
    Model,
    Precision,
    fail,
    open_model,
    pcm_bytes,
    read_stdin,
    show_warnings,
    write_stdout,
)

VOICE_SUFFIX = ".safetensors"
PIPE = "-"  # in place of a text or a file
SUFFIXES = (".wav", ".flac", ".ogg")  # of files that can say whose voice it is

Text = Annotated[str, typer.Argument(help="what to say; - reads standard input and speaks as the text arrives")]
From = Annotated[Path, typer.Option("--voice", "-v", help="recording of 3 to 30 s, or voice file (.safetensors)")]
Consent = Annotated[str, typer.Option(help="who agreed to the use of the recorded voice, and how; kept in the output")]
Output = Annotated[str | None, typer.Option("--out", "-o", help="file (.wav, .flac, .ogg), or - for WAV to stdout")]
Play = Annotated[bool, typer.Option("--play", help="play the speech while it is made")]
Language = Annotated[str, typer.Option(help="of the text, for numbers and abbreviations: en, de, nl-BE ...")]
Seed = Annotated[int, typer.Option(help="the same one gives the same speech")]
Temperature = Annotated[float | None, typer.Option(help="of the semantic tokens: 0 takes the likeliest", min=0)]
AcousticTemperature = Annotated[float | None, typer.Option(help="of the acoustic codes: less is plainer", min=0)]
CfgScale = Annotated[float | None, typer.Option(help="guidance of the acoustic codes: 1 is off")]

S = TypeVar("S")


def speak(
    text: Text,
    voice: From,
    consent: Consent = "",
    out: Output = None,
    play: Play = False,
    model: Model = DEFAULT,
    language: Language = "en",
    seed: Seed = 0,
    temperature: Temperature = None,
    acoustic_temperature: AcousticTemperature = None,
    cfg_scale: CfgScale = None,
    device: Device = "cpu",
    dtype: Precision = "float32",
) -> None:
    """Text to speech in the voice of a recording; the output says so, and who agreed."""
    try:
        from codec import tts  # here, as the other commands do without its packages

        _check_output(out, play)
        sampling = _changed(tts.Sampling(seed=seed), temperature=temperature)
        head = _changed(sampling.head, cfg_scale=cfg_scale, temperature=acoustic_temperature)
        sampling = replace(sampling, head=head)
        is_recording = voice.suffix != VOICE_SUFFIX
        _check_consent(consent, voice, is_recording)
        known = None if is_recording else tts.Voice.load(voice)
    except (ImportError, ValueError) as error:
        fail(error)
    network = open_model(tts.load, model, device, dtype)
    try:
        speaker = known or network.voice(voice, consent)
        with show_warnings():
            packets = network.stream(_arriving() if text == PIPE else text, speaker, sampling, language)
            _deliver(packets, network.sample_rate, out, play, tts.provenance_comment(speaker))
    except (ImportError, ValueError, RuntimeError, OSError) as error:
        fail(error)


def _check_output(out: str | None, play: bool) -> None:
    if out is None and not play:
        raise ValueError("nowhere to speak to: give --out FILE, --out - or --play")
    if out is None or out == PIPE:
        return
    if Path(out).suffix.lower() not in SUFFIXES:
        raise ValueError(f"--out {out}: expected a name in {', '.join(SUFFIXES)}; these hold the note about the voice")
    if not Path(out).parent.is_dir():
        raise ValueError(f"--out {out}: there is no folder {Path(out).parent}; create it first")


def _check_consent(consent: str, voice: Path, is_recording: bool) -> None:
    if is_recording and not consent.strip():
        raise ValueError(f"--consent: say who agreed to the use of the voice in {voice}, and how")
    if consent and not is_recording:
        raise ValueError(f"--consent: {voice} has the note that it was made with; leave the option out")


def _changed(settings: S, **changes: float | None) -> S:
    """Settings with those changes that are not None."""
    return replace(settings, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[type-var]


def _arriving() -> Iterator[str]:
    try:
        yield from codecs.iterdecode(read_stdin(), "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"stdin: the text is not UTF-8 ({error})") from error


def _deliver(packets: Iterable[Tensor], sample_rate: int, out: str | None, play: bool, comment: str) -> None:
    """Hand on packets `[L]` as they come, and write the file once all are there."""
    made: list[Tensor] = []
    takers: list[Callable[[Tensor], None]] = []
    with ExitStack() as stack:
        if play:
            takers.append(stack.enter_context(player(sample_rate)))
        if out == PIPE:
            write_stdout(stream_header(sample_rate, comment))
            takers.append(lambda packet: write_stdout(pcm_bytes(packet)))
        elif out is not None:
            takers.append(made.append)
        bar = stack.enter_context(tqdm(bar_format="{n:.1f} s of speech in {elapsed}", disable=None))
        for packet in packets:
            for take in takers:
                take(packet)
            bar.update(len(packet) / sample_rate)
    if out not in (None, PIPE):
        write_audio(out, torch.cat(made), sample_rate, comment)
