"""The commands about models: info, export-onnx, export-voxtral."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import typer

from codec.cli.common import Model, fail, open_tokenizer
from codec.config import DEFAULT, PRESETS

Folder = Annotated[Path, typer.Option("--out", "-o", help="folder to write; replaced if it exists")]


def info(names: Annotated[list[str], typer.Argument(help="checkpoints, presets or .tokens files")]) -> None:
    """What a model or a tokens file is."""
    failed = False
    for name in names:
        try:
            for key, value in (_tokens_facts(name) if Path(name).is_file() else _model_facts(name)).items():
                typer.echo(f"{key:<18}{value}")
        except (ValueError, OSError) as error:
            failed = True
            typer.echo(f"error: {error}", err=True)
    raise typer.Exit(int(failed))


def to_onnx(out: Folder, model: Model = DEFAULT) -> None:
    """Write encoder.onnx (if the model has an encoder) and decoder.onnx."""
    from codec.export import export_onnx

    tokenizer = open_tokenizer(model, "cpu", "float32")
    try:
        export_onnx(tokenizer.model, out)
    except (ImportError, OSError) as error:
        fail(error)


def to_voxtral(out: Folder, model: Model = DEFAULT) -> None:
    """Write the model in the released Voxtral layout."""
    tokenizer = open_tokenizer(model, "cpu", "float32")
    try:
        tokenizer.export_voxtral(out)
    except (ValueError, OSError) as error:
        fail(error)


def _model_facts(name: str) -> dict[str, object]:
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
        "frame rate": f"{c.frame_rate:g} Hz ({c.hop_length} samples a frame)",
        "codebooks": f"{c.num_codebooks}: 1 semantic of {c.semantic_codebook_size}, {c.acoustic_dim} acoustic",
        "acoustic levels": " ".join(map(str, sorted(set(c.levels)))),
        "bitrate": f"{c.bitrate() / 1000:.3f} kbit/s",
    }


def _tokens_facts(name: str) -> dict[str, object]:
    from codec.tokens.tokens import Tokens

    tokens = Tokens.load(name)
    return {
        "tokens": f"{name} (made by codec {tokens.fingerprint or 'unknown'})",
        "codes": " x ".join(map(str, tokens.codes.shape)) + " (items x codebooks x frames)",
        "duration": " ".join(f"{seconds:.3f}" for seconds in tokens.durations.tolist()) + " s",
        "frame rate": f"{tokens.frame_rate:g} Hz",
    }
