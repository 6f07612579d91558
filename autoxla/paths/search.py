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
from autoxla.paths.marks import BEYOND, HANG, Mark, Progress, is_later, read_mark, read_progress

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
Look = Callable[[File, int, float], str]

#: Settings that are taken together at most.
_DEEPEST = 3
#: A run in which nothing moves for this share of the budget hangs.
_STILL = 0.25
#: A live run is beyond the mark where it has lived so many times as long, and so many seconds more.
_TWICE, _LEAST = 2.0, 1.0
#: How likely what was seen may be if the cure did nothing: for an error that always comes again, for others.
_CHANCE_SURE, _CHANCE = 0.1, 0.01


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run: `mark` is how the program died, None where it lives."""

    path: Path
    run: Run
    mark: Mark | None
    number: int


class Search:
    """The runs of one program; ``run`` makes one, ``list_candidates`` is asked once the program has died."""

    def __init__(
        self,
        run: Callable[[Path, float, Look], Run],
        list_candidates: Callable[[], Paths],
        *,
        budget: float,
        clock: Callable[[], float],
        tell: Callable[[Path, Attempt | None], None],
    ) -> None:
        self.attempts: list[Attempt] = []
        self.impossible: dict[str, str] = {}
        self.end: End = ""
        #: The smallest cure that passed, after how many runs it was found, and whether it was confirmed.
        self.cure: Path | None = None
        self.found_after = 0
        self.is_confirmed = False
        #: The attempt that came furthest and died all the same.
        self.nearest: Attempt | None = None
        self._run, self._list_candidates = run, list_candidates
        self._budget, self._clock, self._tell = budget, clock, tell
        self._began = clock()

    @property
    def elapsed(self) -> float:
        """The seconds since the search began."""
        return self._clock() - self._began

    @property
    def first(self) -> Attempt:
        """The run of the program as it is."""
        return self.attempts[0]

    def search(self) -> None:
        """Run the program until a cure is found and confirmed, or nothing is left; a signal may end it."""
        try:
            self._search()
        except _OutOfBudgetError:
            self.end = "out of budget" if self.attempts else "it still runs"

    def _search(self) -> None:
        if self._try(DEFAULT).mark is None:
            self.end = "it ends well"
            return
        paths = self._list_candidates()
        self.impossible = dict(paths.impossible)
        left = self._leave_out(list(paths.possible))
        base, found = self.first, None
        for _ in range(_DEEPEST):
            tried: list[Attempt] = []
            for path in self._sort(left, base):
                attempt = self._try(_join(base.path, path))
                if attempt.mark is None:
                    found = attempt
                    break
                tried.append(attempt)
            furthest = base
            for attempt in tried:
                if _came_further(attempt, furthest):
                    furthest = attempt
            if found is not None or furthest is base:
                break
            self.nearest = base = furthest
            left = [path for path in left if path.name not in base.path.name.split(" + ")]
        if found is None:
            self.end = "nothing helps"
            return
        self.found_after = found.number
        self.cure = found.path
        self.cure = self._reduce(found.path, {path.name: path for path in paths.possible})
        self.is_confirmed = self._confirm(self.cure)
        self.end = "cured" if self.is_confirmed else "at random"

    def _leave_out(self, paths: list[Path]) -> list[Path]:
        """Return those of ``paths`` that the first death leaves open."""
        mark, text = self.first.mark, self._text_of(self.first)
        if mark is None or not mark.is_loaded:
            reason = "it died before Keras or TensorFlow was imported"
            self.impossible |= {path.name: reason for path in paths}
            return []
        left = []
        for path in paths:
            if path.is_below and mark.is_python and not any(sign in text for sign in path.signs):
                self.impossible[path.name] = "it changes how operations run, and none of them failed"
            else:
                left.append(path)
        return left

    def _sort(self, paths: Sequence[Path], attempt: Attempt) -> list[Path]:
        """Return ``paths``, those first that the death of ``attempt`` names, and that suit its kind."""
        text, mark = self._text_of(attempt), attempt.mark
        is_low = mark is not None and mark.kind in ("signal", "status", "hang")

        def place(path: Path) -> tuple[bool, bool]:
            return not any(sign in text for sign in path.signs), is_low != (
                path.is_below or "flags" in path.name
            )

        return sorted(paths, key=place)

    def _try(self, path: Path) -> Attempt:
        left = self._budget - self.elapsed
        usual = self.first.run.wall if self.attempts else 0.0
        if left < usual or left <= 0:
            raise _OutOfBudgetError
        self._tell(path, None)
        run = self._run(path, left, self._make_look())
        mark = read_mark(run)
        if run.status is None and run.ended not in (HANG, BEYOND):
            raise _OutOfBudgetError
        self.attempts.append(Attempt(path, run, mark, len(self.attempts) + 1))
        self._tell(path, self.attempts[-1])
        return self.attempts[-1]

    def _make_look(self) -> Look:
        """Return what is asked of a run again and again: whether nothing moves in it, or it has passed."""
        seen: list[tuple[Progress, float]] = []
        still = self._budget * _STILL
        first = self.attempts[0] if self.attempts else None

        def look(name: File, process: int, wall: float) -> str:
            progress = read_progress(name, process)
            if not seen or seen[-1][0] != progress:
                seen[:] = [(progress, wall)]
            if wall - seen[-1][1] > still:
                return HANG
            if first is None or first.mark is None:
                return ""
            # What hung had come so far long before it was ended.
            lived = first.run.wall - (still if first.mark.kind == "hang" else 0.0)
            is_old = wall >= max(_TWICE * lived, lived + _LEAST)
            return BEYOND if is_old and progress.is_beyond(first.mark) else ""

        return look

    def _reduce(self, path: Path, singles: Mapping[str, Path]) -> Path:
        """Return the smallest part of ``path`` under which the program lives."""
        names = path.name.split(" + ")
        for name in names if len(names) > 1 else ():
            rest = [singles[other] for other in names if other != name]
            if rest and self._try(_join(*rest)).mark is None:
                return self._reduce(_join(*rest), singles)
        # The alias turns the switch on, too.
        switch = singles.get("switch") if names == ["alias"] else None
        if switch is not None and all(attempt.path is not switch for attempt in self.attempts):
            return switch if self._try(switch).mark is None else path
        return path

    def _confirm(self, cure: Path) -> bool:
        """Return whether the program dies of the same again as it is, and lives again under ``cure``."""
        mark = self.first.mark
        is_named = any(sign in self._text_of(self.first) for sign in cure.signs)
        is_sure = mark is not None and (is_named or mark.is_of_interface or mark.kind == "quiet")
        while True:
            for path, lives in ((DEFAULT, False), (cure, True)):
                again = self._try(path).mark
                if lives != (again is None) or (mark and again and not again.is_same(mark)):
                    return False
            # A setting under which the program died of the same did nothing: it counts as another run of it.
            deaths = sum(bool(a.mark and mark and a.mark.is_same(mark)) for a in self.attempts)
            lives_count = sum(a.path.name == cure.name for a in self.attempts)
            if chance(deaths, lives_count) <= (_CHANCE_SURE if is_sure else _CHANCE):
                return True

    def _text_of(self, attempt: Attempt) -> str:
        """Return what is said of a death: the message and hints of autoxla; for other ends the last lines."""
        mark, lines = attempt.mark, attempt.run.err.splitlines()
        said = [line for line in lines if line.startswith("autoxla: ")]
        if mark is not None:
            said += [mark.message] if mark.kind == "exception" else [*attempt.run.tail, mark.message]
        return "\n".join(said)

    def find_changed_output(self) -> list[tuple[str, str]]:
        """Return lines that the program printed before it died, each with what it prints there when cured.

        Only lines that are the same in all runs of one kind count: others say what time it was.
        """
        died = [a.run.out.splitlines() for a in self.attempts if a.path is DEFAULT]
        lived = [a.run.out.splitlines() for a in self.attempts if self.cure and a.path.name == self.cure.name]
        changed = []
        for number in range(min(map(len, died), default=0) if lived else 0):
            before, after = ({"".join(run[number : number + 1]) for run in runs} for runs in (died, lived))
            if len(before) == len(after) == 1 and before != after:
                changed.append((before.pop(), after.pop()))
        return changed


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
    return replace(
        parts[0], name=" + ".join(p.name for p in parts), step=step, variables=variables, signs=signs
    )


def _came_further(attempt: Attempt, other: Attempt) -> bool:
    """Return whether ``attempt`` died later in the program than ``other``."""
    one, two = attempt.mark, other.mark
    if one is None or two is None:
        return one is None
    return one.steps > two.steps or (one.steps == two.steps and is_later(one.stack, two.stack))
