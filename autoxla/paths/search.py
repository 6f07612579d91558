"""The search for a setting under which a dying program lives: run it as it is, then under one candidate each.

A run *passes* when it ends with status 0, or when it is beyond the first death and has lived twice as long as
the first run. A candidate under which the program dies later is kept, and the others are tried on top of it.
Of what passes, settings are taken out one by one until none can go. Last the program is run as it was and
under the cure again, until chance does not explain what was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as File
from typing import Literal

from autoxla.paths.children import Run
from autoxla.paths.listing import DEFAULT, Path, Paths
from autoxla.paths.losses import find_changed_lines
from autoxla.paths.marks import BEYOND, HANG, Mark, Progress, is_later, read_mark, read_progress
from autoxla.policies.cures import name_settings

#: How a search ends, empty while it goes on.
End = Literal[
    "",
    "it ends well",
    "it still runs",
    "cured",
    "nothing helps",
    "at random",
    "out of budget",
    "interrupted",
]

#: Settings that are taken together at most.
_DEEPEST = 3
#: A run in which nothing moves for this share of the budget hangs: the first one, and later ones. These may
#: be still for so many times as long as any run was that went on. Half a minute is no hang, unless that is
#: more than half the budget.
_STILL, _STILL_LATER, _AS_STILL, _NO_HANG = 0.25, 0.08, 2.0, 30.0
#: A live run is beyond the mark where it has lived so many times as long, and so many seconds more.
_TWICE, _LEAST = 2.0, 1.0
#: How likely what was seen may be if the cure did nothing; and how often the program dies as it is, and lives
#: under the cure, in any case.
_CHANCE, _AGAIN = 0.01, 2


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run: `mark` is how the program died, None where it lives; `lived` are the seconds until then."""

    path: Path
    run: Run
    mark: Mark | None
    number: int
    lived: float

    def says(self, path: Path) -> bool:
        """Return whether the death names ``path``: by its message, hints of autoxla, or its last lines."""
        if self.mark is None:
            return False
        said = [line for line in self.run.err.splitlines() if line.startswith("autoxla: ")]
        # Those come at the start of a program, whatever it dies of later.
        said = [line for line in said if line.split()[2:3] not in (["warning"], ["info"])]
        said += [self.mark.message, *(self.run.tail if self.mark.kind != "exception" else ())]
        return any(sign in line for sign in path.signs for line in said)


class Look:
    """Is asked again and again why a run is to end: nothing moves in it, or it has passed.

    Where nothing moves for ``still`` seconds it hangs. ``first`` is the run that died, None for that itself.
    `moved` is the second at which it last moved, `stillest` how long it stood still and went on again.
    """

    def __init__(self, still: float, first: Attempt | None) -> None:
        self.moved = self.stillest = 0.0
        self._still, self._first = still, first
        self._seen: Progress | None = None

    def __call__(self, name: File, process: int, wall: float) -> str:
        """Return the reason, empty where there is none; ``wall`` are the seconds of the run."""
        progress, first = read_progress(name, process), self._first
        if progress != self._seen:
            self.stillest = max(self.stillest, wall - self.moved)
            self._seen, self.moved = progress, wall
        if wall - self.moved > self._still:
            return HANG
        if first is None or first.mark is None:
            return ""
        is_old = wall >= max(_TWICE * first.lived, first.lived + _LEAST)
        return BEYOND if is_old and progress.is_beyond(first.mark) else ""


