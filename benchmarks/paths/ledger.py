"""What a trial cost and gained, from the times of one process: pure arithmetic.

All that is compared was measured in the same process, so that the load of the moment is in both sides.

Let N be the steps, f the first of them with its trace, p and x the milliseconds of a step of the plain
graph and under XLA: p is the median of the plain steps timed in turn with the others after training,
x is p plus the median of the paired differences; K is the foreground compile, in the same process. Then

* always plain takes  P(N) = f + (N - 1) p
* always XLA takes    X(N) = f + K + (N - 1) x,  infinity where XLA cannot run the step
* autoxla took        A(N) = f + n_p p + n_x x + D + S + O  with n_p + n_x = N - 1

and the **regret** is A(N) - min(P(N), X(N)), its share that divided by min(P(N), X(N)). It is the sum of

* ``path``: the steps on the path that is not the better one at N, times what each of them lost:
  n_x (x - p) where plain is better, n_p (p - x) where XLA is;
* ``compile``: -K where XLA is the better path, since autoxla's compile was no foreground one;
* ``slowdown`` D, ``stalls`` S, ``overhead`` O: the excess of the steps of the trial.

The *steps of the trial* are those from its first look at the clock to its decision, and those of later
races. The excess of a step is its time less the reference of its path: the mean of that path's steps
outside of the trial, without stalls, or where there are fewer than `FEWEST`, of its steps after training
(those of Keras' own function for plain). The excess of a step of more than `STALL` references is a stall;
any other is slow-down where a challenger was being compiled, and overhead elsewhere. What the steps
outside of the trial took beyond their typical time is nobody's cost: it would have been there without
autoxla. It is kept as ``unexplained_s``, the sum of the steps that were made less what the ledger says
of them.

A run that is shorter than N is continued on the path of its last step; one that began no trial has an
excess only where it looked (the step of the look, and a second after it where it looked further).

``drift`` is the median step of the training outside of the trial over the same step after it. Far from 1
(``noisy``, more than `DRIFT`) the machine was another one after training than during it, and the excesses
and what is continued say little.

Every figure has a bootstrap interval (95 %): pairs, references and excesses are drawn anew, each step
by itself, so that under a load that drifts the interval is too narrow; f and K were measured once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from random import Random
from statistics import fmean, median
from typing import Any, Literal

from autoxla.trial.economics import SHORTEST

PathName = Literal["graph", "xla"]
#: Milliseconds of the steps of each path that others are compared with.
References = Mapping[PathName, Sequence[float]]
#: Path and milliseconds of the steps of a trial, by what their excess is counted as.
Excesses = Mapping[str, Sequence[tuple[PathName, float]]]
LINES = ("path", "compile", "slowdown", "stalls", "overhead")
EXCESSES = ("slowdown", "stalls", "overhead")

#: A step of so many references is a stall of the main thread.
STALL = 3.0
#: With steps during and after training so far apart, a ledger says little.
DRIFT = 1.15
#: So many steps outside of the trial make a reference.
FEWEST = 20
#: The step at whose end a trial first looks at the clock, and the milliseconds that it may then look further.
FIRST_LOOK, FURTHER = 8, 1000.0
RESAMPLES = 400


@dataclass(frozen=True, slots=True)
class Trial:
    """What the report says of a trial. Steps count from 1; None is what did not happen."""

    began_at: int
    compiled_at: int | None = None
    switched_at: int | None = None
    decided_at: int | None = None
    ended_at: int | None = None
    samples: tuple[tuple[int, PathName], ...] = ()

    @property
    def settled_at(self) -> int | None:
        """Return the step at which the first decision was there, None where none ever was."""
        if self.switched_at is not None:
            return self.switched_at
        if self.decided_at is None or self.compiled_at is None:
            return self.ended_at
        # `decided_at` may be that of a later race; the steps of the first one follow the compile.
        sampled, step = {step for step, _ in self.samples}, self.compiled_at
        while step + 1 in sampled:
            step += 1
        return step


@dataclass(frozen=True, slots=True)
class Run:
    """The steps that were made, in milliseconds, the first among them, of those that were planned."""

    steps: Sequence[float]
    planned: int
    trial: Trial | None = None


@dataclass(frozen=True, slots=True)
class Pairs:
    """Milliseconds of neighbouring steps after training; no ``xla`` where XLA cannot run the step."""

    stock: Sequence[float]
    graph: Sequence[float]
    xla: Sequence[float]
    compile_s: float


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds: the first step, a plain one, one under XLA, its foreground compile."""

    first: float
    plain: float
    xla: float
    compile: float


