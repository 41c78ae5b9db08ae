"""The command `codec`: encode, decode, roundtrip, info, stream, export-onnx, export-voxtral."""

from __future__ import annotations

import glob
import sys
import warnings
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, NoReturn, cast

import numpy as np
import soundfile
import torch
import typer
from tqdm import tqdm

from codec.audio.io import AUDIO_SUFFIXES, write_audio
from codec.checkpoint.hub import DEFAULT
from codec.config import PRESETS
from codec.export import export_onnx
from codec.tokenizer import Tokenizer, load
from codec.tokens.tokens import SUFFIX, Tokens

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

BATCH_SECONDS = 60.0  # of audio, padding counted, that are encoded together
PCM, CODE = np.dtype("<i2"), np.dtype("<u2")  # what `codec stream` reads and writes

Inputs = Annotated[list[str], typer.Argument(help="files, folders (searched in depth) or glob patterns")]
Output = Annotated[Path | None, typer.Option("--out", "-o", help="folder for outputs; beside each input by default")]
Model = Annotated[str, typer.Option("--model", "-m", help="checkpoint folder, hub id, preset, or default")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps ...")]
Precision = Annotated[str, typer.Option(help="float32, bfloat16 or float16")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="redo outputs that exist")]
NumQuantizers = Annotated[int | None, typer.Option("--n-q", help="codebooks to use: fewer is a lower bitrate")]
Folder = Annotated[Path, typer.Option("--out", "-o", help="folder to write; replaced if it exists")]


class Job(NamedTuple):
    source: Path
    target: Path


@app.command()
def encode(
    inputs: Inputs,
    out: Output = None,
    model: Model = DEFAULT,
    n_q: NumQuantizers = None,
    device: Device = "cpu",
    dtype: Precision = "float32",
    overwrite: Overwrite = False,
) -> None:
    """Audio files to NAME.tokens."""
    tokenizer = _open(model, device, dtype)

    def work(jobs: list[Job]) -> None:
        tokens = _prefix(tokenizer.encode([job.source for job in jobs]), n_q)
        for i, job in enumerate(jobs):
            tokens[i].save(job.target)

    _run(_batches(_jobs(inputs, AUDIO_SUFFIXES, out, SUFFIX, overwrite)), work)


@app.command()
def decode(
    inputs: Inputs,
    out: Output = None,
    model: Model = DEFAULT,
    n_q: NumQuantizers = None,
    device: Device = "cpu",
    dtype: Precision = "float32",
    overwrite: Overwrite = False,
) -> None:
    """.tokens files to NAME.wav."""
    tokenizer = _open(model, device, dtype)

    def work(jobs: list[Job]) -> None:
        for job in jobs:
            waveform = tokenizer.decode(_prefix(Tokens.load(job.source), n_q))[0]
            write_audio(job.target, waveform, tokenizer.config.sample_rate)

    _run([[job] for job in _jobs(inputs, (SUFFIX,), out, ".wav", overwrite)], work)


@app.command()
def roundtrip(
    inputs: Inputs,
    out: Output = None,
    model: Model = DEFAULT,
    n_q: NumQuantizers = None,
    device: Device = "cpu",
    dtype: Precision = "float32",
    overwrite: Overwrite = False,
) -> None:
    """Audio files through the codec and back, to NAME.codec.wav."""
    tokenizer = _open(model, device, dtype)

    def work(jobs: list[Job]) -> None:
        waveforms = tokenizer.decode(_prefix(tokenizer.encode([job.source for job in jobs]), n_q))
        for job, waveform in zip(jobs, waveforms, strict=True):
            write_audio(job.target, waveform, tokenizer.config.sample_rate)

    _run(_batches(_jobs(inputs, AUDIO_SUFFIXES, out, ".codec.wav", overwrite)), work)


@app.command()
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


