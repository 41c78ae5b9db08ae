"""Whether metrics rank systems of known order as they must."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from eval.results import Results
from eval.stats import SIGNIFICANT, Difference

IDENTITY = "identity"  # the recordings untouched: nothing can be closer to them
LOWPASS = ("lowpass-8k", "lowpass-12k", "lowpass-16k")  # each hears more than the one before
ANCHORS = (IDENTITY, "mulaw", *LOWPASS)


@dataclass(frozen=True)
class Misorder:
    """A metric that does not rank one system above another, though it is better by construction.

    Where the difference is not significant, these recordings cannot tell the two apart, and the metric is not to blame.
    """

    column: str
    better: str
    worse: str
    difference: Difference  # better minus worse, in the metric's own direction

    @property
    def is_significant(self) -> bool:
        return self.difference.p < SIGNIFICANT


def misorders(results: Results) -> list[Misorder]:
    """Every metric and pair of anchors in the wrong order, significant or not.

    `IDENTITY` may not be beaten by any system (a tie is fine: another may be lossless); each of `LOWPASS`
    has to beat the one before it. Anchors that are not in the results are not asked for.
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
