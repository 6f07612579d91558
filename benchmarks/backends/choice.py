"""What the figures of `run` say: the seconds of a training, the best path, and what ``tune`` would take.

``tune`` is not run again: its race is, on the figures. Each run that it asks for is the one that was measured
in that round, so its rules on ratios, rounds and losses are those of the program itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from statistics import fmean, median
from typing import Any, NamedTuple

from autoxla.paths.judging import Sample
from autoxla.paths.listing import DEFAULT, Path
from autoxla.paths.measuring import Failure, Measurement, Request
from autoxla.paths.race import Race
from benchmarks.backends import BACKENDS, WARM_UP, WHOLE

#: What one process left, with its model, path and round.
Run = Mapping[str, Any]
#: What is done without a choice.
USUAL = "graph"
_PATHS = {
    "xla": Path("xla", "xla"),
    **{name: Path(name, draws=True) for name in BACKENDS if BACKENDS[name] != "tensorflow"},
}


class Time(NamedTuple):
    """The seconds of a training; `is_whole`: every round trained to its end, none was continued."""

    seconds: float
    is_whole: bool


@dataclass(frozen=True)
class Result:
    """One model: the time of each path by its length in steps, and the path that ``tune`` would take.

    `chosen` is None where no path was clear of the noise; the program stays on `USUAL` then.
    """

    model: str
    times: Mapping[int, Mapping[str, Time]]
    chosen: str | None
    failed: Mapping[str, str]

    def regret(self, steps: int, path: str | None) -> float:
        """Return the share of the best path's time that ``path`` takes more; inf where it does not run."""
        times = self.times[steps]
        took = times.get(path or USUAL)
        return inf if took is None else took.seconds / min(time.seconds for time in times.values()) - 1

    def best(self, steps: int) -> str:
        """Return the path that takes the least time for so many steps."""
        times = self.times[steps]
        return min(times, key=lambda path: times[path].seconds)


def find_results(runs: Iterable[Run]) -> list[Result]:
    """Return a result for each model that has been measured on `USUAL` at least."""
    by_model: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        by_model.setdefault(run["model"], {}).setdefault(run["path"], []).append(run)
    results = [find_result(model, paths) for model, paths in by_model.items()]
    return [result for result in results if USUAL in result.times[WHOLE[0]]]


def find_result(model: str, paths: Mapping[str, Sequence[Run]]) -> Result:
    """Return what the runs of a model say; a path of which any run failed counts as one that cannot."""
    failed = {name: run["error"] for name, runs in paths.items() for run in runs if "error" in run}
    good = {name: paths[name] for name in BACKENDS if name in paths and name not in failed}
    times = {steps: {name: take_median(runs, steps) for name, runs in good.items()} for steps in WHOLE}
    return Result(model, times, choose(good) if USUAL in good else None, failed)


def take_median(runs: Sequence[Run], steps: int) -> Time:
    """Return the median over the rounds of what ``steps`` steps take."""
    times = [take_time(run["marks"], steps) for run in runs]
    return Time(median(time.seconds for time in times), all(time.is_whole for time in times))


def take_time(marks: Mapping[str, float], steps: int) -> Time:
    """Return the seconds of ``steps`` steps; those that were not run at the pace behind the warm-up."""
    if str(steps) in marks:
        return Time(marks[str(steps)], is_whole=True)
    last = max(map(int, marks))
    pace = (marks[str(last)] - marks[str(WARM_UP)]) / (last - WARM_UP)
    return Time(marks[str(last)] + (steps - last) * pace, is_whole=False)


class _UsedUpError(Exception):
    """The race asks for a round that was not measured."""


def choose(paths: Mapping[str, Sequence[Run]]) -> str | None:
    """Return the path that ``tune`` takes by these runs, None where it keeps nothing."""
    left = {DEFAULT.name: list(paths[USUAL]), **{name: list(paths[name]) for name in paths}}

    def measure(path: Path, _request: Request, _limit: float) -> Measurement | Failure:
        if not left[path.name]:
            raise _UsedUpError
        return read_measurement(left[path.name].pop(0))

    others = [path for name, path in _PATHS.items() if name in paths]
    race = Race(others, measure, steps=0, budget=inf, clock=lambda: 0.0, tell=lambda _: None)
    try:
        race.run()
    except _UsedUpError:
        race.end = "no round is left"
    winner = race.winner()
    if winner is None:
        return None
    return USUAL if winner is race.default else winner.path.name


def read_measurement(run: Run) -> Measurement:
    """Return what ``tune`` would have measured in a run."""
    typical = median(run["sample"])
    losses: list[float | None] = [None] * 2 ** (len(run["losses"]) - 1)
    for power, loss in enumerate(run["losses"]):
        losses[2**power - 1] = loss
    return Measurement(
        sample=Sample(typical, min(run["sample"])),
        compile_s=max(0.0, run["marks"]["1"] - typical),
        memory=round(run["memory_mb"] * 1e6),
        losses=tuple(losses),
        jit=run["jit"],
        dtype=run["dtype"],
        steps=len(run["sample"]),
        wall=0.0,
    )


class Regrets(NamedTuple):
    """Over all models on which a choice runs: the mean regret, the worst one and its model, and how many."""

    mean: float
    worst: float
    model: str
    models: int


def sum_up(results: Sequence[Result], steps: int) -> dict[str, Regrets]:
    """Return the regret of each fixed choice, and of ``tune``, for trainings of so many steps."""
    choices = {"tune": {result.model: result.regret(steps, result.chosen) for result in results}}
    for path in BACKENDS:
        choices[path] = {result.model: result.regret(steps, path) for result in results}
    found = {}
    for name, regrets in choices.items():
        known = {model: regret for model, regret in regrets.items() if regret < inf}
        if known:
            worst = max(known, key=lambda model: known[model])
            found[name] = Regrets(fmean(known.values()), known[worst], worst, len(known))
    return found


def find_spread(runs: Iterable[Run]) -> float:
    """Return how far rounds are apart: the slowest over the fastest, the median over models and paths."""
    by_cell: dict[tuple[str, str], list[float]] = {}
    for run in runs:
        if "error" not in run:
            by_cell.setdefault((run["model"], run["path"]), []).append(
                take_time(run["marks"], WHOLE[-1]).seconds
            )
    return median(max(times) / min(times) for times in by_cell.values())
