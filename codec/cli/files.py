"""The commands encode, decode and roundtrip."""

from __future__ import annotations

import glob
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, NoReturn

import typer
from tqdm import tqdm

from codec.audio.error import AudioError
from codec.cli.common import (
    Device,
    Model,
    NumQuantizers,
    Precision,
    fail,
    open_tokenizer,
    read_comment,
    show_warnings,
    told,
)
from codec.files import (
    AUDIO_SUFFIXES,
    STREAM_SUFFIX,
    TOKENS_SUFFIX,
    find_files,
    find_recordings,
    make_folder,
    message,
)
from codec.settings import DEFAULT

if TYPE_CHECKING:
    from torch import Tensor

    from codec.tokenizer import Tokenizer
    from codec.tokens.tokens import Tokens

BATCH_SECONDS = 60.0  # of audio per batch, with padding
MARK = "decoded by codec "  # in the metadata of our audio files, which may be overwritten; the fingerprint follows

Inputs = Annotated[list[str], typer.Argument(help="files, folders (searched recursively) or glob patterns")]
Output = Annotated[Path | None, typer.Option("--out", "-o", help="output folder; default: beside each input")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="overwrite existing outputs")]


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
    fixed_rate: Annotated[
        bool, typer.Option("--fixed-rate", help="do without entropy coding: larger, the same size for every frame")
    ] = False,
) -> None:
    """Encode audio files to NAME.c37."""
    jobs, failures = _jobs(inputs, AUDIO_SUFFIXES, out, STREAM_SUFFIX, overwrite)
    tokenizer = open_tokenizer(model, device, dtype)
    from codec.bitstream import save

    def work(jobs: list[Job]) -> None:
        tokens = _prefix(tokenizer.encode([job.source for job in jobs]), n_q)
        for i, job in enumerate(jobs):
            save(job.target, tokens[i], tokenizer.config.codebook_sizes, None if fixed_rate else tokenizer.token_model)

    _run(_batches(jobs), work, failures)


def decode(
    inputs: Inputs,
    out: Output = None,
    model: Model = DEFAULT,
    n_q: NumQuantizers = None,
    device: Device = "cpu",
    dtype: Precision = "float32",
    overwrite: Overwrite = False,
) -> None:
    """Decode .c37 and .tokens files to NAME.wav; existing recordings of that name are kept.

    What is lost of a damaged .c37 file is concealed, with a warning that gives the time.
    """
    jobs, failures = _jobs(inputs, (STREAM_SUFFIX, TOKENS_SUFFIX), out, ".wav", overwrite)
    tokenizer = open_tokenizer(model, device, dtype)

    def work(jobs: list[Job]) -> None:
        for job in jobs:
            _write(job.target, _decode(job.source, tokenizer, n_q), tokenizer)

    _run([[job] for job in jobs], work, failures)


def roundtrip(
    inputs: Inputs,
    out: Output = None,
    model: Model = DEFAULT,
    n_q: NumQuantizers = None,
    device: Device = "cpu",
    dtype: Precision = "float32",
    overwrite: Overwrite = False,
) -> None:
    """Encode and decode audio files to NAME.codec.wav."""
    jobs, failures = _jobs(inputs, AUDIO_SUFFIXES, out, ".codec.wav", overwrite)
    tokenizer = open_tokenizer(model, device, dtype)

    def work(jobs: list[Job]) -> None:
        waveforms = tokenizer.decode(_prefix(tokenizer.encode([job.source for job in jobs]), n_q))
        for job, waveform in zip(jobs, waveforms, strict=True):
            _write(job.target, waveform, tokenizer)

    _run(_batches(jobs), work, failures)


def _jobs(
    inputs: list[str], suffixes: tuple[str, ...], out: Path | None, suffix: str, overwrite: bool
) -> tuple[list[Job], list[str]]:
    """List the jobs without existing outputs, and messages about impossible ones."""
    jobs, failures = _targets(inputs, suffixes, out, suffix)
    if out is not None:
        with told():
            make_folder(out)
    fresh, n_skipped = [], 0
    for job in jobs:
        exists = os.path.exists(job.target)  # unlike Path.exists, False for names that are too long
        if exists and suffix != STREAM_SUFFIX and not read_comment(job.target).startswith(MARK):
            failures.append(
                f"{job.source}: {job.target} was not decoded by codec, so it is kept; give a folder with --out"
            )
        elif exists and not overwrite:
            n_skipped += 1
        else:
            fresh.append(job)
    if n_skipped:
        total = f"{n_skipped} of {len(jobs)}"
        typer.echo(f"skipped {total} files with existing outputs (use --overwrite)", err=True)
    return fresh, failures


