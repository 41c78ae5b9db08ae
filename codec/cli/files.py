"""The commands encode, decode and roundtrip: files in, files out."""

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
from codec.cli.common import Device, Model, Precision, fail, open_tokenizer, read_tokens, show_warnings
from codec.files import AUDIO_SUFFIXES, STREAM_SUFFIX, TOKENS_SUFFIX, find_files, find_recordings
from codec.settings import DEFAULT

if TYPE_CHECKING:
    from torch import Tensor

    from codec.tokenizer import Tokenizer
    from codec.tokens.tokens import Tokens

BATCH_SECONDS = 60.0  # of audio, padding counted, that are encoded together
MARK = "decoded by codec "  # in the metadata of audio files, before the fingerprint: these may be written over

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
    """Audio files to NAME.c37."""
    jobs, failures = _jobs(inputs, AUDIO_SUFFIXES, out, STREAM_SUFFIX, overwrite)
    tokenizer = open_tokenizer(model, device, dtype)
    from codec.bitstream import save

    def work(jobs: list[Job]) -> None:
        tokens = _prefix(tokenizer.encode([job.source for job in jobs]), n_q)
        for i, job in enumerate(jobs):
            save(job.target, tokens[i], tokenizer.config.codebook_sizes, tokenizer.token_model)

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
    """.c37 and .tokens files to NAME.wav; recordings of that name stay as they are.

    Where a .c37 file is damaged, the frame before is repeated, with a warning that names the time.
    """
    jobs, failures = _jobs(inputs, (STREAM_SUFFIX, TOKENS_SUFFIX), out, ".wav", overwrite)
    tokenizer = open_tokenizer(model, device, dtype)

    def work(jobs: list[Job]) -> None:
        for job in jobs:
            tokens = read_tokens(job.source, tokenizer)
            _write(job.target, tokenizer.decode(_prefix(tokens, n_q))[0], tokenizer)

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
    """Audio files through the codec and back, to NAME.codec.wav."""
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
    """What there is to do, without outputs that exist; and what cannot be done, in words."""
    jobs, failures = _targets(inputs, suffixes, out, suffix)
    fresh, n_skipped = [], 0
    for job in jobs:
        exists = os.path.exists(job.target)  # unlike that of Path, it takes names that are too long
        if exists and suffix != STREAM_SUFFIX and not _is_ours(job.target):
            failures.append(
                f"{job.source}: {job.target} exists and was not decoded by codec, so it stays; give a folder with --out"
            )
        elif exists and not overwrite:
            n_skipped += 1
        else:
            fresh.append(job)
    if n_skipped:
        total = f"{n_skipped} of {len(jobs)}"
        typer.echo(f"skipped {total} files whose outputs exist (--overwrite redoes them)", err=True)
    return fresh, failures


def _targets(
    inputs: list[str], suffixes: tuple[str, ...], out: Path | None, suffix: str
) -> tuple[list[Job], list[str]]:
    """Every input once, with a target of its own; inputs that differ by their suffix keep it in the target's name."""
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
            failures.append(f"{both}; the first is left out, give it another folder with --out")
        else:
            jobs[target] = Job(source, target)
    return list(jobs.values()), failures


def _is_ours(path: Path) -> bool:
    from codec.audio.io import read_comment

    try:
        return read_comment(path).startswith(MARK)
    except AudioError:
        return False


def _write(path: Path, waveform: Tensor, tokenizer: Tokenizer) -> None:
    from codec.audio.io import write_audio

    write_audio(path, waveform, tokenizer.config.sample_rate, MARK + tokenizer.fingerprint)


def _find(inputs: list[str], suffixes: tuple[str, ...]) -> Iterator[tuple[Path, Path]]:
    """Every input file and its path below the folder or pattern that named it."""
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
    """Files of similar duration together, up to `BATCH_SECONDS`."""
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
            warnings.simplefilter("ignore")  # encoding it says the same
            with open_sound(path) as sound:
                return sound.n_samples / sound.sample_rate
    except AudioError:
        return float("inf")  # a batch of its own; encoding it says what is wrong


def _run(batches: list[list[Job]], work: Callable[[list[Job]], None], failures: list[str]) -> NoReturn:
    """Do all batches, the files of a failing one singly; name the files that fail, and exit with 1 if any did."""
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
                text, source = str(error), str(batch[0].source)
                bar.write(f"error: {text if source in text else f'{source}: {text}'}", file=sys.stderr)
            bar.update(len(batch))
    raise typer.Exit(int(n_failed > 0))


def _prefix(tokens: Tokens, n_q: int | None) -> Tokens:
    return tokens if n_q is None else tokens.prefix(n_q)
