"""Statistics of codes: entropy, mutual information of codebooks, repetition, entries that do not occur.

`python -m eval.probes.codes FOLDER [SYSTEM ...]` prints them for the codes in the folder of a run of `python -m eval`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.quant.vq import codebook_stats
from codec.tokens.tokens import check_codes
from eval.command import command, reports_errors
from eval.results import CODING, Results, SystemResult
from eval.store import file_of, read_codes
from eval.tables import table

N_SHUFFLES = 4
UNSEEN = ("unseen", "by chance")  # columns: entries that do not occur, and the number expected by chance


@dataclass(frozen=True)
class Codebook:
    """Distribution of the codes of one codebook.

    Entropy is that of the observed frequencies, which is too low until frames far outnumber the codebook's entries.
    Entries are dead only if `n_unseen` far exceeds `n_unseen_by_chance`.
    """

    size: int
    n_frames: int
    entropy: float  # bits per code
    n_unseen: int  # entries that do not occur
    repetition: float  # share of frames with the code of the frame before

    @property
    def n_unseen_by_chance(self) -> float:
        """Mean number of entries that do not occur if all are equally likely: size * (1 - 1 / size) ^ n_frames."""
        return self.size * (1 - 1 / self.size) ** self.n_frames

    @property
    def n_frames_needed(self) -> int:
        """Frames in which fewer than one of equally likely entries do not occur: about size * ln(size)."""
        return math.ceil(math.log(self.size) / -math.log1p(-1 / self.size)) if self.size > 1 else 1

    @property
    def perplexity(self) -> float:
        """Effective number of entries: 2 ^ entropy."""
        return 2**self.entropy

    @property
    def usage(self) -> float:
        """Share of entries that occur, 0 to 1."""
        return 1 - self.n_unseen / self.size


@dataclass(frozen=True)
class CodeStats:
    """K codebooks over some recordings.

    Mutual information is that of the observed table of code pairs, minus the same after shuffling the frames of each
    codebook. Without the latter it is far too high while the table has more cells than there are frames; Miller-Madow's
    correction hardly lowers it (1.8 bits between a semantic and an acoustic code in 17 minutes of speech, 0.27 after
    shuffling). The difference is rather too low: around 0, or slightly below, where there are too few frames.
    """

    codebooks: tuple[Codebook, ...]
    mutual: Tensor  # [K, K] float64, mutual information in bits; on the diagonal the entropies
    n_frames: int
    frame_rate: float  # per second

    @property
    def bitrate(self) -> float:
        """Bits per second with log2(size) bits for every code."""
        return self.frame_rate * sum(math.log2(book.size) for book in self.codebooks)

    @property
    def entropy_bitrate(self) -> float:
        """Bits per second with an ideal entropy coder for each codebook."""
        return self.frame_rate * sum(book.entropy for book in self.codebooks)

    @property
    def redundancy(self) -> float:
        """Mutual information over the entropy of one of the two codes, mean over pairs of codes in a frame.

        0 for independent codes, about 1 for copies; too low with few frames (see above). Codebooks without entropy are
        left out; 0 without any pair.
        """
        shared = self.mutual / self.mutual.diagonal()
        pairs = ~torch.eye(len(self.mutual), dtype=torch.bool) & (self.mutual.diagonal() > 0)
        return float(shared[pairs].mean()) if pairs.any() else 0.0


def code_stats(codes: Sequence[Tensor | NDArray], codebook_sizes: Sequence[int], frame_rate: float) -> CodeStats:
    """Compute statistics of codes, integers `[K, T]` for each recording, of codebooks with these numbers of entries.

    Raises:
        ValueError: shapes that do not fit, a code out of range, or no recording of two frames.
    """
    recordings = [torch.as_tensor(c).long() for c in codes]
    sizes = tuple(codebook_sizes)
    for i, c in enumerate(recordings):
        if c.ndim != 2 or len(c) != len(sizes):
            raise ValueError(f"codes[{i}]: shape {tuple(c.shape)}; expected [{len(sizes)}, T], a row for each codebook")
    n_pairs = sum(max(c.shape[1] - 1, 0) for c in recordings)
    if not n_pairs:
        raise ValueError("codes: no recording has two frames; give longer ones")
    joined = torch.cat(recordings, dim=1)
    check_codes(joined[None], sizes)
    stats = codebook_stats(joined[None], sizes)
    bits = stats.perplexity.double().log2()
    repeats = torch.stack([(c[:, 1:] == c[:, :-1]).sum(1) for c in recordings]).sum(0) / n_pairs
    n = joined.shape[1]
    columns = zip(sizes, bits.tolist(), stats.usage.tolist(), repeats.tolist(), strict=True)
    codebooks = tuple(Codebook(size, n, h, round(size * (1 - usage)), same) for size, h, usage, same in columns)
    return CodeStats(codebooks, _shared(joined).diagonal_scatter(bits), n, frame_rate)


def entropy(x: Tensor) -> float:
    """Entropy in bits of the observed frequencies of the values in `x` `[N]`, N >= 1."""
    p = x.unique(return_counts=True)[1].double() / len(x)
    return float(-(p * p.log2()).sum())


def run_stats(folder: Path, results: Results, system: SystemResult) -> CodeStats:
    """Compute statistics of the codes of a system in the folder of a run.

    The frame rate includes incomplete last frames, as `kbit_per_s` does.

    Raises:
        ValueError: the system has no codes, or a file is missing or damaged; the message names it.
    """
    coded = [r for r in results.recordings if CODING not in system.failures.get(r.id, {})]
    if not coded or not system.codebook_sizes:
        raise ValueError(f"{folder}: {system.system} has no codes")
    codes = [read_codes(file_of(folder, "codes", system.system, r.id)) for r in coded]
    frame_rate = sum(c.shape[-1] for c in codes) / sum(r.seconds for r in coded)
    try:
        return code_stats(codes, system.codebook_sizes, frame_rate)
    except ValueError as error:
        raise ValueError(f"{folder}: {system.system}: {error}") from error


def summary(stats: dict[str, CodeStats]) -> str:
    """A Markdown table with a row for each system, and how many frames it takes to detect dead codes."""
    header = ["system", "frames", "kbit/s", "entropy kbit/s", "usage", "repetition", "redundancy", *UNSEEN]
    rows = []
    for name, s in stats.items():
        usage, repetition = (mean(getattr(book, x) for book in s.codebooks) for x in ("usage", "repetition"))
        rates = [f"{rate / 1000:.3f}" for rate in (s.bitrate, s.entropy_bitrate)]
        shares = [f"{x:.3f}" for x in (usage, repetition, s.redundancy)]
        rows.append([name, str(s.n_frames), *rates, *shares, *_unseen(s.codebooks)])
    needed = {name: max(book.n_frames_needed for book in s.codebooks) for name, s in stats.items()}
    notes = [
        f"{name}: {s.n_frames} frames are too few to detect dead codes: if all entries of its largest codebook were "
        f"equally likely, they would occur in {needed[name]} frames ({needed[name] / s.frame_rate / 60:.0f} minutes)."
        for name, s in stats.items()
        if s.n_frames < needed[name]
    ]
    return "\n\n".join([table(header, rows), *notes])


def by_codebook(stats: CodeStats) -> str:
    """A Markdown table with a row for each codebook."""
    header = ["codebook", "size", "entropy (bits)", "perplexity", "usage", *UNSEEN, "repetition"]
    rows = []
    for k, b in enumerate(stats.codebooks):
        spread = [f"{b.entropy:.3f}", f"{b.perplexity:.1f}", f"{b.usage:.3f}", *_unseen([b])]
        rows.append([str(k), str(b.size), *spread, f"{b.repetition:.3f}"])
    return table(header, rows)


def _unseen(books: Sequence[Codebook]) -> list[str]:
    """Cells of the columns `UNSEEN`."""
    return [str(sum(b.n_unseen for b in books)), f"{sum(b.n_unseen_by_chance for b in books):.0f}"]


@reports_errors
def main(argv: Sequence[str] | None = None) -> int:
    """Print a row for each system of a run that has codes; for those named, also a row for each codebook."""
    parser = command("eval.probes.codes", main.__doc__)
    parser.add_argument("folder", type=Path, help="of a run of python -m eval")
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help="as in the run; all by default")
    args = parser.parse_args(argv)
    results = Results.load(args.folder)
    known = {s.system: s for s in results.systems if s.codebook_sizes and not s.not_measured}
    if absent := [name for name in args.systems if name not in known]:
        raise ValueError(f"{args.folder}: no codes of {absent[0]}; there are those of {' '.join(known) or 'none'}")
    stats = {name: run_stats(args.folder, results, known[name]) for name in args.systems or known}
    print(summary(stats))
    for name in args.systems:
        print(f"\n{name}:\n\n{by_codebook(stats[name])}")
    return 0


def _shared(codes: Tensor) -> Tensor:
    """Mutual information minus that of shuffled frames, codes `[K, T]` -> `[K, K]`; the diagonal is meaningless.

    Shuffling does not change the entropies of single codebooks, so this is a difference of entropies of pairs.
    """
    generator = torch.Generator().manual_seed(0)
    shuffled = torch.zeros(len(codes), len(codes), dtype=torch.float64)
    for _ in range(N_SHUFFLES):
        order = [torch.randperm(codes.shape[1], generator=generator) for _ in codes]
        shuffled += _pair_entropies(codes.gather(1, torch.stack(order))) / N_SHUFFLES
    return shuffled - _pair_entropies(codes)


def _pair_entropies(codes: Tensor) -> Tensor:
    """Entropies of all pairs of different codebooks, codes `[K, T]` -> `[K, K]` bits."""
    bits = torch.zeros(len(codes), len(codes), dtype=torch.float64)
    n = int(codes.max()) + 1
    for i in range(len(codes)):
        for j in range(i):
            bits[i, j] = bits[j, i] = entropy(codes[i] * n + codes[j])
    return bits


if __name__ == "__main__":
    sys.exit(main())
