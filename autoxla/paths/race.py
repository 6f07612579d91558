"""The race: rounds in which every path that is left runs once, until one is clear of the noise.

Each round runs the paths one after the other, so that the load of the moment is in all of them, in an
order that turns. Steps double from round to round. After each, a path leaves that is clearly slower than
the default or the best, that gains too little, that is in the slower half, or whose losses are not the
default's. A path that draws other random numbers needs more runs to tell the latter: they are made once it
leads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Literal

from autoxla.paths.judging import Judgement, judge
from autoxla.paths.listing import DEFAULT, Path
from autoxla.paths.losses import (
    Losses,
    explain,
    find_changed_lines,
    find_departure,
    find_difference,
    repeats,
)
from autoxla.paths.measuring import Failure, Measurement, Request, name_loss, name_step

Status = Literal["running", "failed", "rejected", "same", "left"]
Measure = Callable[[Path, Request, float], Measurement | Failure]
#: A step of Keras as it computes it: what `jit_compile` reaches.
_OF_KERAS = ("train", "evaluate", "predict")

#: Rounds at most, and by how much the steps of the first one grow at most.
ROUNDS, _LONGEST = 8, 8
#: Seconds that the steps of one run are to take at least in the first round: short steps are noisy.
_LEAST = 0.5
#: Share of the budget that they may take, which is so many seconds at least.
_SHARE, _MOST = 0.03, 3.0
#: A path may take so many times the default's whole run, and so many seconds at least.
_PATIENCE, _SHORTEST = 8.0, 60.0
#: A program that may train is waited for so long, as a share of the budget, while it does something else.
_SEARCH = 0.25
#: Seeds of the default, and of a path with other random numbers, with which their losses are compared at
#: least; and the steps of a run that is there for its losses alone.
_SEEDS, _OF_PATH, _COMPARED = 4, 3, 64
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
    #: The losses of runs under other seeds that were made for them alone.
    drawn: list[Losses] = field(default_factory=list)

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

    @property
    def beside(self) -> dict[str, float]:
        """The seconds of a step of the other phases that ran, of each the median over the rounds."""
        names = dict.fromkeys(name for run in self.runs for name in run.beside)
        return {name: median(run.beside[name] for run in self.runs if name in run.beside) for name in names}

    def against(self, other: Entry) -> Judgement | None:
        """Return what the rounds in which both ran say of this path against ``other``."""
        pairs = zip(other.runs, self.runs, strict=False)
        return judge([(one.sample, two.sample) for one, two in pairs])

    def leave(self, status: Status, reason: str, tail: tuple[str, ...] = ()) -> None:
        """Take the path out of the race."""
        self.status, self.reason, self.tail = status, reason, tail


class Race:
    """All paths, the default first. `measure` runs one; `clock` gives seconds, `tell` is told of each run.

    `may_train`: the program's source names what trains, so that other steps in front of it do not decide.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        measure: Measure,
        *,
        steps: int,
        budget: float,
        clock: Callable[[], float],
        tell: Callable[[str], None],
        may_train: bool = False,
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
        #: Seconds of steps that one run makes at most.
        self._most = max(_MOST, _SHARE * budget)
        self._search = _SEARCH * budget if may_train else self._most

    @property
    def entries(self) -> list[Entry]:
        """All paths."""
        return [self.default, *self.others]

    @property
    def phase(self) -> str:
        """Which steps are timed, empty while that is not known: `Measurement.phase`."""
        return self.default.runs[0].phase if self.default.runs else ""

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
        return self.is_compared(entry) and self._is_clear(entry)

    def _is_clear(self, entry: Entry) -> bool:
        judgement = entry.against(self.default)
        return judgement is not None and judgement.verdict == "faster"

    def is_compared(self, entry: Entry) -> bool:
        """Return whether enough is known of the default's losses to hold those of a path against them."""
        if self._reads_output:
            return len(self.default.runs) > 1 and bool(_common_lines(self.default.runs))
        if entry.path.draws:
            return len(self._drawn()) >= _SEEDS and len(entry.runs) + len(entry.drawn) >= _OF_PATH
        return len(self.default.runs) > 1

    @property
    def compared(self) -> str:
        """What of a path is compared with the default, in words."""
        if not self.default.runs:
            return "nothing"
        if self._reads_output:
            return "the lines that it prints" if _common_lines(self.default.runs) else "nothing"
        return {"train": "the losses", "evaluate": "the losses", "predict": "the outputs"}.get(
            self.phase, "the first number that it returns"
        )

    @property
    def _reads_output(self) -> bool:
        """Whether steps without a number are compared by what the program prints."""
        runs = self.default.runs
        return bool(runs) and self.phase != "train" and not runs[0].has_numbers

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
        try:
            while not self.end:
                self._run_round()
                self._drop()
                while (leader := self._find_uncompared_leader()) is not None:
                    self._draw(leader)
                    self._drop()
                if not self._running():
                    self.end = "no other path is left"
                elif self.rounds > 1 and all(map(self._is_clear, self._running())):
                    self.end = "decided"
                elif self.rounds == ROUNDS:
                    self.end = f"not decided after {ROUNDS} rounds"
        except _OverError as error:
            self.end = str(error)

    def _run_round(self) -> None:
        """Run each path that is left once."""
        running = self._running()
        at = self.rounds % max(1, len(running))
        turned = running[at:] + running[:at]
        # The default comes first where nothing is known of it, later at either end in turn.
        for entry in [*turned, self.default] if self.rounds % 2 else [self.default, *turned]:
            if entry.status == "running":  # else it is the same as the default, as was just seen
                self._run_entry(entry)
        self.rounds += 1

    def _run_entry(self, entry: Entry) -> None:
        """Run one path once, and see whether it is the path that was asked for."""
        steps = self._steps * min(2**self.rounds, _LONGEST)
        least = min(_LEAST * 2**self.rounds, self._most / 2)
        # Two runs of the default tell whether it repeats itself.
        is_moved = entry is self.default and self.rounds == 1
        redraw = self.rounds if entry.path.draws else 0
        said = f"round {self.rounds + 1}, {entry.path.name}"
        found = self._ask(entry, Request(steps, least, self._most, is_moved, redraw), said)
        if found is None:
            return
        entry.runs.append(found)
        step = f"{found.sample.typical * 1e3:.3g} ms a {name_step(found.phase)}"
        self._tell(f"{said}: {step}, {found.compile_s:.2g} s to trace and compile")
        wanted = {"xla": True, "graph": False}.get(entry.path.step or "")
        if wanted is not None and found.jit != wanted:
            entry.leave("failed", f"the model keeps jit_compile={found.jit}")
        if entry is self.default and self.rounds == 0:
            for other in self.others:
                if (reason := _find_sameness(other.path, found)) is not None:
                    other.leave("same", reason)

    def _ask(self, entry: Entry, request: Request, said: str) -> Measurement | None:
        """Run one path once; None where it failed. Raises `_OverError` where that ends the race."""
        walls = [run.wall for run in self.default.runs]
        # One more run has to be likely to end within the budget.
        if self.elapsed + (median(walls) if walls else 0.0) > self._budget:
            raise _OverError("the budget is used up")
        limit = max(1.0, self._budget - self.elapsed)
        if walls:
            limit = min(limit, max(_SHORTEST, _PATIENCE * max(walls)))
        found = self._measure(entry.path, replace(request, phase=self.phase, search=self._search), limit)
        if isinstance(found, Measurement):
            return found
        if self.elapsed >= self._budget and walls:
            # It was cut short, which says nothing of the path.
            raise _OverError("the budget is used up")
        entry.leave("failed", found.reason, found.tail)
        self._tell(f"{said}: {found.reason}")
        if entry is self.default:
            raise _OverError("the program fails on its default path")
        return None

    def _find_uncompared_leader(self) -> Entry | None:
        """Return the path that wins if its losses are the default's, None where that is known of it."""
        leader = min(filter(self._is_clear, self._running()), key=self._ratio, default=None)
        if leader is None or not leader.path.draws or self._reads_output or self.is_compared(leader):
            return None
        return leader

    def _draw(self, leader: Entry) -> None:
        """Run the default, or the path that leads, under another seed."""
        entry = self.default if len(self._drawn()) < _SEEDS else leader
        redraw = ROUNDS + len(entry.drawn)
        request = Request(_COMPARED, 0.0, self._most, redraw=redraw)
        said = f"seed {redraw}, {entry.path.name}"
        if (found := self._ask(entry, request, said)) is not None:
            entry.drawn.append(found.losses)
            self._tell(f"{said}: its {name_loss(self.phase)} is known")

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
        runs = self.default.runs
        if len(runs) < 2:
            return None
        if self._reads_output:
            printed = [[run.printed for run in each.runs] for each in (self.default, entry)]
            changed = find_changed_lines(*printed)
            return f"it prints {changed[0][1]!r} in the place of {changed[0][0]!r}" if changed else None
        first, moved, dtype, name = runs[0].losses, runs[1].losses, runs[0].dtype, name_loss(self.phase)
        losses = [*(run.losses for run in entry.runs), *entry.drawn]
        if self.is_repeatable and not entry.path.draws:
            found = (find_difference(first, moved, each, dtype, name) for each in losses)
            return next(filter(None, found), None)
        allowed = explain(first, moved if self.is_repeatable else first, dtype)
        return find_departure(self._drawn(), losses, allowed, name)

    def _drawn(self) -> list[Losses]:
        """Return the default's losses under each seed that it had."""
        runs = self.default.runs
        return [*(run.losses for run in (runs[:1] if self.is_repeatable else runs)), *self.default.drawn]

    def _running(self) -> list[Entry]:
        return [entry for entry in self.others if entry.status == "running"]

    def _ratio(self, entry: Entry) -> float:
        judgement = entry.against(self.default)
        return judgement.ratio if judgement is not None else float("inf")


class _OverError(Exception):
    """Why the race ends in the middle of a round."""


def _find_sameness(path: Path, usual: Measurement) -> str | None:
    """Return why ``path`` cannot differ from the default, which was measured as ``usual``."""
    if path.step == ("xla" if usual.jit else "graph") and usual.phase in _OF_KERAS:
        return "the default"
    if path.step in ("graph", "xla") and usual.phase not in _OF_KERAS:
        return f"jit_compile does not reach {usual.phase}, a tf.function of the program"
    if path.name == "steps-16" and usual.phase != "train":
        return "the program does not train with Keras"
    return None


def _common_lines(runs: Sequence[Measurement]) -> list[str]:
    """Return the lines that all runs print at the same place."""
    return [lines[0] for lines in zip(*(run.printed for run in runs), strict=False) if len(set(lines)) == 1]


def find_break_even(default: Entry, entry: Entry) -> int | None:
    """Return after how many steps ``entry`` has made up for its compile, None where it never does."""
    saved = default.step_s - entry.step_s
    return None if saved <= 0 else max(0, round((entry.compile_s - default.compile_s) / saved))