@app.command()
def stream(
    direction: Literal["encode", "decode"], model: Model = DEFAULT, device: Device = "cpu", dtype: Precision = "float32"
) -> None:
    """16-bit mono PCM on stdin to codes on stdout, each frame as soon as it is complete, or back.

    PCM is at the model's sample rate; a frame is a uint16 for each codebook; all little-endian.
    """
    tokenizer = _open(model, device, dtype)
    blocks = _stream_encode(tokenizer) if direction == "encode" else _stream_decode(tokenizer)
    try:
        for block in blocks:
            sys.stdout.buffer.write(block)
            sys.stdout.buffer.flush()
    except (ValueError, RuntimeError, OSError) as error:
        _fail(error)


@app.command("export-onnx")
def onnx_command(out: Folder, model: Model = DEFAULT) -> None:
    """Write encoder.onnx (if the model has an encoder) and decoder.onnx."""
    tokenizer = _open(model, "cpu", "float32")
    try:
        export_onnx(tokenizer.model, out)
    except (ImportError, OSError) as error:
        _fail(error)


@app.command("export-voxtral")
def voxtral_command(out: Folder, model: Model = DEFAULT) -> None:
    """Write the model in the released Voxtral layout."""
    tokenizer = _open(model, "cpu", "float32")
    try:
        tokenizer.export_voxtral(out)
    except (ValueError, OSError) as error:
        _fail(error)


def _open(model: str, device: str, dtype: str) -> Tokenizer:
    kind = getattr(torch, dtype, None)
    if not isinstance(kind, torch.dtype):
        _fail(f"--dtype {dtype}: expected float32, bfloat16 or float16")
    try:
        with warnings.catch_warnings(record=True) as caught:
            tokenizer = load(model, device, kind)
    except (ValueError, RuntimeError, OSError) as error:
        _fail(error)
    for warning in caught:
        typer.echo(f"warning: {warning.message}", err=True)
    return tokenizer


def _jobs(inputs: list[str], suffixes: tuple[str, ...], out: Path | None, suffix: str, overwrite: bool) -> list[Job]:
    """What there is to do: every input once, without outputs that exist, each with a target of its own."""
    jobs: dict[Path, Job] = {}
    for source, relative in dict(_find(inputs, suffixes)).items():
        if source.name.endswith(suffix):
            continue  # the output of an earlier roundtrip
        target = (source if out is None else out / relative).with_suffix(suffix)
        if target in jobs:
            _fail(f"{source} and {jobs[target].source} would both become {target}; encode them into different folders")
        jobs[target] = Job(source, target)
    if not jobs:
        _fail(f"no files found in {' '.join(inputs)}: looked for {' '.join(suffixes)}")
    fresh = [job for job in jobs.values() if overwrite or not job.target.exists()]
    if skipped := len(jobs) - len(fresh):
        typer.echo(f"skipped {skipped} of {len(jobs)} files whose outputs exist (--overwrite redoes them)", err=True)
    return fresh


def _find(inputs: list[str], suffixes: tuple[str, ...]) -> Iterator[tuple[Path, Path]]:
    """Every input file and its path below the folder or pattern that named it."""
    for name in inputs:
        path = Path(name)
        if path.is_dir():
            yield from ((f, f.relative_to(path)) for f in sorted(path.rglob("*")) if f.suffix.lower() in suffixes)
        elif path.exists() or not glob.has_magic(name):
            yield path, Path(path.name)
        else:
            yield from ((Path(f), Path(Path(f).name)) for f in sorted(glob.glob(name, recursive=True)))


def _batches(jobs: list[Job]) -> list[list[Job]]:
    """Files of similar duration together, up to `BATCH_SECONDS`."""
    batches: list[list[Job]] = []
    for seconds, job in sorted((_duration(job.source), job) for job in jobs):
        if batches and seconds * (len(batches[-1]) + 1) <= BATCH_SECONDS:
            batches[-1].append(job)
        else:
            batches.append([job])
    return batches