def _targets(
    inputs: list[str], suffixes: tuple[str, ...], out: Path | None, suffix: str
) -> tuple[list[Job], list[str]]:
    """List each input once, with its own target; targets keep the input's suffix where needed."""
    sources = {source: relative for source, relative in _find(inputs, suffixes) if not source.name.endswith(suffix)}
    if not sources:
        fail(f"no files found in {' '.join(inputs)}: looked for {' '.join(suffixes)}")
    places = {source: source if out is None else out / relative for source, relative in sources.items()}
    times = Counter(place.with_suffix(suffix) for place in places.values())
    jobs: dict[Path, Job] = {}
    failures = []
    for source, place in places.items():
        target = place.with_suffix(suffix)
        if times[target] > 1:
            target = place.with_name(place.name + suffix)
        if target in jobs:
            both = f"{source} and {jobs[target].source} would both become {target}"
            failures.append(f"{both}; the first is left out; give another folder with --out")
        else:
            jobs[target] = Job(source, target)
    return list(jobs.values()), failures


def _decode(path: Path, tokenizer: Tokenizer, n_q: int | None) -> Tensor:
    """Decode the only recording of a .c37 file, or the first of a .tokens file, to `[L]`.

    Raises:
        ValueError: no such file.
    """
    if path.suffix == TOKENS_SUFFIX:
        from codec.tokens.tokens import Tokens

        return tokenizer.decode(_prefix(Tokens.load(path), n_q))[0]
    from codec.bitstream import fade, recover

    tokens, received = recover(path, tokenizer.token_model)
    waveform = tokenizer.decode(_prefix(tokens, n_q))[0]
    return fade(waveform, received, tokens.hop_length, tokens.sample_rate)


def _write(path: Path, waveform: Tensor, tokenizer: Tokenizer) -> None:
    from codec.audio.io import write_audio

    write_audio(path, waveform, tokenizer.config.sample_rate, MARK + tokenizer.fingerprint)


def _find(inputs: list[str], suffixes: tuple[str, ...]) -> Iterator[tuple[Path, Path]]:
    """Find input files, with their paths relative to the folder or pattern."""
    for name in inputs:
        path = Path(name)
        if os.path.isdir(path):
            with show_warnings():
                found = find_recordings(path) if suffixes == AUDIO_SUFFIXES else find_files(path, suffixes)
                yield from ((file, file.relative_to(path)) for file in found)
        elif os.path.exists(path) or not glob.has_magic(name):
            yield path, Path(path.name)
        else:
            yield from ((Path(f), Path(Path(f).name)) for f in sorted(glob.glob(name, recursive=True)))


def _batches(jobs: list[Job]) -> list[list[Job]]:
    """Batch files of similar duration, up to `BATCH_SECONDS`."""
    batches: list[list[Job]] = []
    for seconds, job in sorted((_duration(job.source), job) for job in jobs):
        if batches and seconds * (len(batches[-1]) + 1) <= BATCH_SECONDS:
            batches[-1].append(job)
        else:
            batches.append([job])
    return batches


def _duration(path: Path) -> float:
    from codec.audio.sound import open_sound

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # encoding repeats it
            with open_sound(path) as sound:
                return sound.n_samples / sound.sample_rate
    except AudioError:
        return float("inf")  # its own batch; encoding reports the error


def _run(batches: list[list[Job]], work: Callable[[list[Job]], None], failures: list[str]) -> NoReturn:
    """Run all batches, the files of a failed one singly; print failures, and exit with 1 if there are any."""
    n_failed = len(failures)
    for failure in failures:
        typer.echo(f"error: {failure}", err=True)
    with tqdm(total=sum(map(len, batches)), unit="file", disable=None) as bar:
        while batches:
            batch = batches.pop(0)
            try:
                for job in batch:
                    job.target.parent.mkdir(parents=True, exist_ok=True)
                with show_warnings():
                    work(batch)
            except (ValueError, RuntimeError, OSError) as error:
                if len(batch) > 1:
                    batches = [[job] for job in batch] + batches
                    continue
                n_failed += 1
                text, source = message(error), str(batch[0].source)
                bar.write(f"error: {text if source in text else f'{source}: {text}'}", file=sys.stderr)
            bar.update(len(batch))
    raise typer.Exit(int(n_failed > 0))


def _prefix(tokens: Tokens, n_q: int | None) -> Tokens:
    return tokens if n_q is None else tokens.prefix(n_q)