@dataclass(frozen=True, slots=True)
class Account:
    """What N steps cost, in milliseconds: each line of the ledger, and the better of the two paths."""

    lines: Mapping[str, float]
    better: PathName
    better_ms: float
    plain_ms: float
    xla_ms: float

    @property
    def regret(self) -> float:
        """Return the milliseconds lost against the better path."""
        return sum(self.lines.values())

    @property
    def share(self) -> float:
        """Return the regret as a share of the time of the better path."""
        return self.regret / self.better_ms


def read_trial(entry: Mapping[str, Any]) -> Trial:
    """Return an entry of the report's ``trials``."""
    samples = tuple((step, path) for step, path, *_ in entry.get("samples", ()))
    return Trial(
        entry["began_at"],
        compiled_at=entry.get("compiled_at"),
        switched_at=entry.get("switched_at"),
        decided_at=entry.get("decided_at"),
        ended_at=entry.get("ended_at"),
        samples=samples,
    )


def paths_of(run: Run) -> list[PathName]:
    """Return the path of each step: that of the next one that the trial timed, or of the end."""
    count, trial = len(run.steps), run.trial
    if trial is None:
        return ["graph"] * count
    sampled = {step: path for step, path in trial.samples if step <= count}
    last = max(sampled, default=0)
    paths = [_end(trial, step) for step in range(count, last, -1)]
    for step in range(last, 0, -1):
        paths.append(sampled[step] if step in sampled else paths[-1])
    return paths[::-1]


def _end(trial: Trial, step: int) -> PathName:
    """Return the path of a step behind all that were timed."""
    if trial.switched_at is None or step <= trial.switched_at:
        return "graph"
    return "graph" if trial.ended_at is not None and step > trial.ended_at else "xla"


def steps_of_trial(run: Run) -> set[int]:
    """Return the numbers of the steps, from 1, whose excess is the trial's."""
    count, trial = len(run.steps), run.trial
    if trial is None:
        return _looked(run)
    end = count if trial.settled_at is None else min(count, trial.settled_at)
    return {*range(FIRST_LOOK, end + 1), *(step for step, _ in trial.samples if step <= count)}


def _looked(run: Run) -> set[int]:
    """Return the steps beside which a run that began no trial may have read and surveyed."""
    count = len(run.steps)
    if count < FIRST_LOOK:
        return set()
    ahead = median(run.steps[2:FIRST_LOOK]) * (run.planned - FIRST_LOOK) / 1e3
    if ahead < SHORTEST:
        return {FIRST_LOOK}
    spent = accumulate(run.steps[FIRST_LOOK:])
    further = sum(1 for time in spent if time <= FURTHER)
    return set(range(FIRST_LOOK, min(count, FIRST_LOOK + further + 1) + 1))


def find_references(run: Run, pairs: Pairs) -> References:
    """Return the steps of each path that its steps in the trial are compared with."""
    after: dict[PathName, Sequence[float]] = {"graph": pairs.stock, "xla": pairs.xla}
    outside = steps_outside(run)
    return {
        path: without_stalls(outside[path] if len(outside[path]) >= FEWEST else times)
        for path, times in after.items()
    }


def find_drift(run: Run, pairs: Pairs) -> float:
    """Return a step during training over one after it, by the path with more steps outside of the trial."""
    outside, after = steps_outside(run), {"graph": pairs.stock, "xla": pairs.xla}
    path = max(outside, key=lambda name: len(outside[name]))
    return median(outside[path]) / median(after[path]) if outside[path] and after[path] else 1.0


