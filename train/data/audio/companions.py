"""Companion files of recordings: their pitch and, optionally, the states of a frozen Whisper, computed once.

`python -m train.data.audio.companions MANIFEST... --out FOLDER` computes the pitch of every recording and, with
`--whisper`, the states; training crops both like the recordings. A killed run resumes; of a grown manifest only new
recordings are processed.

A companion is a safetensors file with `f0` float32 `[n]`: Hz in the middle of each 10 ms, 0 where unvoiced; and for the
L tokens of the transcript by Whisper, `tokens` int32 `[L]`, `states` float16 `[L, width]` and `attention` float16
`[L, P]` over positions of 20 ms.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from codec.audio.io import AudioError
from codec.files import write_text
from codec.nn.precision import warn_if_emulated
from codec.recordings.manifest import read_manifest
from codec.recordings.media import read_recording
from codec.recordings.utterance import Utterance
from codec.settings import require
from codec.tensors import write_tensors
from eval.command import command, reports_errors
from eval.metrics.prosody import require_praat
from eval.workers import pool
from train.losses.teacher import POSITIONS_PER_SECOND, TeacherStates

if TYPE_CHECKING:
    from train.losses.whisper import WhisperTeacher

COMMAND = "python -m train.data.audio.companions"
FAILURES = "failures.txt"
HOPS_PER_SECOND = 100  # of pitch
F0_HZ = (60.0, 500.0)  # range of the search
SHORTEST_S = 0.1  # in which Praat can find a pitch of 60 Hz
SAMPLE_RATE = 24_000  # Hz, that of the codec
MAX_TEXT_TOKENS = 440  # limit of Whisper

Pitch = NDArray[np.float32]


@dataclass(frozen=True)
class Companion:
    f0: Pitch  # [n] Hz in the middle of each 10 ms, 0 where unvoiced
    teacher_states: TeacherStates | None  # None without --whisper

    def crop(self, start_s: float, seconds: float, speed: float = 1.0) -> Companion:
        """Crop to a clip that starts at `start_s` and lasts `seconds` when played at `speed` times the tempo."""
        n_hops = _ceil(seconds * HOPS_PER_SECOND)
        middles = start_s * HOPS_PER_SECOND + (np.arange(n_hops) + 0.5) * speed
        f0 = resample_pitch(self.f0, middles - 0.5) * np.float32(speed)
        n_positions = _ceil(seconds * POSITIONS_PER_SECOND)
        return Companion(f0, self.teacher_states and self.teacher_states.crop(start_s, speed, n_positions))


def companion_path(folder: str | Path, utterance: Utterance) -> Path:
    """Path of a companion: a hash of the end of the recording's path and its duration, so corpora may move."""
    place = "/".join(Path(os.path.abspath(utterance.path)).parts[-3:])
    seconds = "" if utterance.duration_s is None else f"{utterance.duration_s:.3f}"
    name = hashlib.sha256(os.fsencode(f"{place} {seconds}")).hexdigest()[:24]
    return Path(folder) / name[:2] / f"{name}.safetensors"


