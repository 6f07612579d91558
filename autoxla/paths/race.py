"""The race: rounds in which every path that is left runs once, until one is clear of the noise.

Each round runs the paths one after the other, so that the load of the moment is in all of them, in an
order that turns. Steps double from round to round. After each, a path leaves that is clearly slower than
the default or the best, that gains too little, that is in the slower half, or whose losses are not the
default's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from autoxla.paths.judging import Judgement, judge
from autoxla.paths.listing import DEFAULT, Path
from autoxla.paths.losses import Losses, explain, find_departure, find_difference, repeats
from autoxla.paths.measuring import Failure, Measurement, Request

Status = Literal["running", "failed", "rejected", "same", "left"]
Measure = Callable[[Path, Request, float], Measurement | Failure]

#: Rounds at most, and by how much the steps of the first one grow at most.
ROUNDS, _LONGEST = 8, 8
#: Seconds that the steps of one run are to take at least in the first round: short steps are noisy.
_LEAST = 0.5
#: Share of the budget that they may take, which is so many seconds at least.
_SHARE, _MOST = 0.03, 3.0
#: A path may take so many times the default's whole run, and so many seconds at least.
_PATIENCE, _SHORTEST = 8.0, 60.0
#: Seeds of the default that the losses of a path with other random numbers are held against at least.
_SEEDS = 4
#: So many paths stay at least when the slower half leaves.
_FEW = 2


@dataclass
class Entry:
    """One path in the race, with what each round measured of it."""

    path: Path
    runs: list[Measurement] = field(default_factory=list)
    status: Status = "running"
    reason: str = ""
    tail: tuple[str, ...] = ()

    @property
    def step_s(self) -> float:
        """The seconds of a step: the median over the rounds of each one's median."""
        return median(run.sample.typical for run in self.runs)

    @property
    def least_s(self) -> float:
        """The seconds of the fastest step of all rounds."""
        return min(run.sample.least for run in self.runs)

    @property
    def compile_s(self) -> float:
        """The seconds that trace and compile take, the median over the rounds."""
        return median(run.compile_s for run in self.runs)

    def against(self, other: Entry) -> Judgement | None:
        """Return what the rounds in which both ran say of this path against ``other``."""
        pairs = zip(other.runs, self.runs, strict=False)
        return judge([(one.sample, two.sample) for one, two in pairs])

    def leave(self, status: Status, reason: str, tail: tuple[str, ...] = ()) -> None:
        """Take the path out of the race."""
        self.status, self.reason, self.tail = status, reason, tail


