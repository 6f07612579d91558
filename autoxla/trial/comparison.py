"""Which of two ways to run a step is faster: pairs of neighbouring steps, and when they say enough.

A shared machine makes single times worthless and ratios of neighbours good: the load of the moment is in
both. The interval is that of the median by order statistics, which assumes nothing of the distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, inf
from statistics import median
from typing import Literal

#: Seconds of a step on the incumbent path and on the challenger's, one after the other.
Pair = tuple[float, float]
Winner = Literal["incumbent", "challenger"]

#: A challenger must save this share of a step; below it, a change of path is not worth its name.
GAIN = 0.10
#: The interval holds the median with at least this probability.
CONFIDENCE = 0.99
#: So many pairs, each `HOPELESS` times slower, are enough to stop paying for them.
FEWEST, HOPELESS = 2, 2.0
#: After so many pairs without a decision the two are as good as each other.
MOST = 40


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the pairs say. `winner` is None where they do not say enough yet.

    `ratio` is the median of challenger over incumbent, `low` and `high` the bounds of its interval.
    """

    winner: Winner | None
    ratio: float
    low: float
    high: float
    pairs: int


def judge(pairs: Sequence[Pair]) -> Verdict:
    """Return what ``pairs`` say; times must be positive. No pair gives no winner."""
    ratios = sorted(challenger / incumbent for incumbent, challenger in pairs)
    if not ratios:
        return Verdict(None, 1.0, 0.0, inf, 0)
    (low, high), middle, count = interval(ratios), median(ratios), len(ratios)
    # The undisturbed steps must say the same as the typical ones.
    agrees = min(challenger for _, challenger in pairs) < min(incumbent for incumbent, _ in pairs)
    winner: Winner | None = None
    if (count >= FEWEST and ratios[0] > HOPELESS) or low > 1 - GAIN or count >= MOST:
        winner = "incumbent"
    elif middle < 1 - GAIN and high < 1 and agrees:
        winner = "challenger"
    return Verdict(winner, middle, low, high, count)


def interval(ordered: Sequence[float]) -> tuple[float, float]:
    """Return bounds of the median of what ``ordered`` was drawn from, `CONFIDENCE` at least.

    Too few values have no such bounds: 0 and infinity.
    """
    # The largest rank k for which the k-th values from both ends hold the median.
    count, rank, outside = len(ordered), 0, 0.0
    while rank < count // 2:
        outside += comb(count, rank) * 2.0 ** (1 - count)
        if outside > 1 - CONFIDENCE:
            break
        rank += 1
    return (ordered[rank - 1], ordered[-rank]) if rank else (0.0, inf)
