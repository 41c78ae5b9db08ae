"""Check that metrics rank anchors in their known order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from eval.results import Results
from eval.stats import SIGNIFICANT, Difference

IDENTITY = "identity"  # the recordings untouched: nothing can be closer to them
LOWPASS = ("lowpass-8k", "lowpass-12k", "lowpass-16k")  # each has more bandwidth than the previous one
ANCHORS = (IDENTITY, "mulaw", *LOWPASS)


@dataclass(frozen=True)
class Misorder:
    """A metric that does not rank one system above another that is worse by construction.

    It may be right if the difference is not significant: these recordings then do not distinguish the two.
    """

    column: str
    better: str
    worse: str
    difference: Difference  # better minus worse, in the metric's own direction

    @property
    def is_significant(self) -> bool:
        return self.difference.p < SIGNIFICANT


def misorders(results: Results) -> list[Misorder]:
    """Find every metric and pair of anchors in the wrong order, significant or not.

    No system may be better than `IDENTITY` (equal is right for a lossless one); each of `LOWPASS` must be better than
    the previous one. Anchors that are not in the results are left out.
    """
    systems = {s.system: s for s in results.systems}
    found = []
    for column in results.columns:
        for better, worse in _known_orders(list(systems)):
            difference = systems[better].minus(systems[worse], column.key)
            if difference is None:
                continue
            gain = difference.mean if column.higher_is_better else -difference.mean
            if gain < 0 or (gain == 0 and better != IDENTITY):
                found.append(Misorder(column.key, better, worse, difference))
    return found


def _known_orders(names: list[str]) -> list[tuple[str, str]]:
    """Pairs of a better and a worse system among `names`."""
    untouched = [(IDENTITY, name) for name in names if IDENTITY in names and name != IDENTITY]
    bands = [name for name in LOWPASS if name in names]
    return untouched + [(wide, narrow) for narrow, wide in pairwise(bands)]
