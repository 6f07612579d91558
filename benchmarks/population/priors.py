"""What to expect of XLA by what a step has: a small table of priors, fitted on what was measured.

The first feature that a step has decides. A family of models is only ever judged by a table that was fitted
without it (`cross_validate`): what it is to tell is how the rules do on models that nobody has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from autoxla.trial.comparison import GAIN
from autoxla.trial.economics import CONVOLUTIONS, LOOPS, PRODUCTS, Prior

Operations = Mapping[str, int]
Expectation = Callable[[Operations], Prior]

#: Convolutions decide where they are at least this share of the products of a step.
_SHARE = 0.25
#: Steps of at least so many nodes.
_LARGE = 3000
#: Fewer models than this say nothing of a feature of their own.
FEWEST = 4
_THREE_DIMENSIONS = frozenset(name for name in CONVOLUTIONS if name.startswith("Conv3D"))
_DEPTHWISE = frozenset(name for name in CONVOLUTIONS if name.startswith("Depthwise"))


class Measured(Protocol):
    """What a table is fitted on.

    `ratio`: a step of XLA's over a plain one, infinity where it has none.
    """

    @property
    def family(self) -> str:
        """Return what is left out together."""

    @property
    def operations(self) -> Operations:
        """Return the operations of the step, names to counts."""

    @property
    def ratio(self) -> float:
        """Return a step of XLA's over a plain one."""

    @property
    def is_refused(self) -> bool:
        """Return whether a trial leaves the step alone, so that nobody asks what to expect."""


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that a step has, and why it says something of XLA on CPUs."""

    name: str
    reason: str
    holds: Callable[[Operations], bool]


def _share(kinds: Iterable[str], operations: Operations) -> float:
    """Return the share of ``kinds`` in all products of a step; convolutions are products."""
    heavy = count(CONVOLUTIONS, operations) + count(PRODUCTS, operations) + operations.get("Conv1D", 0)
    return count(kinds, operations) / heavy if heavy else 0.0


def count(kinds: Iterable[str], operations: Operations) -> int:
    """Return how often any of ``kinds`` is in a step."""
    return sum(operations.get(kind, 0) for kind in kinds)


FEATURES = (
    Feature(
        "depthwise convolutions",
        "XLA runs a convolution in groups as general loops; the plain graph has a kernel for it",
        lambda operations: _share(_DEPTHWISE, operations) >= _SHARE / 2,
    ),
    Feature(
        "3-d convolutions",
        "the plain graph's kernels use blocks and threads, XLA's few",
        lambda operations: _share(_THREE_DIMENSIONS, operations) >= _SHARE,
    ),
    Feature(
        "2-d convolutions",
        "the plain graph takes oneDNN's kernels, XLA Eigen's",
        lambda operations: _share(CONVOLUTIONS, operations) >= _SHARE,
    ),
    Feature(
        "loops",
        "each round is many small operations, which XLA fuses",
        lambda operations: count(LOOPS, operations) > 0,
    ),
    Feature(
        "1-d convolutions",
        "they are narrow: what is around them takes as long as they do",
        lambda operations: operations.get("Conv1D", 0) > 0,
    ),
    Feature(
        "large graphs",
        "the more operations, the more calls and passes over memory fusion saves",
        lambda operations: sum(operations.values()) >= _LARGE,
    ),
    Feature(
        "products",
        "both paths multiply with the same kernels, the rest is fused",
        lambda operations: count(PRODUCTS, operations) > 0,
    ),
)
REST = Feature("anything else", "no product at all: memory decides", lambda _: True)


def find_feature(operations: Operations) -> Feature:
    """Return the first of `FEATURES` that a step has, `REST` if none."""
    return next((feature for feature in FEATURES if feature.holds(operations)), REST)


@dataclass(frozen=True, slots=True)
class Table:
    """What is expected by the name of a feature; ``otherwise`` where too few models had it."""

    priors: Mapping[str, Prior]
    counts: Mapping[str, int]
    otherwise: Prior

    def __call__(self, operations: Operations) -> Prior:
        """Return what is expected of a step that has ``operations``."""
        return self.priors.get(find_feature(operations).name, self.otherwise)


def fit(models: Sequence[Measured]) -> Table:
    """Return the table for those of ``models`` that are not refused, of which there may be none."""
    asked = [model for model in models if not model.is_refused]
    groups: dict[str, list[float]] = {}
    for model in asked:
        groups.setdefault(find_feature(model.operations).name, []).append(model.ratio)
    priors = {name: _estimate(ratios) for name, ratios in groups.items() if len(ratios) >= FEWEST}
    counts = {name: len(ratios) for name, ratios in groups.items()}
    return Table(priors, counts, _estimate([model.ratio for model in asked]))


def _estimate(ratios: Sequence[float]) -> Prior:
    """Return how often XLA wins by what a switch needs, and the ratio of its steps where it does."""
    wins = [ratio for ratio in ratios if ratio <= 1 - GAIN]
    # As if one more had won and one more had lost: few models make no certainty.
    return Prior((len(wins) + 1) / (len(ratios) + 2), median(wins) if wins else 1 - GAIN)


def cross_validate(models: Sequence[Measured]) -> dict[str, Table]:
    """Return for each family the table that is fitted without it."""
    families = dict.fromkeys(model.family for model in models)
    return {family: fit([each for each in models if each.family != family]) for family in families}
