"""What policies would have cost on the models that were measured: pure arithmetic, nothing is run.

A **policy** says of N steps of a model how many are plain and how many XLA's, and what they take besides: a
`Course`. `benchmarks.paths.ledger.settle` makes its **regret** of that: the time beyond the better of always
plain and always XLA with its compile in front, as a share of it. The stalls of a compile in front, and the
excess of steps beside a compile, are as they were measured.

* *always plain*, *always XLA*: what their names say. Where XLA cannot run a step, it costs infinitely much.
* *autoxla*: the trial (`autoxla.trial.driver`), by the real functions of `autoxla.trial.economics` and
  `autoxla.trial.comparison`; `follow_trial` says step by step. Its race is of pairs drawn from the measured
  ones, several times (`DRAWS`), and its regret is their mean.
* *fitted*: the same, with the priors of `benchmarks.population.priors` from the other families.
* *oracle*: knows the ratio of the two steps before the first one, but not the noise. It takes the best of
  plain, XLA with its compile in front, and XLA once it is compiled beside, without a race.

A **first run** finds no record; a **second run** that of a first run of the same length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf
from random import Random
from statistics import fmean, median
from typing import Any, NamedTuple

from autoxla.trial import economics
from autoxla.trial.comparison import Pair, judge
from autoxla.trial.decisions import Decision
from autoxla.trial.economics import Prior
from benchmarks.paths.ledger import FIRST_LOOK, Pairs, Times, find_ratio, measure_times, settle
from benchmarks.population.priors import Expectation, Operations, cross_validate

Run = Mapping[str, Any]
#: Steps of a training.
LENGTHS = (100, 1000, 10_000, 100_000)
#: Trials of a model, each with pairs drawn anew.
DRAWS = 5
#: The first turn of each path in a race is no measure.
_WARM_UP = 2


@dataclass(frozen=True, slots=True)
class Beside:
    """A compile beside training. `ms` it took, in which `steps` were done, `excess_ms` slower than alone.

    `compile_s` is what of it a record keeps, None where XLA failed.
    """

    ms: float
    steps: int
    excess_ms: float
    compile_s: float | None


@dataclass(frozen=True, slots=True)
class Model:
    """What was measured of a model. `pairs` are seconds, plain and XLA's; none where XLA cannot run the step.

    `is_refused`: a trial would leave it alone.
    """

    number: int
    family: str
    times: Times
    ratio: float
    pairs: Sequence[Pair]
    beside: Beside
    survey_ms: float
    nodes: int
    operations: Operations
    is_refused: bool
    cores: int


class Course(NamedTuple):
    """What a policy did in N steps, of which the first with its trace counts as neither.

    `excesses`: milliseconds, by the lines of the ledger; `decision`: what is on record then.
    """

    plain: int
    xla: int
    excesses: Mapping[str, float] = {}
    decision: Decision | None = None


def read_models(data: Mapping[str, Any]) -> list[Model]:
    """Return the models of the figures ``data``; those of which a process failed are left out."""
    cores = data["machine"]["cores"]
    return [read_model(run, cores) for run in data["runs"] if "error" not in run or "graph" in run]


def read_model(run: Run, cores: int) -> Model:
    """Return what `benchmarks.population.measure` left of a model."""
    pairs = Pairs(run["stock"], run["graph"], run.get("xla", []), run.get("compile_s", 0.0))
    beside = run["beside"]
    return Model(
        number=run["number"],
        family=run["description"]["family"],
        times=measure_times(run["first_ms"], pairs),
        ratio=find_ratio(pairs),
        pairs=[(plain / 1e3, xla / 1e3) for plain, xla in zip(pairs.graph, pairs.xla, strict=False)],
        beside=Beside(
            ms=beside["ms"],
            steps=beside["steps"],
            excess_ms=beside["steps_ms"] - beside["steps"] * beside["usual_ms"],
            compile_s=beside.get("compile_s"),
        ),
        survey_ms=run["survey_ms"],
        nodes=run["nodes"],
        operations=run["operations"],
        is_refused=run["refused"] is not None,
        cores=cores,
    )


# Courses


def stay_plain(steps: int) -> Course:
    """Return the course that never leaves the plain graph."""
    return Course(steps - 1, 0)


def compile_in_front(model: Model, steps: int) -> Course:
    """Return the course that is XLA's from the second step on, and waits for it first."""
    return Course(0, steps - 1, {"stalls": model.times.compile})


def switch_after_compile(model: Model, steps: int, begin: int, decision: Decision | None = None) -> Course:
    """Return the course that is plain up to step ``begin``, compiles beside training and is XLA's then.

    Where the training is over before, only the part of the excess is paid that fits.
    """
    beside, left = model.beside, steps - begin
    done = min(left, beside.steps)
    excess = beside.excess_ms * (done / beside.steps)
    return Course(begin - 1 + done, left - done, {"slowdown": excess}, decision)


def follow_oracle(model: Model, steps: int) -> Course:
    """Return the best of three courses, by times of which the ratio is known and not the noise."""
    expected = replace(model.times, xla=model.times.plain * model.ratio)
    courses = [stay_plain(steps)]
    if model.ratio < inf:
        courses.append(compile_in_front(model, steps))
        if model.beside.compile_s is not None and steps > FIRST_LOOK and not model.is_refused:
            courses.append(switch_after_compile(model, steps, FIRST_LOOK))
    return min(courses, key=lambda course: _spend(expected, course))


