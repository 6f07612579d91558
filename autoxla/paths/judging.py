"""Whether one path is faster than another: by rounds in which both ran, one process after the other.

Whole processes differ by more than single steps do: one program on one path had medians that were up to
1.7 times apart on a shared machine. So a small gain has to show in more rounds than a large one: in so
many of them that equal paths would do that once in twenty times at most. The fastest steps of all have to
say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from statistics import median
from typing import Literal

Verdict = Literal["faster", "slower", "no gain"]

#: So many rounds are enough where each ratio is at most so much.
_FASTER = ((2, 0.5), (3, 0.8))
#: Else it is by how many rounds a path won: equal ones do that with this probability at most.
CHANCE = 0.05
#: So many rounds are enough to give a path up where each ratio is at least so much.
_SLOWER = ((1, 3.0), (2, 1.25))
#: A path must save this share of a step to be worth its name, and has so many rounds to show it.
GAIN, PATIENCE = 0.10, 3
#: No round of a path without gain takes less than this share of the other.
_STEADY = 0.8
#: Where only its fastest steps show it, it is waited for so many rounds.
_LONGEST = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds of the steps of one run: their median, and the least."""

    typical: float
    least: float


#: What two paths took in one round; the first one is what the second is compared with.
Round = tuple[Sample, Sample]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rounds say of the second path; `verdict` is None where they do not say enough.

    `ratio` is the median of the rounds' ratios, second over first; `low` and `high` are the least and
    the greatest of them.
    """

    verdict: Verdict | None
    ratio: float
    low: float
    high: float
    rounds: int


def judge(rounds: Sequence[Round]) -> Judgement | None:
    """Return what ``rounds`` say, None where there are none; times must be positive."""
    if not rounds:
        return None
    ratios = [second.typical / first.typical for first, second in rounds]
    fastest = min(second.least for _, second in rounds) / min(first.least for first, _ in rounds)
    count, ratio, low, high = len(ratios), median(ratios), min(ratios), max(ratios)
    # Rounds far apart say nothing of a gain that small; what is kept then would keep trials off, too.
    agree = (fastest > 1 - GAIN or count >= _LONGEST) and low >= _STEADY
    is_clear = any(count >= many and high <= by for many, by in _FASTER)
    is_clear = is_clear or (ratio <= 1 - GAIN and chance(sum(r < 1 for r in ratios), count) <= CHANCE)
    verdict: Verdict | None = None
    if fastest > 1 and any(count >= many and low >= by for many, by in _SLOWER):
        verdict = "slower"
    elif count >= PATIENCE and ratio > 1 - GAIN and agree:
        verdict = "no gain"
    elif is_clear and fastest < 1:
        verdict = "faster"
    return Judgement(verdict, ratio, low, high, count)


def chance(wins: int, rounds: int) -> float:
    """Return the probability that one of two equal paths wins ``wins`` or more of ``rounds``."""
    return sum(comb(rounds, won) for won in range(wins, rounds + 1)) / 2.0**rounds
