"""The race: rounds in which every path that is left runs once, until one is clear of the noise.

Each round runs the paths one after the other, so that the load of the moment is in all of them, in an
order that turns. Steps double from round to round. After each, a path leaves that is clearly slower than
the default or the best, that gains too little, that is in the slower half, or whose losses are not the
default's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from autoxla.commands.tuning.checking import find_difference, repeats
from autoxla.commands.tuning.child import Failure, Measurement, Request
from autoxla.commands.tuning.judging import Judgement, Round, judge
from autoxla.commands.tuning.paths import DEFAULT, Path

Status = Literal["running", "failed", "rejected", "same", "left"]
Run = Callable[[Path, Request, float], Measurement | Failure]

#: Rounds at most, and by how much the steps of the first one grow at most.
ROUNDS, _LONGEST = 8, 8
#: Seconds that the steps of one run are to take at least in the first round: short steps are noisy.
_LEAST = 0.5
#: Share of the budget that they may take, which is so many seconds at least.
_SHARE, _MOST = 0.03, 3.0
#: A path may take so many times the default's whole run, and so many seconds at least.
_PATIENCE, _SHORTEST = 8.0, 60.0
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
        """Return the seconds of a step: the median over the rounds of each one's median."""
        return median(run.sample.typical for run in self.runs)

    @property
    def least_s(self) -> float:
        """Return the seconds of the fastest step of all rounds."""
        return min(run.sample.least for run in self.runs)

    @property
    def spread(self) -> tuple[float, float]:
        """Return the least and the greatest of the rounds' medians."""
        times = [run.sample.typical for run in self.runs]
        return min(times), max(times)

    @property
    def compile_s(self) -> float:
        """Return the seconds that trace and compile take, the median over the rounds."""
        return median(run.compile_s for run in self.runs)

    def leave(self, status: Status, reason: str, tail: tuple[str, ...] = ()) -> None:
        """Take the path out of the race."""
        self.status, self.reason, self.tail = status, reason, tail


