"""What differs between two runs of a suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from suites.running import Run, summarise

#: What a test is said to be that one run does not have.
ABSENT = "absent"


@dataclass(frozen=True)
class Difference:
    """A test, with what came of it in the runs of two ways."""

    test: str
    plain: tuple[str, ...]
    other: tuple[str, ...]

    @property
    def is_certain(self) -> bool:
        """Whether no run of the one ended as any of the other; else the test does not repeat itself."""
        return not set(self.plain) & set(self.other)


def compare(plain: Sequence[Run], other: Sequence[Run]) -> list[Difference]:
    """Return the tests that did not end alike in all runs of both ways."""
    names = sorted({name for run in (*plain, *other) for name in run.tests})
    differences = (Difference(name, _list(name, plain), _list(name, other)) for name in names)
    return [found for found in differences if len({*found.plain, *found.other}) > 1]


def compare_statuses(plain: Sequence[Run], other: Sequence[Run]) -> Difference | None:
    """Return the exit statuses of both where they are not alike."""
    found = Difference(
        "exit status", tuple(str(run.status) for run in plain), tuple(str(run.status) for run in other)
    )
    return found if len({*found.plain, *found.other}) > 1 else None


def _list(name: str, runs: Sequence[Run]) -> tuple[str, ...]:
    return tuple(_describe(run.tests.get(name, {})) for run in runs)


def _describe(outcomes: Mapping[str, int]) -> str:
    return summarise(outcomes) if outcomes else ABSENT