class Search:
    """The runs of one program; ``run`` makes one, ``list_candidates`` is asked once the program has died."""

    def __init__(
        self,
        run: Callable[[Path, float, Look], Run],
        list_candidates: Callable[[Mark], Paths],
        *,
        budget: float,
        clock: Callable[[], float],
        tell: Callable[[Path, Attempt | None], None],
    ) -> None:
        self.attempts: list[Attempt] = []
        self.impossible: dict[str, str] = {}
        self.end: End = ""
        #: The smallest cure that passed.
        self.cure: Path | None = None
        #: The attempt that came furthest and died all the same.
        self.nearest: Attempt | None = None
        self._run, self._list_candidates = run, list_candidates
        self._budget, self._clock, self._tell = budget, clock, tell
        self._began, self._stillest = clock(), 0.0

    @property
    def elapsed(self) -> float:
        """The seconds since the search began."""
        return self._clock() - self._began

    @property
    def confirmed(self) -> Path | None:
        """The cure, once chance does not explain it."""
        return self.cure if self.end == "cured" else None

    @property
    def death(self) -> Mark | None:
        """How the program dies as it is, None while that is not known."""
        return self.attempts[0].mark if self.attempts else None

    def search(self) -> None:
        """Run the program until a cure is found and confirmed, or nothing is left; a signal may end it."""
        try:
            mark = self._try(DEFAULT).mark
            if mark is None:
                self.end = "it ends well"
                return
            paths = self._list_candidates(mark)
            self.impossible = dict(paths.impossible)
            found = self._find(self._leave_out(paths.possible))
            if found is None:
                self.end = "nothing helps"
                return
            self.cure = found.path
            self.cure = self._reduce(found.path, {path.name: path for path in paths.possible})
            self.end = "cured" if self._confirm(self.cure) else "at random"
        except _OutOfBudgetError:
            self.end = "out of budget" if self.attempts else "it still runs"

    def _leave_out(self, paths: Sequence[Path]) -> list[Path]:
        """Return those of ``paths`` that the first death leaves open."""
        first, mark = self.attempts[0], self.death
        if mark is None or not mark.is_loaded:
            reason = "the program died before it had imported Keras or TensorFlow"
            self.impossible |= {name_settings(path.variables): reason for path in paths}
            return []
        beside = [path for path in paths if path.is_below and mark.is_python and not first.says(path)]
        reason = "it changes how operations run, and none of them failed"
        self.impossible |= {name_settings(path.variables): reason for path in beside}
        return [path for path in paths if path not in beside]

    def _find(self, paths: Sequence[Path]) -> Attempt | None:
        """Return the first attempt that passes: under one of ``paths``, or on top of what helped a little."""
        base = self.attempts[0]
        for _ in range(_DEEPEST):
            best = base
            # Those come first that the death names.
            for path in sorted(paths, key=lambda path: not base.says(path)):
                attempt = self._try(_join(base.path, path))
                if attempt.mark is None:
                    return attempt
                if _came_further(attempt.mark, best.mark):
                    best = attempt
            if best is base:
                return None
            self.nearest = base = best
            paths = [path for path in paths if path.name not in base.path.name.split(" + ")]
        return None

    def _try(self, path: Path) -> Attempt:
        left, first = self._budget - self.elapsed, self.attempts[0] if self.attempts else None
        if left < max(first.run.wall if first else 0.0, _LEAST):
            raise _OutOfBudgetError
        self._tell(path, None)
        share = _STILL if first is None else _STILL_LATER
        floor = min(_NO_HANG, self._budget / 2)
        look = Look(max(self._budget * share, _AS_STILL * self._stillest, floor), first)
        run = self._run(path, left, look)
        if run.status is None and run.ended not in (HANG, BEYOND):
            raise _OutOfBudgetError
        self._stillest = max(self._stillest, look.stillest)
        lived = look.moved if run.ended == HANG else run.wall
        self.attempts.append(Attempt(path, run, read_mark(run), len(self.attempts) + 1, lived))
        self._tell(path, self.attempts[-1])
        return self.attempts[-1]

    def _reduce(self, path: Path, singles: Mapping[str, Path]) -> Path:
        """Return the smallest part of ``path`` under which the program lives."""
        names = path.name.split(" + ")
        parts = [_join(*(singles[other] for other in names if other != name)) for name in names if names[1:]]
        # The alias turns the switch on, too.
        parts += [singles["switch"]] if names == ["alias"] and "switch" in singles else []
        for part in parts:
            was_tried = any(attempt.path.name == part.name for attempt in self.attempts)
            if not was_tried and self._try(part).mark is None:
                return self._reduce(part, singles)
        return path

    def _confirm(self, cure: Path) -> bool:
        """Return whether the program dies of the same again as it is, and lives again under ``cure``."""
        mark, deaths, lives, number = self.death, 0, 0, 2
        if mark is None:
            return False
        # What names the cure comes of what the cure changes, and the text of a quiet end is ITEX's own.
        comes_again = mark.kind == "quiet" or self.attempts[0].says(cure)
        # Each candidate was one more chance to live.
        allowed = _CHANCE / (len(self.attempts) - 1)
        # Without the first death there would be no search, so it is no evidence.
        while min(deaths, lives) < _AGAIN or not (comes_again or chance(deaths - 1, lives) <= allowed):
            # The sequence of Thue and Morse: a program that dies in a rhythm does not keep to it.
            path = cure if number.bit_count() % 2 else DEFAULT
            number += 1
            again = self._try(path).mark
            if (again is None) == (path is DEFAULT) or (again is not None and not again.is_same(mark)):
                return False
            # A setting under which the program died of the same did nothing: it counts as another run of it.
            deaths = sum(attempt.mark is not None and attempt.mark.is_same(mark) for attempt in self.attempts)
            lives = sum(attempt.path.name == cure.name for attempt in self.attempts)
        return True

    def find_changed_output(self) -> list[tuple[str, str]]:
        """Return lines that the program printed before it died, each with what it prints there when cured."""
        died = [a.run.out.splitlines() for a in self.attempts if a.path is DEFAULT]
        lived = [a.run.out.splitlines() for a in self.attempts if self.cure and a.path.name == self.cure.name]
        return find_changed_lines(died, lived)


class _OutOfBudgetError(Exception):
    """One more run would not end within the budget."""


def chance(deaths: int, lives: int) -> float:
    """Return how likely so many deaths without a cure, then lives with it, are at most if it does nothing."""
    share = deaths / (deaths + lives)
    return float(share**deaths * (1 - share) ** lives)


def _join(*paths: Path) -> Path:
    """Return one path of several; of a variable in two of them the last one counts."""
    parts = [path for path in paths if path is not DEFAULT]
    if len(parts) == 1:
        return parts[0]
    variables = {name: value for path in parts for name, value in path.variables.items()}
    step = next((path.step for path in parts if path.step is not None), None)
    signs = tuple(sign for path in parts for sign in path.signs)
    name = " + ".join(path.name for path in parts)
    return replace(parts[0], name=name, step=step, variables=variables, signs=signs)


def _came_further(mark: Mark, other: Mark | None) -> bool:
    """Return whether ``mark`` is of a later death in the program than ``other``."""
    if other is None or mark.steps != other.steps:
        return other is not None and mark.steps > other.steps
    return is_later(mark.stack, other.stack)