def read_companion(path: Path) -> Companion:
    """Read a companion file.

    Raises:
        ValueError: the file is missing or damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            f0 = file.get_tensor("f0").numpy()
            if "states" not in file.keys():  # noqa: SIM118 - not a dict
                return Companion(f0, None)
            tokens, states, attention = (file.get_tensor(name) for name in ("tokens", "states", "attention"))
            return Companion(f0, TeacherStates(tokens.long(), states.float(), attention.float()))
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete it and run {COMMAND} again") from error


def require_companions(folder: str | Path, utterances: Iterable[Utterance]) -> None:
    """Check that every recording has a companion in `folder`.

    Raises:
        ValueError: some have none.
    """
    missing = [u.path for u in utterances if not companion_path(folder, u).is_file()]
    if missing:
        raise ValueError(
            f"companions = {str(folder)!r}: none for {len(missing)} recordings, the first is {missing[0]}; run "
            f"{COMMAND} MANIFEST --out {folder}, and remove the recordings in its {FAILURES} from the manifest"
        )


def find_pitch(x: NDArray[np.float32], sample_rate: int) -> Pitch:
    """Compute the pitch `[n]` of a waveform `[L]` with Praat: Hz in the middle of each 10 ms, 0 where unvoiced.

    Raises:
        MissingDependencyError: praat-parselmouth is not installed.
    """
    praat = require_praat()
    n_hops = -(-len(x) * HOPS_PER_SECOND // sample_rate)
    if len(x) < SHORTEST_S * sample_rate:
        return np.zeros(n_hops, dtype=np.float32)
    sound = praat.Sound(x.astype(np.float64), sample_rate)
    pitch = sound.to_pitch_ac(time_step=1 / HOPS_PER_SECOND, pitch_floor=F0_HZ[0], pitch_ceiling=F0_HZ[1])
    middles = (np.arange(n_hops) + 0.5) / HOPS_PER_SECOND
    return resample_pitch(pitch.selected_array["frequency"], (middles - pitch.x1) / pitch.dx)


def resample_pitch(f0: NDArray, places: NDArray) -> Pitch:
    """Read pitch `[n]`, 0 where unvoiced, at fractional indices `[N]`; 0 beyond the ends.

    A result is voiced if the nearest value is; between two voiced values, the logarithm is interpolated linearly.
    """
    nearest = np.floor(places + 0.5).astype(int)
    is_there = (nearest >= 0) & (nearest < len(f0))
    if not is_there.any():
        return np.zeros(len(places), dtype=np.float32)
    near = np.where(is_there, f0[nearest.clip(0, len(f0) - 1)], 0)
    floor = np.floor(places).astype(int)
    left, right = (f0[i.clip(0, len(f0) - 1)] for i in (floor, floor + 1))
    between = np.exp2((1 - (places - floor)) * np.log2(left.clip(1)) + (places - floor) * np.log2(right.clip(1)))
    return np.where((near > 0) & (left > 0) & (right > 0), between, near).astype(np.float32)


def write_companions(
    sources: Sequence[str | Path],
    out: Path,
    whisper: str = "",
    workers: int = 0,
    batch_size: int = 16,
    bfloat16: bool = False,
    device: str = "cpu",
) -> tuple[int, list[str]]:
    """Write the companions that `out` lacks: first the pitch, then the states of a Whisper.

    Returns the number of complete companions and the reasons of failures, which `out`/failures.txt lists, too.

    Args:
        sources: manifests, folders or tar shards.
        out: folder of the companions.
        whisper: folder or hub name; empty: pitch only.
        workers: processes that compute pitch; 0: this one.
        batch_size: recordings that Whisper listens to at once.
        bfloat16: Whisper's encoder in that precision, several times as fast where the processor knows it.
        device: where Whisper runs.

    Raises:
        ValueError: an empty source, no such Whisper, or `out` has states of another one.
        MissingDependencyError: praat-parselmouth is not installed.
    """
    require(workers >= 0, "workers", workers, "0 or more")
    require(batch_size >= 1, "batch_size", batch_size, "at least 1")
    require_praat()
    utterances = {companion_path(out, u): u for source in sources for u in read_manifest(source)}
    for folder in {path.parent for path in utterances}:
        folder.mkdir(parents=True, exist_ok=True)
    failures = _write_all_pitch({path: u for path, u in utterances.items() if not path.is_file()}, workers)
    if whisper:
        there = {path: u for path, u in utterances.items() if path.is_file()}
        failures += _write_all_states(there, whisper, batch_size, bfloat16, device)
    (out / FAILURES).unlink(missing_ok=True)
    if failures:
        write_text(out / FAILURES, "".join(f"{failure}\n" for failure in failures))
    return len(utterances) - len(failures), failures


def _write_all_pitch(utterances: dict[Path, Utterance], workers: int) -> list[str]:
    """Returns the reasons of failures."""
    with tqdm(total=len(utterances), desc="pitch", unit="file", mininterval=5) as bar:
        failures = []
        for failure in _map(_write_pitch, utterances, workers):
            failures += [failure] if failure else []
            bar.update()
    return failures


def _map(function: Callable[[Path, Utterance], str], utterances: dict[Path, Utterance], workers: int) -> Iterator[str]:
    if not workers:
        yield from map(function, utterances.keys(), utterances.values())
    else:
        with pool(workers) as processes:
            yield from processes.map(function, utterances.keys(), utterances.values(), chunksize=8)


def _write_pitch(path: Path, utterance: Utterance) -> str:
    """Returns the reason of a failure, or an empty string."""
    try:
        f0 = find_pitch(read_recording(utterance.path, SAMPLE_RATE).numpy(), SAMPLE_RATE)
    except AudioError as error:
        return str(error)
    except RuntimeError as error:  # of Praat
        return f"{utterance.path}: no pitch: {error}"
    write_tensors(path, {"f0": torch.from_numpy(f0)}, {})
    return ""


def _write_all_states(
    utterances: dict[Path, Utterance], whisper: str, batch_size: int, bfloat16: bool, device: str
) -> list[str]:
    """Add the states of a Whisper to companions; returns the reasons of failures."""
    from train.losses.whisper import WhisperTeacher  # transformers is optional and slow to load

    name = Path(whisper).name
    names = {path: _whisper_name(path) for path in utterances}
    for path, other in names.items():
        if other not in ("", name):
            raise ValueError(f"whisper = {whisper!r}: {path} has states of {other}; give another folder")
    left = [(path, u) for path, u in utterances.items() if not names[path]]
    left.sort(key=lambda item: item[1].duration_s or 0.0, reverse=True)  # fails at once if memory is short
    teacher = WhisperTeacher(whisper, SAMPLE_RATE, MAX_TEXT_TOKENS)
    if bfloat16:
        warn_if_emulated(torch.bfloat16, device)
        teacher.model.model.encoder.to(torch.bfloat16)
    failures = []
    with tqdm(total=len(left), desc="whisper", unit="file", mininterval=5) as bar:
        for start in range(0, len(left), batch_size):
            batch = left[start : start + batch_size]
            failures += _write_states(batch, teacher, name, device)
            bar.update(len(batch))
    return failures


def _write_states(batch: list[tuple[Path, Utterance]], teacher: WhisperTeacher, name: str, device: str) -> list[str]:
    from train.losses.whisper import PADDING_S

    waveforms: list[Tensor] = []
    kept: list[tuple[Path, Utterance]] = []
    failures = []
    for path, utterance in batch:
        try:
            waveform = read_recording(utterance.path, SAMPLE_RATE)
        except AudioError as error:
            failures.append(str(error))
            continue
        if len(waveform) > (longest := teacher.extractor.chunk_length) * SAMPLE_RATE:
            failures.append(f"{utterance.path}: {len(waveform) / SAMPLE_RATE:.1f} s; Whisper takes {longest} s; cut it")
            continue
        waveforms.append(waveform)
        kept.append((path, utterance))
    if not kept:
        return failures
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    padded = pad_sequence(waveforms, batch_first=True).to(device)
    states = teacher.transcribe(padded, lengths, PADDING_S, [utterance.language for _, utterance in kept])
    for (path, _), item in zip(kept, states, strict=True):
        tensors = {"f0": torch.from_numpy(read_companion(path).f0), "tokens": item.tokens.int()}
        tensors |= {"states": item.states.half(), "attention": item.attention.half()}
        write_tensors(path, {key: tensor.cpu() for key, tensor in tensors.items()}, {"whisper": name})
    return failures


def _whisper_name(path: Path) -> str:
    """Name of the Whisper whose states a companion has, or empty."""
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get("whisper", "")
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete it and run {COMMAND} again") from error


def _ceil(x: float) -> int:
    """Round up, but ignore rounding errors just above an integer."""
    return int(np.ceil(x - 1e-6))


@reports_errors
def main() -> int:
    shared = {"out": "folder of the companions", "workers": "processes that compute pitch; 0: this one"}
    parser = command("train.data.audio.companions", __doc__, **shared, device="device of Whisper")
    parser.add_argument("sources", nargs="+", metavar="MANIFEST", help="recordings in any form of docs/data.md")
    parser.add_argument("--whisper", default="", help="folder or hub name of a Whisper to compute states with")
    parser.add_argument("--batch-size", type=int, default=16, help="recordings per batch of Whisper")
    parser.add_argument("--bfloat16", action="store_true", help="run its encoder in bfloat16")
    args = vars(parser.parse_args())
    n_whole, failures = write_companions(**args)
    about = f", {len(failures)} failed: see {args['out'] / FAILURES}" if failures else ""
    print(f"{n_whole} recordings have companions in {args['out']}{about}")
    return 0 if n_whole else 1


if __name__ == "__main__":
    sys.exit(main())