def _duration(path: Path) -> float:
    try:
        return soundfile.info(path).duration
    except (soundfile.SoundFileError, RuntimeError, OSError):
        return float("inf")  # a batch of its own; encoding it says what is wrong


def _run(batches: list[list[Job]], work: Callable[[list[Job]], None]) -> NoReturn:
    """Do all batches, the files of a failing one singly; name the files that fail, and exit with 1 if any did."""
    n_failed = 0
    with tqdm(total=sum(map(len, batches)), unit="file", disable=None) as bar:
        while batches:
            batch = batches.pop(0)
            try:
                for job in batch:
                    job.target.parent.mkdir(parents=True, exist_ok=True)
                work(batch)
            except (ValueError, RuntimeError, OSError) as error:
                if len(batch) > 1:
                    batches = [[job] for job in batch] + batches
                    continue
                n_failed += 1
                text, source = str(error), str(batch[0].source)
                bar.write(f"error: {text if source in text else f'{source}: {text}'}", file=sys.stderr)
            bar.update(len(batch))
    raise typer.Exit(int(n_failed > 0))


def _prefix(tokens: Tokens, n_q: int | None) -> Tokens:
    return tokens if n_q is None else tokens.prefix(n_q)


def _model_facts(name: str) -> dict[str, object]:
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
    tokens = Tokens.load(name)
    return {
        "tokens": f"{name} (made by codec {tokens.fingerprint or 'unknown'})",
        "codes": " x ".join(map(str, tokens.codes.shape)) + " (items x codebooks x frames)",
        "duration": " ".join(f"{seconds:.3f}" for seconds in tokens.durations.tolist()) + " s",
        "frame rate": f"{tokens.frame_rate:g} Hz",
    }


def _stream_encode(tokenizer: Tokenizer) -> Iterator[bytes]:
    if max(tokenizer.config.codebook_sizes) > 2**16:
        raise ValueError(f"semantic_codebook_size = {max(tokenizer.config.codebook_sizes)}: codes do not fit uint16")
    encoder = tokenizer.encoder_stream()
    for samples in _read_stdin(PCM):
        yield _code_bytes(encoder.push(samples.astype(np.int16)))
    yield _code_bytes(encoder.flush())


def _code_bytes(tokens: Tokens) -> bytes:
    return tokens.codes[0].T.numpy(force=True).astype(CODE).tobytes()


def _stream_decode(tokenizer: Tokenizer) -> Iterator[bytes]:
    decoder, n_q = tokenizer.decoder_stream(), tokenizer.config.num_codebooks
    rest = np.zeros(0, CODE)
    for values in _read_stdin(CODE):
        rest = np.concatenate([rest, values])
        frames, rest = np.split(rest, [len(rest) // n_q * n_q])
        codes = torch.from_numpy(frames.astype(np.int64)).view(1, -1, n_q).transpose(1, 2)
        yield _pcm_bytes(decoder.push(codes)[0])
    yield _pcm_bytes(decoder.flush()[0])
    if len(rest):
        raise ValueError(f"stdin: ends within a frame, {len(rest)} of {n_q} codes are there")


def _pcm_bytes(waveform: torch.Tensor) -> bytes:
    return (waveform.clamp(-1, 1) * 32767).round().numpy(force=True).astype(PCM).tobytes()


def _read_stdin(kind: np.dtype) -> Iterator[np.ndarray]:
    """Whatever has arrived, as soon as it arrives."""
    stdin, rest = cast(BufferedReader, sys.stdin.buffer), b""
    while block := stdin.read1(65536):
        block = rest + block
        whole = len(block) // kind.itemsize * kind.itemsize
        rest = block[whole:]
        yield np.frombuffer(block[:whole], kind)
    if rest:
        raise ValueError(f"stdin: {len(rest)} bytes are left over, values are {kind.itemsize} bytes")


def _fail(error: object) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(2)


def main() -> None:
    """Entry point of the command."""
    torch.set_flush_denormal(True)
    app()
