"""The commands encode, decode and roundtrip: files in, files out."""

from __future__ import annotations

import glob
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, NamedTuple, NoReturn

import soundfile
import typer
from tqdm import tqdm

from codec.audio.io import AUDIO_SUFFIXES, write_audio
from codec.checkpoint.hub import DEFAULT
from codec.cli.common import Device, Model, Precision, fail, open_tokenizer
from codec.tokens.tokens import SUFFIX, Tokens

BATCH_SECONDS = 60.0  # of audio, padding counted, that are encoded together

Inputs = Annotated[list[str], typer.Argument(help="files, folders (searched in depth) or glob patterns")]
Output = Annotated[Path | None, typer.Option("--out", "-o", help="folder for outputs; beside each input by default")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="redo outputs that exist")]
NumQuantizers = Annotated[int | None, typer.Option("--n-q", help="codebooks to use: fewer is a lower bitrate")]


class Job(NamedTuple):
    source: Path
    target: Path


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
    tokenizer = open_tokenizer(model, device, dtype)

    def work(jobs: list[Job]) -> None:
        tokens = _prefix(tokenizer.encode([job.source for job in jobs]), n_q)
        for i, job in enumerate(jobs):
            tokens[i].save(job.target)

    _run(_batches(_jobs(inputs, AUDIO_SUFFIXES, out, SUFFIX, overwrite)), work)


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
    tokenizer = open_tokenizer(model, device, dtype)

    def work(jobs: list[Job]) -> None:
        for job in jobs:
            waveform = tokenizer.decode(_prefix(Tokens.load(job.source), n_q))[0]
            write_audio(job.target, waveform, tokenizer.config.sample_rate)

    _run([[job] for job in _jobs(inputs, (SUFFIX,), out, ".wav", overwrite)], work)


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
    tokenizer = open_tokenizer(model, device, dtype)

    def work(jobs: list[Job]) -> None:
        waveforms = tokenizer.decode(_prefix(tokenizer.encode([job.source for job in jobs]), n_q))
        for job, waveform in zip(jobs, waveforms, strict=True):
            write_audio(job.target, waveform, tokenizer.config.sample_rate)

    _run(_batches(_jobs(inputs, AUDIO_SUFFIXES, out, ".codec.wav", overwrite)), work)


def _jobs(inputs: list[str], suffixes: tuple[str, ...], out: Path | None, suffix: str, overwrite: bool) -> list[Job]:
    """What there is to do: every input once, without outputs that exist, each with a target of its own."""
    jobs: dict[Path, Job] = {}
    for source, relative in dict(_find(inputs, suffixes)).items():
        if source.name.endswith(suffix):
            continue  # the output of an earlier roundtrip
        target = (source if out is None else out / relative).with_suffix(suffix)
        if target in jobs:
            fail(f"{source} and {jobs[target].source} would both become {target}; encode them into different folders")
        jobs[target] = Job(source, target)
    if not jobs:
        fail(f"no files found in {' '.join(inputs)}: looked for {' '.join(suffixes)}")
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
