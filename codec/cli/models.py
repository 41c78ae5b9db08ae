"""The commands about models: info, export-onnx, export-voxtral."""

from __future__ import annotations

import warnings
from itertools import accumulate, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from codec.cli.common import Model, fail, open_model, open_tokenizer, told
from codec.files import TOKENS_SUFFIX, message
from codec.settings import DEFAULT

if TYPE_CHECKING:
    from codec.quant.base import QuantizerConfig

Folder = Annotated[Path, typer.Option("--out", "-o", help="folder to write; replaced if it exists")]


def info(names: Annotated[list[str], typer.Argument(help="checkpoints, presets, .c37 or .tokens files")]) -> None:
    """Describe models, .c37 and .tokens files."""
    failed = False
    for name in names:
        try:
            for key, value in (_file_facts(Path(name)) if Path(name).is_file() else _model_facts(name)).items():
                typer.echo(f"{key:<18}{value}")
        except (ValueError, OSError) as error:
            failed = True
            typer.echo(f"error: {message(error)}", err=True)
    raise typer.Exit(int(failed))


def to_onnx(
    out: Folder,
    model: Model = DEFAULT,
    step: Annotated[bool, typer.Option("--step", help="export steps of streams, a frame at a time")] = False,
) -> None:
    """Write encoder.onnx (if the model has an encoder) and decoder.onnx; or encoder_step.onnx and decoder_step.onnx."""
    from codec.export import export_onnx, export_steps

    tokenizer = open_tokenizer(model, "cpu", "float32")
    with told():
        if step:
            export_steps(tokenizer.model, out, tokenizer.fingerprint)
        else:
            export_onnx(tokenizer.model, out)


def to_voxtral(
    out: Folder,
    model: Model = DEFAULT,
    tts: Annotated[bool, typer.Option("--tts", help="export the voice model of that name, with its codec")] = False,
    voice: Annotated[
        list[str] | None, typer.Option(help="with --tts: voice file, or one of `codec voices`; default: all of these")
    ] = None,
) -> None:
    """Write a codec, or a voice model, in the released Voxtral layout."""
    if voice and not tts:
        fail("--voice: a codec has no voices; give --tts as well")
    with told():
        if tts:
            _export_tts(out, model, voice)
        else:
            open_tokenizer(model, "cpu", "float32").export_voxtral(out)


def _export_tts(out: Path, model: str, names: list[str] | None) -> None:
    from codec.tts import Voice, load, shipped_voices
    from codec.tts.export import check_voxtral, export_voxtral

    tts = open_model(load, model, "cpu", "float32")
    check_voxtral(tts.model, tts.codec)
    wanted = names or [voice.name for voice in shipped_voices()]
    voices = {Path(n).stem: Voice.load(n) if Path(n).is_file() else tts.voice(n) for n in wanted}
    export_voxtral(out, tts.model, tts.text_tokenizer, tts.codec, voices)


def _model_facts(name: str) -> dict[str, object]:
    from codec.config import PRESETS
    from codec.tokenizer import load

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = load(name)
    c, model = tokenizer.config, tokenizer.model
    size = f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters"
    trained = "random weights" if name in PRESETS else f"fingerprint {tokenizer.fingerprint}"
    return {
        "model": f"{name} ({size}, {trained}, {'with' if model.has_encoder else 'without'} encoder)",
        "sample rate": f"{c.sample_rate} Hz",
        "frame rate": f"{c.frame_rate:g} Hz ({c.hop_length} samples per frame)",
        "quantizer": c.quantizer.kind,
        "codebooks": f"{c.num_codebooks}: {_books(c.quantizer)}",
        "bitrate": f"{c.bitrate() / 1000:.3f} kbit/s",
    }


def _books(quantizer: QuantizerConfig) -> str:
    """Format runs of equal codebooks, as "1 of 8192 entries, 36 of 21 levels"."""
    books = zip(quantizer.codebook_sizes, quantizer.ordinal, strict=True)
    runs = [(len(list(run)), size, ordinal) for (size, ordinal), run in groupby(books)]
    return ", ".join(f"{n} of {size} {'levels' if ordinal else 'entries'}" for n, size, ordinal in runs)


def _file_facts(path: Path) -> dict[str, object]:
    return _tokens_facts(path) if path.suffix == TOKENS_SUFFIX else _stream_facts(path)


def _tokens_facts(path: Path) -> dict[str, object]:
    from codec.tokens.tokens import Tokens

    tokens = Tokens.load(path)
    return {
        "tokens": f"{path} (made by codec {tokens.fingerprint or 'unknown'})",
        "codes": " x ".join(map(str, tokens.codes.shape)) + " (items x codebooks x frames)",
        "duration": " ".join(f"{seconds:.3f}" for seconds in tokens.durations.tolist()) + " s",
        "frame rate": f"{tokens.frame_rate:g} Hz",
    }


def _stream_facts(path: Path) -> dict[str, object]:
    from codec.bitstream import describe

    contents = describe(path)
    header, seconds = contents.header, contents.n_samples / contents.header.sample_rate
    facts: dict[str, object] = {
        "stream": f"{path} (made by codec {header.fingerprint or 'unknown'})",
        "duration": f"{seconds:.3f} s",
        "coding": f"by token model {header.token_model}" if header.token_model else "at a fixed rate",
        "packets": f"{contents.n_packets} of {header.frames_per_packet} frames, {contents.n_copies} copies",
    }
    if contents.n_samples:
        used = [(end, size) for end, size in zip(header.layer_ends, contents.layer_bytes, strict=True) if size]
        total = accumulate(size for _, size in used)
        rates = (f"{8 * size / seconds / 1000:.2f} ({end})" for (end, _), size in zip(used, total, strict=True))
        facts["bitrate"] = f"{8 * path.stat().st_size / seconds / 1000:.2f} kbit/s, of the whole file"
        facts["by layers"] = f"{', '.join(rates)} kbit/s (codebooks) of {len(header.codebook_sizes)}"
    return facts | {f"metadata {name}": value for name, value in header.metadata.items()}