def _spend(times: Times, course: Course) -> float:
    under_xla = course.xla * times.xla if course.xla else 0.0
    return course.plain * times.plain + under_xla + sum(course.excesses.values())


def follow_trial(
    model: Model, steps: int, expect: Expectation, known: Decision | None, generator: Random
) -> Course:
    """Return the course of a trial, which finds ``known`` on record.

    At `FIRST_LOOK` it asks whether the training is long enough. Then a thread looks at the step, which slows
    training as a compile does. If the step is not refused, and XLA pays by what ``expect`` says or the record
    has, it compiles beside training. What it then races it may switch to; the winner on record needs no race.
    """
    step_s, times = model.times.plain / 1e3, model.times
    if step_s * (steps - FIRST_LOOK) < economics.SHORTEST:
        return stay_plain(steps)._replace(decision=known)
    beside = model.beside
    looking = {"overhead": beside.excess_ms / beside.ms * model.survey_ms}
    # The look, and the one batch that is fetched by hand for its shapes.
    begin = FIRST_LOOK + ceil(model.survey_ms / times.plain) + 1
    left = steps - begin
    stays = Course(steps - 1, 0, looking, known)
    if left < 1 or model.is_refused or (known is not None and known.winner != "xla"):
        return stays
    prior, compiles = expect(model.operations), []
    if known is not None and known.graph_s and known.xla_s:
        prior = Prior(1.0, min(1.0, known.xla_s / known.graph_s))
        compiles = [(model.nodes, beside.compile_s or 0.0)]
    compile_s = economics.compile_seconds(model.nodes, compiles)
    if not economics.pays(step_s, left, compile_s, prior, model.cores):
        return stays
    compiled = switch_after_compile(model, steps, begin, known)
    excesses = {**looking, **compiled.excesses}
    if beside.compile_s is None or not model.pairs:
        return Course(steps - 1, 0, excesses, Decision(None))
    if known is not None or not compiled.xla:
        return compiled._replace(excesses=excesses)
    pairs, winner = race(model, generator)
    raced = _WARM_UP // 2 + len(pairs)
    if 2 * raced >= compiled.xla:
        half = compiled.xla // 2
        return Course(steps - 1 - half, half, excesses)
    graph_s, xla_s = (median(side) for side in zip(*pairs, strict=True))
    after = compiled.xla - 2 * raced
    is_switched = winner == "challenger" and economics.is_worth_switching(graph_s, xla_s, after)
    decision = Decision("xla" if winner == "challenger" else "graph", graph_s, xla_s)
    plain, xla = (0, after) if is_switched else (after, 0)
    return Course(compiled.plain + raced + plain, raced + xla, excesses, decision)


def race(model: Model, generator: Random) -> tuple[list[Pair], str]:
    """Return pairs that were drawn from those measured, as many as tell, and who is the winner."""
    pairs: list[Pair] = []
    while True:
        pairs.append(generator.choice(model.pairs))
        winner = judge(pairs).winner
        if winner is not None:
            return pairs, winner


# Regrets

#: What a policy loses on a model in so many steps, as a share of the better fixed choice.
Regrets = Mapping[str, float]
POLICIES = (
    "always plain", "always XLA", "autoxla, first run", "autoxla, second run", "fitted, first run",
    "fitted, second run", "oracle",
)  # fmt: skip


def find_regrets(model: Model, steps: int, fitted: Expectation) -> Regrets:
    """Return the regret of each of `POLICIES`. ``fitted`` expects by a table made without the model."""
    found = {
        "always plain": regret(model, stay_plain(steps)),
        "always XLA": regret(model, compile_in_front(model, steps)),
        "oracle": regret(model, follow_oracle(model, steps)),
    }
    for name, expect in (("autoxla", economics.expect), ("fitted", fitted)):
        firsts, seconds = zip(*_draw_runs(model, steps, expect), strict=True)
        found[f"{name}, first run"] = fmean(regret(model, course) for course in firsts)
        found[f"{name}, second run"] = fmean(regret(model, course) for course in seconds)
    return {name: found[name] for name in POLICIES}


def _draw_runs(model: Model, steps: int, expect: Expectation) -> Iterator[tuple[Course, Course]]:
    for draw in range(DRAWS):
        generator = Random(f"{model.number} {steps} {draw}")  # noqa: S311 - a draw, not a secret
        first = follow_trial(model, steps, expect, None, generator)
        yield first, follow_trial(model, steps, expect, first.decision, generator)


def regret(model: Model, course: Course) -> float:
    """Return the share of the better fixed choice's time that ``course`` takes more."""
    return settle(model.times, course.plain, course.xla, course.excesses).share


# Over the models


class Score(NamedTuple):
    """Regrets of the models on which a policy runs: mean, 95th percentile, the worst, and how many."""

    mean: float
    high: float
    worst: float
    models: int


def replay(models: Sequence[Model], steps: int) -> dict[str, list[Regrets]]:
    """Return the regrets on each model, by family; a family is played by priors fitted without it."""
    tables, found = cross_validate(models), dict[str, list[Regrets]]()
    for model in models:
        regrets = find_regrets(model, steps, tables[model.family])
        found.setdefault(model.family, []).append(regrets)
    return found


def score(regrets: Iterable[float]) -> Score | None:
    """Return the score of ``regrets``, None where none is finite."""
    known = sorted(each for each in regrets if each < inf)
    if not known:
        return None
    return Score(fmean(known), known[ceil(0.95 * len(known)) - 1], known[-1], len(known))
