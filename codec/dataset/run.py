"""Tokenize the recordings of a source to a folder of shards, once each, and read them back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from codec.dataset.config import TokenizeConfig
from codec.dataset.encoding import check_int16, split_by_size
from codec.dataset.engines import ENGINES
from codec.dataset.folder import describe, open_folder, read_index, read_source, shard_path
from codec.dataset.formats import FORMS, TokenRow
from codec.dataset.worker import REPORTS, Report, Shard, read_report, report_path, seconds_of
from codec.extras import needs
from codec.files import remove_leftovers, write_json_lines
from codec.recordings.utterance import Utterance
from codec.settings import require
from codec.tokenizer import load

FAILURES = "failures.jsonl"
_COMMAND = "codec tokenize"


@dataclass(frozen=True)
class Summary:
    """What a folder of shards holds."""

    n_recordings: int
    hours: float
    n_failures: int


def tokenize(
    source: str | Path, out: Path, config: TokenizeConfig, engine: str = "processes", workers: int = 0
) -> Summary:
    """Encode the recordings of a manifest, folder or tar shard that `out` lacks; a killed run goes on.

    The files do not depend on the engine and the number of workers. Recordings that cannot be read are listed in
    `failures.jsonl`.

    Args:
        engine: `processes` or `ray`.
        workers: processes or actors; 0: one for each GPU, or for each processor core.

    Raises:
        ValueError: an empty `source`, no such codec, or `out` was made from another source, codec or settings.
        MissingEncoderError: the codec has no encoder.
        MissingDependencyError: pyarrow or Ray is not installed.
        RuntimeError: a process died.
    """
    require(engine in ENGINES, "engine", engine, " or ".join(ENGINES))
    require(workers >= 0, "workers", workers, "0 or more")
    if config.format == "parquet":
        with needs("pyarrow", "writing Parquet", "parquet"):
            import pyarrow.parquet  # noqa: F401
    tokenizer = load(config.model)
    tokenizer.model.encoder  # noqa: B018  raises if it is missing
    check_int16(tokenizer)
    out, suffix = out.resolve(), FORMS[config.format].suffix
    utterances = read_source(source)
    shards = [Shard(*s) for s in enumerate(split_by_size(utterances, seconds_of, config.shard_hours * 3600))]
    settings = {name: value for name, value in asdict(config).items() if name != "device"}
    open_folder(out, settings | describe(tokenizer, utterances, len(shards)), suffix, _COMMAND)
    (out / REPORTS).mkdir(exist_ok=True)
    left = [shard for shard in shards if not shard_path(out, shard.number, suffix).is_file()]
    if left:
        reports = ENGINES[engine](left, out, config, tokenizer.fingerprint, workers)
        _follow(reports, _hours(utterances), sum(_hours(shard.utterances) for shard in left))
    for folder in (out, out / REPORTS):
        remove_leftovers(folder)
    done = [read_report(report_path(out, shard.number)) for shard in shards]
    failures = [failure for report in done for failure in report.failures]
    write_json_lines(out / FAILURES, map(asdict, failures))
    return Summary(sum(r.n_recordings for r in done), sum(r.hours for r in done), len(failures))


def read_shards(folder: str | Path) -> Iterator[TokenRow]:
    """Read all rows of a folder in the order of the source.

    Raises:
        ValueError: the folder is missing, unfinished or damaged.
        MissingDependencyError: pyarrow is not installed.
    """
    folder = Path(folder)
    index = read_index(folder, _COMMAND)
    form = FORMS[index["format"]]
    paths = [shard_path(folder, number, form.suffix) for number in range(index["n_shards"])]
    if missing := [path for path in paths if not path.is_file()]:
        raise ValueError(
            f"{folder}: {len(missing)} of {len(paths)} shards are missing; run {_COMMAND} again to finish it"
        )
    for path in paths:
        yield from form.read(path)


def _follow(reports: Iterator[Report], total: float, left: float) -> None:
    """Show hours done, the speed and the time left."""
    form = "{percentage:3.0f}%|{bar}| {n:.2f}/{total:.2f} h [{elapsed}<{remaining}{postfix}]"
    start, done = time.monotonic(), 0.0
    with tqdm(total=total, initial=total - left, bar_format=form) as bar:
        for report in reports:
            done += report.hours
            bar.set_postfix_str(f"{done * 3600 / (time.monotonic() - start):.0f} times real time", refresh=False)
            bar.n = min(total, bar.n + report.hours)  # the source may have rounded durations
            bar.refresh()


def _hours(utterances: list[Utterance]) -> float:
    return sum(map(seconds_of, utterances)) / 3600