class Race:
    """All paths, the default first. `measure` runs one; `clock` gives seconds, `tell` is told of each run."""

    def __init__(
        self,
        paths: Sequence[Path],
        measure: Measure,
        *,
        steps: int,
        budget: float,
        clock: Callable[[], float],
        tell: Callable[[str], None],
    ) -> None:
        self.default = Entry(DEFAULT)
        self.others = [Entry(path) for path in paths]
        #: Why the race ended.
        self.end = ""
        self.rounds = 0
        self._measure = measure
        self._steps = steps
        self._budget = budget
        self._clock = clock
        self._tell = tell
        self._began = clock()

    @property
    def entries(self) -> list[Entry]:
        """All paths."""
        return [self.default, *self.others]

    @property
    def elapsed(self) -> float:
        """The seconds since the race began."""
        return self._clock() - self._began

    @property
    def is_repeatable(self) -> bool:
        """Whether the program gives the same losses each time."""
        runs = self.default.runs
        return len(runs) > 1 and repeats(runs[0].losses, runs[1].losses, runs[0].dtype)

    def is_faster(self, entry: Entry) -> bool:
        """Return whether a path is clear of the noise, its losses having been looked at."""
        judgement = entry.against(self.default)
        return self.is_compared(entry) and judgement is not None and judgement.verdict == "faster"

    def is_compared(self, entry: Entry) -> bool:
        """Return whether enough is known of the default's losses to hold those of a path against them."""
        return len(self._drawn()) >= _SEEDS if entry.path.draws else len(self.default.runs) > 1

    def winner(self) -> Entry | None:
        """Return the fastest of the paths that are clear of the noise; None where the race is open.

        That is the default where no other one is left.
        """
        faster = [entry for entry in self._running() if self.is_faster(entry)]
        if faster:
            return min(faster, key=self._ratio)
        was_raced = any(entry.status in ("left", "rejected") for entry in self.others)
        return self.default if was_raced and not self._running() else None

    def run(self) -> None:
        """Run rounds until the race is decided or the budget is used up; a signal may end it at any time."""
        while not self.end:
            running = self._running()
            at = self.rounds % max(1, len(running))
            turned = running[at:] + running[:at]
            # The default comes first where nothing is known of it, later at either end in turn.
            for entry in [*turned, self.default] if self.rounds % 2 else [self.default, *turned]:
                walls = [run.wall for run in self.default.runs]
                if entry.status != "running":  # it is the same as the default, as was just seen
                    continue
                # One more run has to be likely to end within the budget.
                if self.elapsed + (median(walls) if walls else 0.0) > self._budget:
                    self.end = "the budget is used up"
                else:
                    self._run_entry(entry)
                if self.end:
                    return
            self.rounds += 1
            self._drop()
            if not self._running():
                self.end = "no other path is left"
            elif self.rounds > 1 and all(map(self.is_faster, self._running())):
                self.end = "decided"
            elif self.rounds == ROUNDS:
                self.end = f"not decided after {ROUNDS} rounds"

    def _run_entry(self, entry: Entry) -> None:
        """Run one path once, and see whether it is the path that was asked for."""
        is_moved = entry is self.default and self.rounds == 1
        steps = self._steps * min(2**self.rounds, _LONGEST)
        most = max(_MOST, _SHARE * self._budget)
        # Two runs of the default tell whether it repeats itself, those behind them what its seeds do.
        is_drawn = entry.path.draws
        if entry is self.default and self.rounds > 1:
            is_drawn = any(each.path.draws for each in self._running())
        least = min(_LEAST * 2**self.rounds, most / 2)
        request = Request(steps, least, most, is_moved, self.rounds if is_drawn else 0)
        limit = max(1.0, self._budget - self.elapsed)
        if self.default.runs:
            longest = max(run.wall for run in self.default.runs)
            limit = min(limit, max(_SHORTEST, _PATIENCE * longest))
        found = self._measure(entry.path, request, limit)
        said = f"round {self.rounds + 1}, {entry.path.name}"
        if isinstance(found, Failure) and self.elapsed >= self._budget and self.default.runs:
            # It was cut short, which says nothing of the path.
            self.end = "the budget is used up"
            return
        if isinstance(found, Failure):
            entry.leave("failed", found.reason, found.tail)
            self._tell(f"{said}: {found.reason}")
            self.end = "the program fails on its default path" if entry is self.default else ""
            return
        entry.runs.append(found)
        step = found.sample.typical * 1e3
        self._tell(f"{said}: {step:.3g} ms a step, {found.compile_s:.2g} s to trace and compile")
        wanted = {"xla": True, "graph": False}.get(entry.path.step or "")
        if wanted is not None and found.jit != wanted:
            entry.leave("failed", f"the model keeps jit_compile={found.jit}")
        if entry is self.default and self.rounds == 0:
            usual = "xla" if found.jit else "graph"
            for other in self.others:
                if other.path.step == usual:
                    other.leave("same", "the default")

    def _drop(self) -> None:
        """Take out of the race what has lost it after a round."""
        for entry in self._running():
            judgement = entry.against(self.default)
            if difference := self._find_difference(entry):
                entry.leave("rejected", difference)
            elif judgement is not None and judgement.verdict in ("slower", "no gain"):
                entry.leave("left", "slower" if judgement.verdict == "slower" else "no gain worth the name")
        # What may still be rejected takes no other one out of the race.
        compared = [entry for entry in self._running() if self.is_compared(entry)]
        best = min(compared, key=self._ratio, default=None)
        for entry in self._running():
            to_best = None if best is None or entry is best else entry.against(best)
            if best is not None and to_best is not None and to_best.verdict == "slower":
                entry.leave("left", f"slower than {best.path.name}")
        if self.rounds > 1:
            # By the fastest steps: after few rounds, the medians are those of the load.
            alike = [entry for entry in self._running() if not entry.path.draws]
            ordered = sorted(alike, key=lambda entry: entry.least_s)
            for entry in ordered[max(_FEW, (len(ordered) + 1) // 2) :]:
                entry.leave("left", "in the slower half")

    def _find_difference(self, entry: Entry) -> str | None:
        """Return where the losses of a path are not the default's, None where they are or are not known."""
        if len(self.default.runs) < 2:
            return None
        first, moved = (run.losses for run in self.default.runs[:2])
        dtype, losses = self.default.runs[0].dtype, [run.losses for run in entry.runs]
        if self.is_repeatable and not entry.path.draws:
            return next(filter(None, (find_difference(first, moved, each, dtype) for each in losses)), None)
        allowed = explain(first, moved if self.is_repeatable else first, dtype)
        return find_departure(self._drawn(), losses, allowed)

    def _drawn(self) -> list[Losses]:
        """Return the default's losses under each seed that it had."""
        runs = self.default.runs
        return [run.losses for run in (runs[:1] + runs[2:] if self.is_repeatable else runs)]

    def _running(self) -> list[Entry]:
        return [entry for entry in self.others if entry.status == "running"]

    def _ratio(self, entry: Entry) -> float:
        judgement = entry.against(self.default)
        return judgement.ratio if judgement is not None else float("inf")


def find_break_even(default: Entry, entry: Entry) -> int | None:
    """Return after how many steps ``entry`` has made up for its compile, None where it never does."""
    saved = default.step_s - entry.step_s
    return None if saved <= 0 else max(0, round((entry.compile_s - default.compile_s) / saved))