def steps_outside(run: Run) -> dict[PathName, list[float]]:
    """Return the steps of each path that are not the trial's, nor the first two."""
    inside = steps_of_trial(run)
    found: dict[PathName, list[float]] = {"graph": [], "xla": []}
    for step, (path, time) in enumerate(zip(paths_of(run), run.steps, strict=True), 1):
        if step > 2 and step not in inside:
            found[path].append(time)
    return found


def without_stalls(times: Sequence[float]) -> list[float]:
    """Return ``times`` but those above `STALL` medians."""
    if not times:
        return []
    limit = STALL * median(times)
    return [time for time in times if time <= limit]


def sort_excesses(run: Run, references: References) -> Excesses:
    """Return path and time of each step of the trial, by what its excess is counted as."""
    means = {path: fmean(times) for path, times in references.items() if times}
    paths = paths_of(run)
    sorted_: dict[str, list[tuple[PathName, float]]] = {name: [] for name in EXCESSES}
    for step in sorted(steps_of_trial(run)):
        path, time = paths[step - 1], run.steps[step - 1]
        if time > STALL * means[path]:
            sorted_["stalls"].append((path, time))
        else:
            name = "slowdown" if _is_beside_compile(run.trial, step) else "overhead"
            sorted_[name].append((path, time))
    return sorted_


def _is_beside_compile(trial: Trial | None, step: int) -> bool:
    if trial is None or step <= trial.began_at:
        return False
    end = trial.settled_at if trial.compiled_at is None else trial.compiled_at
    return end is None or step <= end


def count_steps(run: Run, steps: int) -> tuple[int, int]:
    """Return how many of ``steps``, without the first, are plain and how many are under XLA."""
    paths = paths_of(run)[1:steps]
    last = paths[-1] if paths else "graph"
    missing = max(0, steps - 1 - len(paths))
    xla = paths.count("xla") + (missing if last == "xla" else 0)
    return steps - 1 - xla, xla


def settle(times: Times, plain_steps: int, xla_steps: int, excesses: Mapping[str, float]) -> Account:
    """Return the account of ``plain_steps + xla_steps`` steps and a first one; `excesses` in milliseconds."""
    count = plain_steps + xla_steps
    plain = times.first + count * times.plain
    xla = times.first + times.compile + count * times.xla
    better: PathName = "graph" if plain <= xla else "xla"
    if better == "graph":
        # No step is under XLA where it cannot run.
        lines = {"path": xla_steps * (times.xla - times.plain) if xla_steps else 0.0, "compile": 0.0}
    else:
        lines = {"path": plain_steps * (times.plain - times.xla), "compile": -times.compile}
    lines |= {name: excesses.get(name, 0.0) for name in EXCESSES}
    return Account(lines, better, min(plain, xla), plain, xla)


def measure_times(first: float, pairs: Pairs) -> Times:
    """Return the true times of a step by ``pairs``."""
    plain = median(pairs.graph)
    if not pairs.xla:
        return Times(first, plain, inf, 0.0)
    difference = median(x - p for p, x in zip(pairs.graph, pairs.xla, strict=True))
    # A difference noisier than the steps themselves must not make time negative.
    return Times(first, plain, max(plain + difference, 0.01 * plain), pairs.compile_s * 1e3)


def find_ratio(pairs: Pairs) -> float:
    """Return the median of XLA over plain, infinity where XLA cannot run the step."""
    return median(x / p for p, x in zip(pairs.graph, pairs.xla, strict=True)) if pairs.xla else inf