class Race:
    """All paths, the default first. `run` runs one; `clock` gives seconds, `tell` is told of each run."""

    def __init__(
        self,
        paths: Sequence[Path],
        run: Run,
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
        self._run_path = run
        self._steps = steps
        self._budget = budget
        self._clock = clock
        self._tell = tell
        self._began = clock()

    @property
    def entries(self) -> list[Entry]:
        """Return all paths."""
        return [self.default, *self.others]

    @property
    def elapsed(self) -> float:
        """Return the seconds since the race began."""
        return self._clock() - self._began

    @property
    def is_repeatable(self) -> bool:
        """Return whether the program gives the same losses each time."""
        runs = self.default.runs
        return len(runs) > 1 and repeats(runs[0].losses, runs[1].losses, runs[0].dtype)

    def run(self) -> None:
        """Run rounds until the race is decided or the budget is used up; a signal may end it at any time."""
        while not self.end and self.rounds < ROUNDS:
            self._run_round()
            self._find_end()
        self.end = self.end or f"not decided after {ROUNDS} rounds"

    def judgement(self, entry: Entry) -> Judgement | None:
        """Return what the rounds say of a path against the default."""
        return judge(list(_pair(self.default, entry)))

    def is_faster(self, entry: Entry) -> bool:
        """Return whether a path is clear of the noise, its losses having been looked at."""
        judgement = self.judgement(entry)
        return len(self.default.runs) > 1 and judgement is not None and judgement.verdict == "faster"

    def winner(self) -> Entry | None:
        """Return the fastest of the paths that are clear of the noise; None where the race is open.

        That is the default where no other one is left.
        """
        faster = [e for e in self._running() if self.is_faster(e)]
        if faster:
            return min(faster, key=self._ratio)
        was_raced = any(e.status == "left" or e.status == "rejected" for e in self.others)
        return self.default if was_raced and not self._running() else None

    # One round

    def _run_round(self) -> None:
        for entry in self._order():
            if entry.status != "running":
                continue
            if not self._fits():
                self.end = "the budget is used up"
                return
            self._run_entry(entry)
            if self.end:
                return
            if entry is self.default and self.rounds == 0:
                self._drop_same()
        self.rounds += 1
        self._check()
        self._drop()

    def _order(self) -> list[Entry]:
        running = self._running()
        at = self.rounds % max(1, len(running))
        others = running[at:] + running[:at]
        # The default comes first where nothing is known of it, later at either end in turn.
        return [*others, self.default] if self.rounds % 2 else [self.default, *others]

    def _run_entry(self, entry: Entry) -> None:
        is_moved = entry is self.default and self.rounds == 1
        steps = self._steps * min(2**self.rounds, _LONGEST)
        most = max(_MOST, _SHARE * self._budget)
        request = Request(steps, min(_LEAST * 2**self.rounds, most / 2), most, is_moved)
        found = self._run_path(entry.path, request, self._limit())
        if isinstance(found, Failure):
            entry.leave("failed", found.reason, found.tail)
            self._tell(f"round {self.rounds + 1}, {entry.path.name}: {found.reason}")
            if entry is self.default:
                self.end = "the program fails on its default path"
            return
        entry.runs.append(found)
        step, first = found.sample.typical * 1e3, found.compile_s
        self._tell(
            f"round {self.rounds + 1}, {entry.path.name}: {step:.3g} ms a step, "
            f"{first:.2g} s to trace and compile"
        )
        self._check_step(entry, found)

    def _check_step(self, entry: Entry, found: Measurement) -> None:
        wanted = {"xla": True, "graph": False}.get(entry.path.step or "")
        if wanted is not None and found.jit != wanted:
            entry.leave("failed", f"the model keeps jit_compile={found.jit}")

    def _drop_same(self) -> None:
        if not self.default.runs:
            return
        usual = "xla" if self.default.runs[0].jit else "graph"
        for entry in self.others:
            if entry.path.step == usual:
                entry.leave("same", "the default")

    # What is left, and for how long

    def _running(self) -> list[Entry]:
        return [entry for entry in self.others if entry.status == "running"]

    def _limit(self) -> float:
        left = max(1.0, self._budget - self.elapsed)
        if not self.default.runs:
            return left
        longest = max(run.wall for run in self.default.runs)
        return min(left, max(_SHORTEST, _PATIENCE * longest))

    def _fits(self) -> bool:
        """Return whether one more run is likely to end within the budget."""
        walls = [run.wall for run in self.default.runs]
        return self.elapsed + (median(walls) if walls else 0.0) <= self._budget

    def _check(self) -> None:
        references = [run.losses for run in self.default.runs]
        dtype = self.default.runs[0].dtype if self.default.runs else "float32"
        for entry in self._running():
            for run in entry.runs:
                difference = find_difference(references, run.losses, dtype)
                if difference is not None and entry.status == "running":
                    entry.leave("rejected", difference)

    def _drop(self) -> None:
        for entry in self._running():
            judgement = self.judgement(entry)
            if judgement is not None and judgement.verdict in ("slower", "no gain"):
                entry.leave("left", "slower" if judgement.verdict == "slower" else "no gain worth the name")
        self._drop_behind_best()
        if self.rounds > 1:
            self._drop_half()

    def _drop_behind_best(self) -> None:
        running = self._running()
        best = min(running, key=self._ratio, default=None)
        for entry in running:
            compared = judge(list(_pair(best, entry))) if best is not None and entry is not best else None
            if compared is not None and compared.verdict == "slower" and best is not None:
                entry.leave("left", f"slower than {best.path.name}")

    def _drop_half(self) -> None:
        # By the fastest steps: after few rounds, the medians are those of the load.
        ordered = sorted(self._running(), key=lambda entry: entry.least_s)
        for entry in ordered[max(_FEW, (len(ordered) + 1) // 2) :]:
            entry.leave("left", "in the slower half")

    def _find_end(self) -> None:
        if self.end:
            return
        running = self._running()
        if not running:
            self.end = "no other path is left"
        elif self.rounds > 1 and all(self.is_faster(entry) for entry in running):
            self.end = "decided"

    def _ratio(self, entry: Entry) -> float:
        judgement = self.judgement(entry)
        return judgement.ratio if judgement is not None else float("inf")


def find_break_even(default: Entry, entry: Entry) -> int | None:
    """Return after how many steps ``entry`` has made up for its compile, None where it never does."""
    saved = default.step_s - entry.step_s
    extra = entry.compile_s - default.compile_s
    if saved <= 0:
        return None
    return max(0, round(extra / saved))


def _pair(first: Entry, second: Entry) -> Iterator[Round]:
    """Yield what the two paths measured in the rounds in which both ran."""
    for one, other in zip(first.runs, second.runs, strict=False):
        yield one.sample, other.sample