def make_ledger(run: Run, pairs: Pairs, steps: int, generator: Random) -> dict[str, Any]:
    """Return the ledger of ``run`` at ``steps`` as JSON has it: estimates with their intervals.

    Times are in milliseconds where a name ends so, in seconds otherwise. Raises ValueError where no
    step was made.
    """
    if not run.steps:
        raise ValueError("a run of no step has no ledger")
    references = find_references(run, pairs)
    sorted_ = sort_excesses(run, references)
    drawn = [
        _account(run, _draw_pairs(pairs, generator), steps, *_draw(references, sorted_, generator))
        for _ in range(RESAMPLES)
    ]
    account = _account(run, pairs, steps, references, sorted_)
    ratios = [find_ratio(_draw_pairs(pairs, generator)) for _ in range(RESAMPLES)]
    times, trial = measure_times(run.steps[0], pairs), run.trial
    plain_steps, xla_steps = count_steps(run, steps)
    drift = find_drift(run, pairs)
    return {
        "steps": steps,
        "steps_made": len(run.steps),
        "better": account.better,
        "plain_ms": round(times.plain, 4),
        "xla_ms": _finite(times.xla),
        "ratio": _bounded(find_ratio(pairs), ratios),
        "compile_s": round(times.compile / 1e3, 3),
        "plain_steps": plain_steps,
        "xla_steps": xla_steps,
        "began_at": trial and trial.began_at,
        "switched_at": trial and trial.switched_at,
        "unfinished": trial is not None and trial.settled_at is None and len(run.steps) < steps,
        "lines": {
            name: _bounded(account.lines[name] / 1e3, [a.lines[name] / 1e3 for a in drawn]) for name in LINES
        },
        "regret": _bounded(account.regret / 1e3, [a.regret / 1e3 for a in drawn]),
        "share": _bounded(account.share, [a.share for a in drawn]),
        "better_s": round(account.better_ms / 1e3, 4),
        "unexplained_s": round((sum(run.steps) - _total(run, times, references, sorted_)) / 1e3, 4),
        "drift": round(drift, 4),
        "noisy": not 1 / DRIFT <= drift <= DRIFT,
        "always_plain": round(account.plain_ms / account.better_ms - 1, 4),
        "always_xla": _finite(account.xla_ms / account.better_ms - 1),
    }


def _account(
    run: Run,
    pairs: Pairs,
    steps: int,
    references: References,
    sorted_: Excesses,
) -> Account:
    excesses = _sum_excesses(references, sorted_)
    return settle(measure_times(run.steps[0], pairs), *count_steps(run, steps), excesses)


def _total(
    run: Run,
    times: Times,
    references: References,
    sorted_: Excesses,
) -> float:
    """Return what the ledger says that the steps that were made took."""
    plain_steps, xla_steps = count_steps(run, len(run.steps))
    under_xla = xla_steps * times.xla if xla_steps else 0.0
    excesses = sum(_sum_excesses(references, sorted_).values())
    return times.first + plain_steps * times.plain + under_xla + excesses


def _sum_excesses(
    references: References,
    sorted_: Excesses,
) -> dict[str, float]:
    means = {path: fmean(times) for path, times in references.items() if times}
    return {name: sum(time - means[path] for path, time in steps) for name, steps in sorted_.items()}


def _draw(
    references: References,
    sorted_: Excesses,
    generator: Random,
) -> tuple[References, Excesses]:
    return (
        {path: generator.choices(times, k=len(times)) for path, times in references.items() if times},
        {name: generator.choices(steps, k=len(steps)) if steps else [] for name, steps in sorted_.items()},
    )


def _draw_pairs(pairs: Pairs, generator: Random) -> Pairs:
    chosen = generator.choices(range(len(pairs.graph)), k=len(pairs.graph))
    xla = [pairs.xla[index] for index in chosen] if pairs.xla else []
    return Pairs(pairs.stock, [pairs.graph[index] for index in chosen], xla, pairs.compile_s)


def _bounded(estimate: float, drawn: Sequence[float]) -> list[float | None]:
    ordered = sorted(drawn)
    outside = len(ordered) // 40
    return [_finite(value) for value in (estimate, ordered[outside], ordered[-1 - outside])]


def _finite(value: float) -> float | None:
    return round(value, 4) if value < inf else None
