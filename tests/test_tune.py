"""Tuning: its pure parts, the race over invented machines, the record, and real programs end to end."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Mapping
from dataclasses import asdict, replace
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoxla import commands
from autoxla.activation import PROBE_HOOKS
from autoxla.commands.parser import parse, parse_budget
from autoxla.model import (
    Evidence,
    Hardware,
    KerasConfig,
    Place,
    Plugin,
    Reading,
    Settings,
    Situation,
    Tuned,
    Usage,
)
from autoxla.paths.children import Children, Run, raising_interrupts
from autoxla.paths.judging import GAIN, Judgement, Sample, chance, judge
from autoxla.paths.listing import Path as ExecutionPath
from autoxla.paths.listing import find_paths
from autoxla.paths.losses import explain, find_changed_lines, find_departure, find_difference, repeats
from autoxla.paths.measuring import Failure, Measurement, Request, measure
from autoxla.paths.race import ROUNDS, Race, find_break_even
from autoxla.paths.sources import may_train
from autoxla.planning import assemble
from autoxla.policies import decide
from autoxla.running import subject_from
from autoxla.store import Store
from autoxla.tuned import VARIABLES, keep_tuned, open_tuned, read_tuned, recall_tuned, tuned_key
from programs import Outcome, clean_environment, run, run_code

VERSIONS = {"tensorflow": (2, 21, 0), "keras": (3, 15, 1), "tf-keras": (2, 21, 0)}
CPU = Situation(versions=VERSIONS, hardware=Hardware("none"), usage=Usage(keras=3))
GRAPH, XLA = ExecutionPath("graph", "graph"), ExecutionPath("xla", "xla", {"AUTOXLA_STEP": "xla"})
CLUSTERS = ExecutionPath("autocluster-1", "autocluster-1", {"AUTOXLA_STEP": "autocluster-1"})
JAX = ExecutionPath("jax", None, {"KERAS_BACKEND": "jax"}, draws=True)
LOSSES = (2.5, 2.25, 2.125, 2.0)
#: The same with each weight moved by one unit in its last place.
MOVED = (2.5 + 2e-7, 2.25 + 3e-7, 2.125 + 5e-7, 2.0 + 4e-7)
#: The same under another seed.
DRAWN = (2.6, 2.3, 2.2, 2.05)


# Budget


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h", 3600), ("1h30m", 5400), ("45", 45), ("0.5m", 30), ("1.5h", 5400)],
)
def test_a_budget_is_read(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "10x", "-5m", "10 m", "1h-", "0", "0s", "inf", "nan", "1e3", "10M"]
)
def test_no_budget_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="is no time"):
        parse_budget(text)


@given(st.text(max_size=12))
def test_any_text_is_a_time_or_an_error(text: str) -> None:
    try:
        assert parse_budget(text) > 0
    except ArgumentTypeError as error:
        assert repr(text) in str(error)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 99))
def test_parts_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert parse_budget(f"{hours}h{minutes}m{seconds}s") == 3600 * hours + 60 * minutes + seconds


# Judging


def rounds(*ratios: float, least: float | None = None) -> list[tuple[Sample, Sample]]:
    """Return rounds with these ratios; ``least`` is the ratio of the fastest steps."""
    return [(Sample(1.0, 0.9), Sample(r, 0.9 * (r if least is None else least))) for r in ratios]


def judged(found: list[tuple[Sample, Sample]]) -> Judgement:
    judgement = judge(found)
    assert judgement is not None
    return judgement


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ((0.4,), None),
        ((0.4, 0.45), "faster"),
        ((0.4, 0.6), None),
        ((0.7, 0.75, 0.8), "faster"),
        ((0.7, 0.75, 0.85), None),
        ((0.7, 0.8, 0.85, 0.9), None),
        ((0.7, 0.8, 0.85, 0.9, 0.95), "faster"),
        ((0.7, 0.8, 0.85, 0.9, 1.05), None),
        ((0.7, 0.8, 0.75, 0.7, 1.05, 0.8, 0.7, 0.8), "faster"),
        ((0.95, 0.96, 0.92), "no gain"),
        ((1.6,), None),
        ((2.5,), None),
        ((3.5,), "slower"),
        ((1.3, 1.4), "slower"),
        ((1.3, 1.1), None),
        ((1.3, 1.1, 1.0), "no gain"),
        ((1.7, 0.94, 0.6), None),
        ((1.7, 0.94, 0.6, 1.1, 0.95, 1.0), None),
    ],
)
def test_a_verdict(ratios: tuple[float, ...], verdict: str | None) -> None:
    assert judged(rounds(*ratios)).verdict == verdict


def test_the_fastest_steps_must_agree() -> None:
    assert judged(rounds(0.7, 0.7, 0.7, least=1.1)).verdict is None
    assert judged(rounds(1.5, 1.5, least=0.9)).verdict is None
    assert judged(rounds(0.95, 0.95, 0.95, least=0.7)).verdict is None
    assert judged(rounds(0.95, 0.95, 0.95, 0.95, 0.95, least=0.7)).verdict == "no gain"


def test_no_round_says_nothing() -> None:
    assert judge([]) is None


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=12))
def test_a_verdict_has_its_evidence(ratios: list[float]) -> None:
    judgement = judged(rounds(*ratios))
    assert judgement.low <= judgement.ratio <= judgement.high
    if judgement.verdict == "faster":
        assert judgement.ratio <= 1 - GAIN
        assert judgement.rounds >= 2
    if judgement.verdict == "slower":
        assert judgement.low > 1


def test_chance_is_that_of_a_coin() -> None:
    assert chance(5, 5) == 1 / 32
    assert chance(0, 5) == 1.0


# Checking losses


def test_rounding_is_no_difference() -> None:
    losses = [loss * (1 + 2e-6) for loss in LOSSES]
    assert find_difference(LOSSES, MOVED, losses, "float32") is None


def test_chaotic_growth_is_no_difference() -> None:
    moved = (2.5 + 2e-7, 2.25 + 1e-5, 2.125 + 2e-4, 2.0 + 3e-3)
    losses = (2.5, 2.25, 2.1255, 2.02)
    assert find_difference(LOSSES, moved, losses, "float32") is None
    assert find_difference(LOSSES, MOVED, losses, "float32") is not None


def test_another_loss_is_a_difference_with_its_step() -> None:
    difference = find_difference(LOSSES, MOVED, (2.5, 2.25, 2.13, 2.0), "float32")
    assert difference is not None
    assert "2.13 at step 3" in difference


def test_a_loss_that_is_no_number_is_a_difference() -> None:
    losses = (2.5, 2.25, float("nan"), 2.0)
    assert "nan at step 3" in str(find_difference(LOSSES, MOVED, losses, "float32"))
    assert "nan at step 4" in str(find_departure([LOSSES, DRAWN], [(2.5, 2.2, 2.1, float("nan"))], ()))


def test_coarser_arithmetic_has_coarser_rounding() -> None:
    losses = [loss * 1.001 for loss in LOSSES]
    assert find_difference(LOSSES, MOVED, losses, "float32") is not None
    assert find_difference(LOSSES, MOVED, losses, "float16") is None


def curves(seed: int, many: int, *, shift: float = 0.0) -> list[list[float]]:
    """Return losses that fall from 2.3, each curve with an offset of its own, and so much further on."""
    generator = random.Random(seed)  # noqa: S311
    offsets = [generator.gauss(0, 0.02) for _ in range(many)]
    return [[2.3 / step**0.5 + offset + shift for step in range(1, 65)] for offset in offsets]


def test_a_program_that_draws_is_held_to_its_spread() -> None:
    assert not repeats(LOSSES, DRAWN, "float32")
    assert find_departure(curves(1, 4), curves(2, 5), ()) is None
    difference = find_departure(curves(1, 4), curves(2, 5, shift=0.2), ())
    assert "at step 1, the default's" in str(difference)
    assert "over 4 seeds" in str(difference)


def test_a_departure_that_only_later_steps_show_is_found() -> None:
    late = [[*curve[:31], *(loss + 0.3 for loss in curve[31:])] for curve in curves(2, 5)]
    assert "at step 32" in str(find_departure(curves(1, 4), late, ()))


def test_what_rounding_explains_is_no_departure() -> None:
    same = [LOSSES] * 4
    other = [[loss + 1e-4 for loss in LOSSES]] * 2
    assert find_departure(same, other, ()) is not None
    assert find_departure(same, other, [2e-4] * 4) is None


@given(st.integers(0, 10**6), st.integers(2, 8), st.integers(1, 8))
def test_equal_programs_rarely_depart(seed: int, many: int, others: int) -> None:
    """Each single step may do so once in a thousand; the curves here are one step in truth."""
    drawn = [find_departure(curves(seed + n, many), curves(seed - n - 1, others), ()) for n in range(50)]
    assert sum(found is not None for found in drawn) <= 3


def test_nothing_is_said_with_one_seed() -> None:
    assert find_departure([LOSSES], [(9.0, 9.0)], ()) is None


def test_what_rounding_explains_grows_with_what_moved_weights_do() -> None:
    allowed = explain(LOSSES, MOVED, "float32")
    assert allowed == sorted(allowed)
    assert 10 * 5e-7 < allowed[-1] < 1e-4


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=20), st.data())
def test_what_moved_weights_do_is_never_a_difference(losses: list[float], data: st.DataObject) -> None:
    shares = st.floats(-1e-6, 1e-6)
    moved = [loss * (1 + data.draw(shares)) for loss in losses]
    other = [loss * (1 + data.draw(shares)) for loss in losses]
    assert find_difference(losses, moved, other, "float32") is None
    assert find_difference(losses, moved, moved, "float32") is None


CURVE = st.lists(st.floats() | st.none(), max_size=6)


@given(CURVE, CURVE, CURVE)
def test_no_losses_are_too_odd(first: list[Any], moved: list[Any], losses: list[Any]) -> None:
    assert find_difference(first, moved, losses, "float32") != ""
    assert find_departure([first, moved], [losses], explain(first, first, "float32")) != ""


def test_lines_that_all_runs_of_one_kind_print_are_compared() -> None:
    before, after = [["a", "1", "t=3"], ["a", "1", "t=4", "x"]], [["a", "2", "t=5"]]
    assert find_changed_lines(before, after) == [("1", "2")]
    assert find_changed_lines(before, []) == []
    assert find_changed_lines(before, [["a"]]) == []


# The race, on invented machines


class Machine:
    """Runs paths that take invented times; `clock` goes on by `wall` seconds with each run."""

    def __init__(
        self, times: Mapping[str, Any], *, wall: float = 1.0, losses: Mapping[str, Any] = {}
    ) -> None:
        self.times = times
        self.wall = wall
        self.losses = losses
        self.now = 0.0
        self.order: list[str] = []
        self.requests: list[Request] = []

    def clock(self) -> float:
        return self.now

    def run(self, path: ExecutionPath, request: Request, limit: float) -> Measurement | Failure:
        self.now += self.wall
        self.order.append(path.name)
        self.requests.append(request)
        time = self.times[path.name]
        time = time(self.order.count(path.name) - 1) if callable(time) else time
        if isinstance(time, str):
            return Failure(time)
        # Each seed adds an offset of its own.
        offset = curves(request.redraw, 1)[0][0] - 2.3 if request.redraw else 0.0
        usual = [loss + offset for loss in (MOVED if request.perturb else LOSSES)]
        losses = self.losses.get(path.name, usual)
        sample = Sample(time, time * 0.9)
        return Measurement(sample, 1.0, 10**9, losses, path.step == "xla", "float32", 20, self.wall)

    def race(self, *paths: ExecutionPath, budget: float = 1e6) -> Race:
        race = Race(paths, self.run, steps=20, budget=budget, clock=self.clock, tell=lambda line: None)
        race.run()
        return race


def winner(race: Race) -> str | None:
    entry = race.winner()
    return None if entry is None else entry.path.name


def status(race: Race) -> dict[str, str]:
    return {entry.path.name: entry.status for entry in race.entries}


def test_a_path_that_is_much_faster_wins_soon() -> None:
    machine = Machine({"default": 0.010, "xla": 0.004})
    race = machine.race(XLA)
    assert (winner(race), race.rounds) == ("xla", 2)


def test_a_path_that_is_much_slower_leaves_after_one_round() -> None:
    machine = Machine({"default": 0.010, "xla": 0.050})
    race = machine.race(XLA)
    assert (winner(race), machine.order) == ("default", ["default", "xla"])


def test_what_the_default_does_anyway_is_not_run_again() -> None:
    machine = Machine({"default": 0.010, "xla": 0.004})
    race = machine.race(GRAPH, XLA)
    assert status(race)["graph"] == "same"
    assert "graph" not in machine.order


def test_noise_without_a_gain_has_no_winner_but_the_default() -> None:
    machine = Machine({"default": 0.010, "xla": lambda n: 0.010 + 0.001 * (-1) ** n})
    assert winner(machine.race(XLA)) == "default"


def test_a_gain_that_does_not_last_is_not_decided() -> None:
    machine = Machine({"default": 0.010, "xla": lambda n: (0.006, 0.006, 0.013)[n % 3]})
    race = machine.race(XLA)
    assert (winner(race), race.rounds) == (None, ROUNDS)
    assert "not decided" in race.end


def test_steps_grow_and_the_order_turns() -> None:
    machine = Machine({"default": 0.010, "xla": 0.0085, "autocluster-1": 0.0086})
    machine.race(XLA, CLUSTERS)
    assert machine.order[:6] == ["default", "xla", "autocluster-1", "autocluster-1", "xla", "default"]
    assert [r.steps for r in machine.requests[::3]] == [20, 40, 80, 160, 160]


def test_the_second_run_of_the_default_has_moved_weights() -> None:
    machine = Machine({"default": 0.010, "xla": 0.0085})
    machine.race(XLA)
    runs = zip(machine.order, machine.requests, strict=True)
    assert [r.perturb for name, r in runs if name == "default"][:3] == [False, True, False]
    assert not any(
        r.perturb for name, r in zip(machine.order, machine.requests, strict=True) if name == "xla"
    )


def test_a_path_with_other_losses_is_rejected() -> None:
    machine = Machine({"default": 0.010, "xla": 0.001}, losses={"xla": (2.5, 2.3, 2.2, 2.1)})
    race = machine.race(XLA)
    assert status(race)["xla"] == "rejected"
    assert winner(race) == "default"


def test_a_path_with_other_random_numbers_wins_with_enough_seeds_only() -> None:
    machine = Machine({"default": 0.010, "jax": 0.003})
    race = machine.race(JAX)
    assert (winner(race), race.rounds) == ("jax", 2)
    runs = list(zip(machine.order, machine.requests, strict=True))
    assert [request.redraw for name, request in runs if name == "jax"] == [0, 1, 8]
    # Rounds find that it leads; then the default runs under three other seeds, and no round after that.
    assert [request.redraw for name, request in runs if name == "default"] == [0, 0, 8, 9, 10]
    assert {request.steps for _, request in runs if request.redraw >= 8} == {64}
    assert winner(Machine({"default": 0.010, "jax": 0.003}).race(JAX, budget=7.0)) is None


@pytest.mark.parametrize(
    ("times", "paths"),
    [
        ({"xla": 0.0085}, (XLA,)),
        ({"xla": 0.003, "jax": 0.02}, (XLA, JAX)),
        ({"xla": 0.003, "jax": 0.0045}, (XLA, JAX)),
    ],
)
def test_seeds_are_drawn_anew_only_where_a_backend_leads(
    times: Mapping[str, float], paths: tuple[ExecutionPath, ...]
) -> None:
    machine = Machine({"default": 0.010, **times})
    assert winner(machine.race(*paths)) == "xla"
    runs = zip(machine.order, machine.requests, strict=True)
    assert {request.redraw for name, request in runs if name == "default"} == {0}


def test_a_path_that_leaves_the_spread_is_rejected_and_takes_no_other_with_it() -> None:
    strange = (2.9, 2.65, 2.5, 2.4)
    machine = Machine({"default": 0.010, "xla": 0.006, "jax": 0.001}, losses={"jax": strange})
    race = machine.race(XLA, JAX)
    assert status(race) == {"default": "running", "xla": "running", "jax": "rejected"}
    assert winner(race) == "xla"
    assert "the default's" in next(entry.reason for entry in race.others if entry.path is JAX)


class Server(Machine):
    """Runs a program without training: ``phase`` is what it spends its time on."""

    phase = "predict"
    printed: Mapping[str, tuple[str, ...]] = {}

    def run(self, path: ExecutionPath, request: Request, limit: float) -> Measurement | Failure:
        found = super().run(path, request, limit)
        if isinstance(found, Failure):
            return found
        return replace(found, phase=self.phase, printed=self.printed.get(path.name, ("ready", "0.5")))


def test_a_program_that_predicts_is_raced_by_its_predictions() -> None:
    machine = Server({"default": 0.010, "xla": 0.003})
    race = machine.race(XLA, ExecutionPath("steps-16"))
    assert (winner(race), race.phase, race.compared) == ("xla", "predict", "the outputs")
    # What decides is known after the first run; the others are asked for that.
    assert [request.phase for request in machine.requests] == ["", *["predict"] * (len(machine.order) - 1)]
    assert status(race)["steps-16"] == "same"


def test_other_outputs_are_rejected() -> None:
    machine = Server({"default": 0.010, "xla": 0.001}, losses={"xla": (2.5, 2.3, 2.2, 2.1)})
    race = machine.race(XLA)
    assert (winner(race), status(race)["xla"]) == ("default", "rejected")
    assert race.others[0].reason.startswith("its output is 2.3 at step 2, the default's 2.25")


def test_only_paths_of_the_environment_reach_a_loop_of_the_programs_own() -> None:
    machine = Server({"default": 0.010, "autocluster-1": 0.003})
    machine.phase = "train_step (train.py:9)"
    race = machine.race(GRAPH, XLA, CLUSTERS)
    assert (winner(race), race.compared) == ("autocluster-1", "the first number that it returns")
    assert (status(race)["graph"], status(race)["xla"]) == ("same", "same")
    assert {"graph", "xla"}.isdisjoint(machine.order)


@pytest.mark.parametrize(
    ("printed", "found", "compared"),
    [
        ({}, "autocluster-1", "the lines that it prints"),
        ({"autocluster-1": ("ready", "0.7")}, "default", "the lines that it prints"),
        ({"default": (), "autocluster-1": ()}, None, "nothing"),
    ],
)
def test_a_loop_that_returns_no_number_is_held_to_what_the_program_prints(
    printed: Mapping[str, tuple[str, ...]], found: str | None, compared: str
) -> None:
    machine = Server(
        {"default": 0.010, "autocluster-1": 0.003},
        losses=dict.fromkeys(("default", "autocluster-1"), (None, None)),
    )
    machine.phase, machine.printed = "train_step (train.py:9)", printed
    race = machine.race(CLUSTERS)
    assert (winner(race), race.compared) == (found, compared)


def test_what_may_train_is_waited_for() -> None:
    waited = {}
    for trains in (False, True):
        machine = Machine({"default": 0.010})
        race = Race(
            [],
            machine.run,
            steps=20,
            budget=600.0,
            clock=machine.clock,
            tell=lambda line: None,
            may_train=trains,
        )
        race.run()
        waited[trains] = machine.requests[0].search
    assert waited == {False: 18.0, True: 150.0}


def test_a_path_that_fails_is_out_and_the_rest_goes_on() -> None:
    machine = Machine({"default": 0.010, "xla": 0.004, "autocluster-1": "ended with status 1"})
    race = machine.race(CLUSTERS, XLA)
    assert (winner(race), status(race)["autocluster-1"]) == ("xla", "failed")


def test_a_default_that_fails_ends_the_race() -> None:
    machine = Machine({"default": "ended with status 1", "xla": 0.004})
    race = machine.race(XLA)
    assert (winner(race), machine.order) == (None, ["default"])


def test_a_path_that_the_model_does_not_follow_has_failed() -> None:
    machine = Machine({"default": 0.010, "graph": 0.010, "xla": 0.004})
    lazy = replace(XLA, name="graph")  # asks for XLA, and the machine says no
    machine.run = lambda path, request, limit: Measurement(  # type: ignore[method-assign]
        Sample(0.01, 0.009), 1.0, 1, LOSSES, False, "float32", 20, 1.0
    )
    assert status(machine.race(lazy))["graph"] == "failed"


def test_the_slower_half_leaves() -> None:
    names = ("a", "b", "c", "d")
    times = {name: 0.0086 + 0.0001 * n for n, name in enumerate(names)}
    machine = Machine({"default": 0.010, **times})
    race = machine.race(*map(ExecutionPath, names))
    assert [machine.order.count(name) for name in names] == [5, 5, 2, 2]
    assert winner(race) == "a"


@given(st.floats(1.0, 40.0), st.floats(0.5, 5.0))
def test_the_budget_is_kept_but_for_the_run_under_way(budget: float, wall: float) -> None:
    machine = Machine({"default": 0.010, "xla": 0.0085}, wall=wall)
    race = machine.race(XLA, budget=budget)
    assert race.elapsed <= max(budget, wall)
    assert race.end


@given(st.lists(st.floats(1e-4, 1.0), min_size=1, max_size=6))
def test_the_winner_is_no_slower_than_the_default(times: list[float]) -> None:
    names = [f"p{n}" for n in range(len(times))]
    machine = Machine({"default": 0.010, **dict(zip(names, times, strict=True))})
    race = machine.race(*map(ExecutionPath, names))
    found = race.winner()
    assert found is None or found is race.default or found.step_s <= 0.9 * race.default.step_s


def test_a_run_that_the_budget_cuts_short_is_no_failure_of_its_path() -> None:
    machine = Machine({"default": 0.010, "xla": 0.004})
    race = Race([XLA], machine.run, steps=20, budget=10.0, clock=machine.clock, tell=lambda line: None)

    def run(path: ExecutionPath, request: Request, limit: float) -> Measurement | Failure:
        if path is not XLA:
            return machine.run(path, request, limit)
        machine.now += limit
        return Failure(f"no result within {limit:.0f} s")

    race._measure = run
    race.run()
    assert (status(race)["xla"], race.end) == ("running", "the budget is used up")


def test_break_even_is_the_compile_over_what_a_step_saves() -> None:
    race = Machine({"default": 0.010, "xla": 0.004}).race(XLA)
    default, xla = race.default, race.others[0]
    xla.runs[:] = [replace(run, compile_s=4.0) for run in xla.runs]
    assert find_break_even(default, xla) == 500
    assert find_break_even(xla, default) is None


# The paths


def names(situation: Situation, environ: Mapping[str, str] = {}, cores: int = 2) -> list[str]:
    return [path.name for path in find_paths(situation, environ, "x86_64", cores).possible]


def test_the_paths_on_a_cpu() -> None:
    assert names(CPU) == ["graph", "xla", "autocluster-1", "autocluster-2", "onednn-off"]


def test_threads_only_where_there_are_some() -> None:
    assert "threads-4" in names(CPU, cores=8)


def test_tf_keras_only_for_programs_through_tf_keras() -> None:
    through = replace(CPU, usage=Usage(tf_keras_api=True))
    assert "tf-keras" in names(through)
    assert "tf-keras" not in names(replace(through, usage=Usage(keras=3, tf_keras_api=True)))
    assert "tf-keras" not in names(replace(through, versions={"tensorflow": (2, 21, 0), "keras": (3, 15)}))


def read(folder: Path, source: str, *, installed: tuple[str, ...] = ("jax", "torch")) -> Situation:
    """Return the situation of a program with this source, its backends as ``installed``."""
    script = folder / "train.py"
    script.write_text(source, encoding="utf-8")
    found = assemble(subject_from([str(script)]), {"AUTOXLA_CACHE": str(folder)}).situation
    backends = frozenset({"tensorflow", *installed})
    return replace(CPU, reading=found.reading, usage=found.usage, backends=backends)


KERAS_ONLY = """
import numpy as np
import keras
from keras import layers, ops

class Gate(layers.Layer):
    def call(self, x):
        return x * ops.sigmoid(x)

model = keras.Sequential([layers.Dense(4), Gate()])
model.compile("adam", "mse")
model.fit(np.ones((8, 4)), np.ones((8, 4)))
"""


@pytest.mark.parametrize(
    "source",
    [
        KERAS_ONLY,
        KERAS_ONLY.replace("import keras\nfrom keras", "from tensorflow import keras\nfrom tensorflow.keras"),
        KERAS_ONLY + "import tensorflow as tf\nmodel.fit(tf.data.Dataset.from_tensors((1, 2)).batch(4))\n",
        KERAS_ONLY + "keras.backend.clear_session()\n",
    ],
)
def test_backends_where_the_program_is_keras_alone(source: str, tmp_path: Path) -> None:
    assert {"jax", "torch"} <= set(names(read(tmp_path, source)))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (KERAS_ONLY.replace("ops.sigmoid", "tf.sigmoid") + "import tensorflow as tf\n", "tensorflow.sigmoid"),
        (KERAS_ONLY + "import torch\n", "what torch does"),
        (KERAS_ONLY + "import somebodys_layers\n", "what somebodys_layers does"),
        (KERAS_ONLY + "print(model(1).numpy())\n", "numpy is a method of TensorFlow's tensors"),
        (
            KERAS_ONLY.replace("def call(self, x)", "def train_step(self, x)"),
            "train_step is written for one",
        ),
        (KERAS_ONLY + "model.export('served')\n", "export writes"),
        (KERAS_ONLY + "keras.layers.TFSMLayer('served')\n", "keras.layers.TFSMLayer"),
        (KERAS_ONLY + "import tensorflow as tf\ntf.random.set_seed(1)\n", "tensorflow.random.set_seed"),
        (KERAS_ONLY + "exec(input())\n", "runs code that is not read"),
    ],
)
def test_what_ties_a_program_to_tensorflow_is_named(source: str, said: str, tmp_path: Path) -> None:
    reason = find_paths(read(tmp_path, source), {}, "x86_64", 2).impossible["jax"]
    assert said in reason
    assert "train.py:" in reason


def test_a_backend_that_is_not_installed_is_offered(tmp_path: Path) -> None:
    paths = find_paths(read(tmp_path, KERAS_ONLY, installed=("jax",)), {}, "x86_64", 2)
    assert paths.impossible["torch"] == "not installed, and it may pay: pip install torch"
    assert "jax" in {path.name for path in paths.possible}


def test_a_backend_that_was_chosen_stands(tmp_path: Path) -> None:
    situation = read(tmp_path, KERAS_ONLY)
    assert "in the environment stands" in str(
        find_paths(situation, {"KERAS_BACKEND": "tensorflow"}, "x86_64", 2).impossible["jax"]
    )
    source = "import os\nos.environ['KERAS_BACKEND'] = 'tensorflow'\n" + KERAS_ONLY
    assert "the program sets" in find_paths(read(tmp_path, source), {}, "x86_64", 2).impossible["jax"]


def test_programs_of_keras_2_have_no_other_backend() -> None:
    assert not {"jax", "torch"} & set(
        find_paths(replace(CPU, usage=Usage(keras=2)), {}, "x86_64", 2).impossible
    )


def test_several_steps_in_one_call_where_nothing_looks_at_batches(tmp_path: Path) -> None:
    assert "steps-16" in names(read(tmp_path, KERAS_ONLY))
    assert "steps-16" in names(read(tmp_path, KERAS_ONLY + "import tensorflow as tf\nprint(tf.abs(1))\n"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "class Mine(keras.callbacks.Callback):\n    def on_train_batch_end(self, batch, logs): ...",
            "looks at",
        ),
        ("keras.callbacks.LambdaCallback(on_train_batch_end=print)", "looks at batches"),
        ("keras.callbacks.ModelCheckpoint('x.keras', save_freq=100)", "save_freq looks at batches"),
        ("model.train_on_batch(1, 2)", "train_on_batch runs one batch"),
        ("model.fit(1, 2, steps_per_epoch=7)", "steps_per_epoch counts batches"),
        ("model.compile('adam', 'mse', steps_per_execution=4)", "is the program's own choice"),
        ("import somebodys_callbacks", "what somebodys_callbacks does"),
    ],
)
def test_what_looks_at_batches_is_named(line: str, said: str, tmp_path: Path) -> None:
    reason = find_paths(read(tmp_path, f"{KERAS_ONLY}{line}\n"), {}, "x86_64", 2).impossible["steps-16"]
    assert said in reason
    assert "train.py:" in reason


@pytest.mark.parametrize(
    ("source", "trains"),
    [
        (KERAS_ONLY, True),
        ("import keras\nkeras.saving.load_model('m.keras').predict([[1.0]])\n", False),
        ("from sklearn.preprocessing import StandardScaler\nStandardScaler().fit([[1.0]])\n", False),
    ],
)
def test_whether_a_program_may_train_is_read_from_its_source(
    source: str, trains: bool, tmp_path: Path
) -> None:
    assert may_train(read(tmp_path, source)) is trains


def test_an_explicit_jit_compile_stands_and_is_said() -> None:
    paths = find_paths(replace(CPU, usage=Usage(keras=3, jit_compile=True)), {}, "x86_64", 2)
    assert [path.name for path in paths.possible] == ["onednn-off"]
    assert "jit_compile=True" in paths.impossible["xla"]


def test_a_variable_of_the_user_stands() -> None:
    paths = find_paths(CPU, {"TF_ENABLE_ONEDNN_OPTS": "1"}, "x86_64", 2)
    assert "in the environment stands" in paths.impossible["onednn-off"]


def test_a_variable_of_the_program_stands() -> None:
    line = Evidence("variable", "TF_ENABLE_ONEDNN_OPTS", "1", "certain", Place("train.py", 2), early=True)
    paths = find_paths(replace(CPU, reading=Reading((line,), known=True)), {}, "x86_64", 2)
    assert "the program sets" in paths.impossible["onednn-off"]


def test_flags_of_the_user_exclude_other_clusters() -> None:
    own = replace(CPU, environment={"TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit"})
    assert "AX303" in find_paths(own, {}, "x86_64", 2).impossible["autocluster-1"]


def test_what_the_rules_call_an_error_is_not_possible() -> None:
    itex = Situation(
        versions=VERSIONS,
        plugins=(Plugin("itex", "libitex_gpu.so"),),
        hardware=Hardware("present", frozenset({"xpu"})),
        usage=Usage(keras=3),
    )
    paths = find_paths(itex, {}, "x86_64", 2)
    assert paths.impossible["graph"] == "not possible: AX205"
    assert {"itex-no-xla", "itex-stream", "xla"} <= {path.name for path in paths.possible}


def test_a_child_is_in_mode_auto_and_writes_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"AUTOXLA": "off", "AUTOXLA_REPORT": "r.json", "AUTOXLA_OTHER": "1"}.items():
        monkeypatch.setenv(name, value)
    names = ("AUTOXLA", "AUTOXLA_STEP", "AUTOXLA_REPORT", "AUTOXLA_OTHER")
    found = run_child(tmp_path, f"import os\nraise SystemExit(str([os.environ.get(n) for n in {names}]))\n")
    assert isinstance(found, Failure)
    assert found.tail[-1] == "['auto', 'xla', None, '1']"


def test_every_variable_of_a_path_may_be_recorded() -> None:
    itex = replace(CPU, plugins=(Plugin("itex", "x.so"),), usage=Usage(tf_keras_api=True))
    for path in find_paths(itex, {}, "x86_64", 16).possible:
        assert all(VARIABLES[name].fullmatch(value) for name, value in path.settings.items())


# The record and its rule


def program_in(folder: Path) -> Situation:
    script = folder / "train.py"
    script.write_text("import keras\n", encoding="utf-8")
    return replace(CPU, reading=Reading(files=(str(script),), complete=True, known=True))


FACTS = {"winner": "xla", "step": "xla", "settings": {}, "speedup": 1.5, "date": "2026-11-21"}


def test_a_record_comes_back_for_the_same_program_and_arguments(tmp_path: Path) -> None:
    situation, store = program_in(tmp_path), open_tuned({"AUTOXLA_CACHE": str(tmp_path / "cache")})
    keep_tuned(situation, ["--batch", "8"], store, FACTS)
    found = recall_tuned(situation, ["--batch", "8"], store).tuned
    assert found == Tuned("xla", "xla", {}, 1.5, "2026-11-21")
    assert recall_tuned(situation, [], store).tuned is None


def test_a_changed_program_or_release_has_no_record(tmp_path: Path) -> None:
    situation, store = program_in(tmp_path), open_tuned({"AUTOXLA_CACHE": str(tmp_path / "cache")})
    keep_tuned(situation, [], store, FACTS)
    newer = replace(situation, versions={**VERSIONS, "tensorflow": (2, 22, 0)})
    assert recall_tuned(newer, [], store).tuned is None
    (tmp_path / "train.py").write_text("import keras  # changed\n", encoding="utf-8")
    assert recall_tuned(situation, [], store).tuned is None


def test_a_program_that_is_not_there_has_no_key() -> None:
    assert tuned_key(replace(CPU, reading=Reading(files=("/nowhere/train.py",))), []) is None
    assert tuned_key(replace(CPU, reading=Reading()), []) is None


def test_nothing_is_read_where_nothing_was_tuned(tmp_path: Path) -> None:
    store = open_tuned({"AUTOXLA_CACHE": str(tmp_path / "cache")})
    assert recall_tuned(CPU, [], store) is CPU
    assert not store.folder.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"winner": 1},
        {"winner": "\x1b[2J"},
        {"step": "fast"},
        {"step": ["xla"]},
        {"settings": None},
        {"settings": {"LD_PRELOAD": "/x.so"}},
        {"settings": {"OMP_NUM_THREADS": "4; rm"}},
        {"settings": {"OMP_NUM_THREADS": 4}},
        {"speedup": float("inf")},
        {"speedup": 0.5},
        {"speedup": "2"},
        {"date": "now"},
    ],
)
def test_a_record_that_tuning_does_not_write_is_none(wrong: dict[str, object]) -> None:
    store = Store(Path("programs"))
    assert read_tuned(store, "0" * 32, {**FACTS, **wrong}) is None
    assert [reason for _, reason in store.ignored] == ["it is not what tuning writes"]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(sorted(FACTS)), JSON))
def test_any_record_is_read_or_left(record: dict[str, object]) -> None:
    found = read_tuned(Store(Path("programs")), "0" * 32, record)
    assert found is None or found.settings.keys() <= VARIABLES.keys()


def settings_of(situation: Situation) -> dict[str, str | None]:
    return {setting.variable: setting.value for setting in decide(situation).settings}


def tuned(step: Any = None, **settings: str) -> Situation:
    return replace(CPU, tuned=Tuned("some-path", step, settings, 1.5, "2026-11-21"))


def test_a_tuned_step_is_taken() -> None:
    plan = decide(tuned("xla"))
    assert (plan.jit_compile, plan.jit_because) == (True, ("AX705",))
    found = next(finding for finding in plan.findings if finding.code == "AX705")
    assert "some-path 1.5 times faster on 2026-11-21" in found.message
    assert (found.level, found.applied) == ("info", True)


def test_a_default_that_won_is_called_so() -> None:
    situation = replace(CPU, tuned=Tuned("graph", "graph", {}, 1.0, "2026-11-21"))
    plan = decide(situation)
    assert plan.jit_compile is False
    assert any("found graph the fastest" in finding.message for finding in plan.findings)


def test_tuned_clusters_are_set_as_the_setting_does() -> None:
    wanted = replace(CPU, settings=Settings(step="autocluster-2"))
    assert settings_of(tuned("autocluster-2")) == settings_of(wanted)


def test_tuned_variables_are_set() -> None:
    situation = tuned(None, TF_NUM_INTRAOP_THREADS="4", OMP_NUM_THREADS="4")
    assert settings_of(situation) == {"TF_NUM_INTRAOP_THREADS": "4", "OMP_NUM_THREADS": "4"}


@pytest.mark.parametrize(
    "chosen",
    [
        {"usage": Usage(keras=3, jit_compile=False)},
        {"settings": Settings(step="graph")},
        {"environment": {"TF_XLA_FLAGS": "--tf_xla_auto_jit=1 --tf_xla_cpu_global_jit"}},
        {"environment": {"TF_XLA_FLAGS": "flags.txt"}},
    ],
)
def test_what_the_user_chose_of_the_step_stands(chosen: dict[str, Any]) -> None:
    with_record = replace(tuned("xla"), **chosen)
    without = replace(CPU, **chosen)
    assert decide(with_record) == decide(without)


def test_a_variable_that_the_user_set_stands() -> None:
    situation = replace(tuned(None, OMP_NUM_THREADS="4"), environment={"OMP_NUM_THREADS": "2"})
    assert settings_of(situation) == {}


def test_tuned_steps_per_execution_are_planned_and_said() -> None:
    kept = tuned(None, AUTOXLA_STEPS_PER_EXECUTION="16")
    plan = decide(kept)
    assert (plan.steps_per_execution, plan.settings) == (16, ())
    assert any("AUTOXLA_STEPS_PER_EXECUTION=16" in finding.message for finding in plan.findings)
    own = replace(kept, settings=Settings(steps_per_execution="2"))
    assert decide(own).steps_per_execution == 2
    assert decide(CPU).steps_per_execution is None


def test_a_tuned_backend_is_set_and_said() -> None:
    plan = decide(tuned(None, KERAS_BACKEND="jax"))
    assert [(setting.variable, setting.value) for setting in plan.settings] == [("KERAS_BACKEND", "jax")]
    assert plan.path.backend == "jax"
    assert any("some-path (KERAS_BACKEND=jax) 1.5 times" in finding.message for finding in plan.findings)


@pytest.mark.parametrize(
    "chosen",
    [
        {"environment": {"KERAS_BACKEND": "torch"}},
        {"keras_config": KerasConfig("keras.json", "torch")},
        {"imported": frozenset({"keras"})},
    ],
)
def test_a_backend_that_the_user_chose_stands(chosen: dict[str, Any]) -> None:
    situation = replace(tuned(None, KERAS_BACKEND="jax"), backends=frozenset({"torch", "jax"}), **chosen)
    assert settings_of(situation) == {}


def test_the_file_that_keras_itself_writes_is_no_choice() -> None:
    config = KerasConfig("keras.json", "tensorflow")
    assert settings_of(replace(tuned(None, KERAS_BACKEND="jax"), keras_config=config)) != {}


def test_a_generation_that_the_user_chose_stands() -> None:
    situation = replace(tuned(None, TF_USE_LEGACY_KERAS="1"), settings=Settings(keras="3"))
    assert settings_of(situation) == {}


# The command


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "PROGRAM"),
        (["missing.py"], "no such file"),
        (["--budget", "soon", "x.py"], "is no time"),
        (["--steps", "1", "x.py"], "from 3"),
        (["--paths", "fast", __file__], "here the paths are"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(words: list[str], said: str, tmp_path: Path) -> None:
    done = run(["-m", "autoxla", "tune", *words], tmp_path)
    assert done.status == 2
    assert done.err.startswith("autoxla: AX902 error arguments: ")
    assert said in done.err
    assert (done.err.count("\n"), done.out) == (1, "")


def test_the_arguments_behind_the_script_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = ["--steps", "5", "train.py", "--json", "--steps", "9"]
    (tmp_path / "train.py").touch()
    monkeypatch.chdir(tmp_path)
    options = parse("tune", typed)
    assert (options.steps, options.json, options.words) == (5, False, typed[2:])


def test_help_warns_of_side_effects(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        commands.run("tune", ["--help"])
    assert ended.value.code == 0
    assert "Each run is real up to there" in capsys.readouterr().out


def test_the_probe_is_not_loaded_unless_asked_for(tmp_path: Path) -> None:
    """Its hooks stand in a tuple of their own, which only the variable adds."""
    code = "import sys, autoxla.activation; print('autoxla.paths.probe' in sys.modules)"
    assert run(["-c", code], tmp_path).out == "False\n"
    assert all(ours == "autoxla.paths.probe" for _, ours, _ in PROBE_HOOKS)


def test_a_program_without_training_is_a_row_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "quiet.py").write_text("print('nothing here')\n", encoding="utf-8")
    done = run(["-m", "autoxla", "tune", "quiet.py"], tmp_path, clean_environment(TMPDIR=str(tmp_path)))
    assert done.status == 1
    assert "without a training step" in done.out
    assert "nothing here" in done.err
    assert "nothing here" not in done.out


def test_a_run_that_does_not_end_is_ended(tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text("import time\ntime.sleep(600)\n", encoding="utf-8")
    found = Children([str(script)], tmp_path, variables={}).run(XLA, {}, 2.0)
    assert found.fault == "no result within 2 s"


# One run in a child


TRAINING = {"times": [1.0, 0.1], "losses": [2.5, 2.25], "ran": 0.1, "jit": False, "dtype": "float32"}
COMPLETE = {"phases": {"train": TRAINING}, "memory": 9}


def run_with(folder: Path, facts: object, status: int = 0, err: str = "") -> Run:
    """Return a run whose probe left ``facts``."""
    (folder / "run-1.done").write_text(json.dumps(facts), encoding="utf-8")
    return Run(status, "", folder / "run-1.json", 1, "", err, 1.0)


def test_a_run_counts_where_its_result_is_whole(tmp_path: Path) -> None:
    assert isinstance(measure(run_with(tmp_path, COMPLETE)), Measurement)
    failed = measure(run_with(tmp_path, COMPLETE, status=1, err="x\n"))
    assert failed == Failure("ended with status 1", ("x",))


def test_a_run_that_is_killed_does_not_count(tmp_path: Path) -> None:
    found = run_child(tmp_path, TRAINED + "os.kill(os.getpid(), 9)\n")
    assert isinstance(found, Failure)
    assert found.reason == "ended by signal SIGKILL"


@pytest.mark.parametrize(
    ("phase", "times", "said"),
    [
        ("train", [], "without a training step"),
        ("train", None, "without a training step"),
        ("train", [1.0], "only one step of train"),
        ("predict", [1.0], "only one batch of predict"),
        ("step (train.py:3)", [1.0], "only one call of step (train.py:3)"),
    ],
)
def test_too_few_steps_are_named(phase: str, times: object, said: str, tmp_path: Path) -> None:
    assert said in str(measure(run_with(tmp_path, with_phases(**{phase: {**TRAINING, "times": times}}))))


def with_phases(**phases: object) -> dict[str, object]:
    return {**COMPLETE, "phases": phases}


def timed(*seconds: float) -> dict[str, object]:
    return {**TRAINING, "times": [1.0, *seconds], "ran": sum(seconds)}


@pytest.mark.parametrize(
    ("phases", "phase"),
    [
        ({"predict": timed(0.1, 0.1), "evaluate": timed(0.3)}, "evaluate"),
        ({"predict": timed(0.1, 0.1), "f (x.py:3)": timed(0.01)}, "predict"),
        ({"predict": timed(9.0), "train": timed(0.1)}, "train"),
    ],
)
def test_training_decides_and_without_it_what_takes_most_time(
    phases: dict[str, object], phase: str, tmp_path: Path
) -> None:
    found = measure(run_with(tmp_path, with_phases(**phases)))
    assert isinstance(found, Measurement)
    assert found.phase == phase
    assert found.beside.keys() == phases.keys() - {phase}


def test_the_phase_that_is_asked_for_is_measured(tmp_path: Path) -> None:
    run = run_with(tmp_path, with_phases(predict=timed(0.1), evaluate=timed(0.3)))
    assert getattr(measure(run, "predict"), "phase", "") == "predict"
    assert "without" in str(measure(run, "f (x.py:3)"))


def test_a_result_with_a_part_missing_does_not_count(tmp_path: Path) -> None:
    partial = {name: value for name, value in TRAINING.items() if name != "jit"}
    found = measure(run_with(tmp_path, {"phases": {"train": partial}}))
    assert found == Failure("its result lacks jit, memory")


@given(JSON)
def test_any_file_is_a_result_or_none(tmp_path_factory: pytest.TempPathFactory, content: object) -> None:
    assert isinstance(measure(run_with(tmp_path_factory.getbasetemp(), content)), Failure)


#: What the probe does at the exit of a program that has trained, without TensorFlow.
TRAINED = f"""
import json, os, pathlib
asked = pathlib.Path(os.environ["AUTOXLA_PROBE"])
asked.with_suffix(".done").write_text(json.dumps({COMPLETE!r}))
"""


def run_child(folder: Path, code: str) -> Measurement | Failure:
    script = folder / "program.py"
    script.write_text(code, encoding="utf-8")
    children = Children([str(script)], folder, variables={"AUTOXLA": "auto"})
    return measure(children.run(XLA, asdict(Request(5, 0.0, 1.0)), 60.0))


def test_a_program_that_trains_and_ends_is_measured(tmp_path: Path) -> None:
    found = run_child(tmp_path, TRAINED)
    assert isinstance(found, Measurement)
    assert (found.steps, found.losses) == (1, (2.5, 2.25))


def test_a_program_that_trains_and_then_raises_has_failed(tmp_path: Path) -> None:
    found = run_child(tmp_path, TRAINED + "raise RuntimeError('at step 10')\n")
    assert isinstance(found, Failure)
    assert found.reason == "ended with status 1"
    assert found.tail[-1] == "RuntimeError: at step 10"


def test_temporary_files_of_a_run_lie_in_the_folder_of_the_tuning(tmp_path: Path) -> None:
    found = run_child(tmp_path, "import sys, tempfile\nsys.exit(tempfile.gettempdir())\n")
    assert isinstance(found, Failure)
    assert Path(found.tail[-1]).parent == tmp_path


#: Ends as the probe does, with a worker left that holds the resource tracker's pipe open.
SHARING = """
import multiprocessing, os, sys, time
from multiprocessing.shared_memory import SharedMemory
memory = SharedMemory(create=True, size=64)
worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
worker.start()
print(memory.name, worker.pid, file=sys.stderr, flush=True)
os._exit(3)
"""


def test_shared_memory_of_a_run_is_unlinked_and_its_workers_end(tmp_path: Path) -> None:
    found = run_child(tmp_path, SHARING)
    assert isinstance(found, Failure)
    name, worker = next(line.split() for line in found.tail if len(line.split()) == 2)
    with pytest.raises(FileNotFoundError):
        SharedMemory(name=name)
    assert not is_running(int(worker))


def is_running(process: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False
    )
    return state.stdout.strip()[:1] not in ("", "Z")


# Interrupts


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_is_an_interrupt_for_a_while(number: signal.Signals) -> None:
    # Whoever runs the tests may have it ignored, as nohup does.
    former = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt), raising_interrupts():
            signal.raise_signal(number)
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, former)


def test_a_signal_that_is_ignored_stays_so() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with raising_interrupts():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)


WAITING = """
import os, pathlib, time
pathlib.Path("pid.new").write_text(str(os.getpid()))
os.replace("pid.new", "pid")
time.sleep(600)
"""

#: As the command, heeding SIGHUP: tests that run under nohup pass on that it is ignored.
ENDING = """
import signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from autoxla.commands import run
sys.exit(run('tune', sys.argv[1:]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_ends_the_command_ends_the_run_and_leaves_no_folder(
    number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(WAITING, encoding="utf-8")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", ENDING, "train.py"],
        cwd=tmp_path,
        env=clean_environment(TMPDIR=str(temporary)),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None and not (tmp_path / "pid").exists():
            time.sleep(0.05)
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in out
    assert not is_running(int((tmp_path / "pid").read_text(encoding="utf-8")))
    assert list(temporary.iterdir()) == []


def test_the_log_of_a_failure_is_all_that_stays(tmp_path: Path) -> None:
    (tmp_path / "quiet.py").write_text("raise SystemExit('no luck')\n", encoding="utf-8")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = clean_environment(TMPDIR=str(temporary))
    done = run(["-m", "autoxla", "tune", "--json", "quiet.py"], tmp_path, environment)
    log = Path(json.loads(done.out)["log"])
    assert list(temporary.iterdir()) == [log]
    assert "no luck" in log.read_text(encoding="utf-8")


#: Keras' generator is slow unless XLA is asked for, so who wins does not depend on this machine.
PROGRAM = """
import os, sys, time
step = os.environ.get("AUTOXLA_STEP", "")
if step.startswith("autocluster"):
    sys.exit("no clusters today")
import numpy as np
import keras
keras.utils.set_random_seed(7)

def batches():
    while True:
        time.sleep(0.0 if step == "xla" else 0.15)
        yield np.ones((4, 3), "float32"), np.ones((4, 1), "float32")

model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(batches(), steps_per_epoch=int(sys.argv[1]), epochs=1, verbose=0)
print("jit", model.jit_compile)
"""


@pytest.mark.tensorflow
def test_a_winner_is_recorded_and_applied_in_the_next_run(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(PROGRAM, encoding="utf-8")
    environment = clean_environment(AUTOXLA_CACHE=str(tmp_path / "cache"), TMPDIR=str(tmp_path))
    words = ["-m", "autoxla", "tune", "--json", "--steps", "5", "--paths", "xla,autocluster-1"]
    done = run([*words, "train.py", "30"], tmp_path, environment)
    assert done.status == 0, done.err
    told = json.loads(done.out)
    rows = {row["name"]: row for row in told["paths"]}
    assert (told["winner"], told["repeatable"], rows["xla"]["status"]) == ("xla", True, "running")
    assert rows["autocluster-1"]["reason"] == "ended with status 1"
    assert "no clusters today" in Path(told["log"]).read_text(encoding="utf-8")
    assert rows["xla"]["command"] == "AUTOXLA_STEP=xla python -m autoxla train.py 30"
    again = run(["-m", "autoxla", "train.py", "3"], tmp_path, environment)
    assert "jit False" in again.out  # other arguments, another program
    again = run(["-m", "autoxla", "train.py", "30"], tmp_path, environment)
    assert "jit True" in again.out
    assert [line.split()[1] for line in again.notices] == ["AX705"]


def tune(
    source: str, folder: Path, *options: str, arguments: tuple[str, ...] = ()
) -> tuple[dict[str, Any], Outcome]:
    """Return what tuning the program ``source`` in ``folder`` told, and its next run."""
    (folder / "program.py").write_text(source, encoding="utf-8")
    environment = clean_environment(AUTOXLA_CACHE=str(folder / "cache"), TMPDIR=str(folder))
    words = ["program.py", *arguments]
    done = run(["-m", "autoxla", "tune", "--json", *options, *words], folder, environment, limit=300)
    assert done.status == 0, done.err
    return json.loads(done.out), run(["-m", "autoxla", *words], folder, environment)


#: A program that only serves; `model` is made by what is put in front of this.
SERVING = """
import os, sys, time
import numpy as np
import keras
keras.utils.set_random_seed(7)
inputs = np.random.default_rng(7).normal(size=(4, 3)).astype("float32")
model = {model}

def batches():
    while True:
        time.sleep(0.0 if os.environ.get("AUTOXLA_STEP") == "xla" else 0.1)
        yield (inputs,)

print(model.predict(batches(), steps=40, verbose=0).shape)
print("jit", model.jit_compile)
"""
UNCOMPILED = "keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation='tanh')])"


@pytest.mark.tensorflow
def test_a_program_that_only_predicts_is_tuned_and_its_next_run_starts_on_the_winner(tmp_path: Path) -> None:
    told, again = tune(SERVING.format(model=UNCOMPILED), tmp_path, "--steps", "5", "--paths", "graph,xla")
    rows = {row["name"]: row for row in told["paths"]}
    assert (told["winner"], told["phase"], told["compared"]) == ("xla", "predict", "the outputs")
    assert (rows["graph"]["status"], told["repeatable"]) == ("same", True)
    assert "jit True" in again.out
    assert [line.split()[1] for line in again.notices] == ["AX705"]


SAVED = """
import keras
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
model.compile("sgd", "mse")
model.save("model.keras")
"""


@pytest.mark.tensorflow
@pytest.mark.parametrize("step", ["xla", ""])
def test_a_model_out_of_a_file_follows_the_settings(step: str, tmp_path: Path) -> None:
    run_code(SAVED, tmp_path)
    code = "import keras\nmodel = keras.models.load_model('model.keras')\nprint(model.jit_compile)\n"
    (tmp_path / "serve.py").write_text(code, encoding="utf-8")
    done = run(["-m", "autoxla", "serve.py"], tmp_path, clean_environment(AUTOXLA_STEP=step))
    assert done.out == f"{step == 'xla'}\n"


@pytest.mark.tensorflow
@pytest.mark.parametrize("keras", ["keras", "tf_keras"])
def test_a_model_that_is_never_compiled_follows_the_settings_unless_it_has_a_choice(
    keras: str, tmp_path: Path
) -> None:
    code = f"""
import numpy
import {keras} as keras
for choice in (None, False):
    model = keras.Sequential([keras.layers.InputLayer((3,)), keras.layers.Dense(2)])
    if choice is not None:
        model.compile(jit_compile=choice)
    for _ in range(2):
        model.predict(numpy.ones((4, 3)), verbose=0)
    print(model.jit_compile)
"""
    (tmp_path / "serve.py").write_text(code, encoding="utf-8")
    done = run(["-m", "autoxla", "serve.py"], tmp_path, clean_environment(AUTOXLA_STEP="xla"))
    assert done.out == "True\nFalse\n"
    assert len(done.notices) == 1


#: A loop of its own, faster without oneDNN. What is behind the loop never runs in a child.
LOOP = """
import os, sys, time
import tensorflow as tf
tf.random.set_seed(7)
weights = tf.Variable(tf.random.normal((3, 1)))

@tf.function
def warm(x):
    return x + 1

@tf.function
def step(x):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(x @ weights - 1))
    weights.assign_sub(0.1 * tape.gradient(loss, weights))
    {returned}

warm(tf.ones(1))
warm(tf.ones(1))
print("begins")
for _ in range(60):
    time.sleep(0.0 if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0" else 0.1)
    step(tf.ones((4, 3)))
print("onednn", os.environ.get("TF_ENABLE_ONEDNN_OPTS"))
"""


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("returned", "compared"),
    [("return loss", "the first number that it returns"), ("return None", "the lines that it prints")],
)
def test_a_loop_of_the_programs_own_is_tuned_by_its_longest_function(
    returned: str, compared: str, tmp_path: Path
) -> None:
    options = ("--steps", "5", "--budget", "100s", "--paths", "graph,onednn-off")
    told, again = tune(LOOP.format(returned=returned), tmp_path, *options)
    assert (told["winner"], told["phase"]) == ("onednn-off", "step (program.py:11)")
    assert (told["compared"], "graph" in told["impossible"]) == (compared, False)
    assert "onednn 0" in again.out
    assert [line.split()[1] for line in again.notices] == ["AX705"]


@pytest.mark.tensorflow
def test_what_runs_beside_training_is_timed_too(tmp_path: Path) -> None:
    source = """
import numpy as np
import keras
keras.utils.set_random_seed(7)
x = np.random.default_rng(7).normal(size=(64, 3)).astype("float32")
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.predict(x, batch_size=8, verbose=0)
model.fit(x, x.sum(axis=1), batch_size=8, epochs=500, validation_data=(x, x.sum(axis=1)), verbose=0)
print("trained")
"""
    script = tmp_path / "program.py"
    script.write_text(source, encoding="utf-8")
    children = Children([str(script)], tmp_path, variables={"AUTOXLA": "auto"})
    found = measure(children.run(XLA, asdict(Request(40, 0.0, 20.0)), 100.0))
    assert isinstance(found, Measurement), found
    assert (found.phase, found.printed, set(found.beside)) == ("train", (), {"evaluate", "predict"})


#: So small a model spends most of its time between the steps, and each epoch ends with fewer than 16 of them.
SMALL = """
import numpy as np
import keras
keras.utils.set_random_seed(7)
x = np.random.default_rng(7).normal(size=(1640, 3)).astype("float32")
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, x.sum(axis=1), batch_size=2, epochs=2, verbose=0)
print('steps', vars(model)['steps_per_execution'])
"""


@pytest.mark.tensorflow
def test_several_steps_in_one_call_win_a_race(tmp_path: Path) -> None:
    told, again = tune(SMALL, tmp_path, "--paths", "steps-16")
    row = next(row for row in told["paths"] if row["name"] == "steps-16")
    assert (told["winner"], row["status"]) == ("steps-16", "running")
    assert row["ratio"] < 0.8
    assert "steps 16" in again.out
    assert "AX705" in again.notices[0]


@pytest.mark.tensorflow
def test_an_epoch_that_is_shorter_than_a_call_is_not_counted_as_a_whole_one(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(SMALL.replace("epochs=2", "epochs=40").replace("1640", "16"), encoding="utf-8")
    path = ExecutionPath("steps-16", variables={"AUTOXLA_STEPS_PER_EXECUTION": "16"})
    children = Children([str(script)], tmp_path, variables={"AUTOXLA": "auto"})
    found = measure(children.run(path, asdict(Request(20, 0.0, 20.0)), 100.0))
    assert isinstance(found, Measurement), found
    # Eight steps are an epoch, so a loss comes with each eighth.
    assert [step for step, loss in enumerate(found.losses, 1) if loss is not None] == [*range(8, 65, 8)]


@pytest.mark.tensorflow
def test_steps_per_execution_is_applied_in_compile_where_none_is_given(tmp_path: Path) -> None:
    code = """
import keras, numpy
layer = keras.layers.Dense(1)
seen = []
for given in ({}, {"steps_per_execution": 2}, {"run_eagerly": True}):
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile("sgd", "mse", **given)
    model.fit(numpy.ones((40, 3)), numpy.ones(40), batch_size=4, verbose=0)
    seen.append(model.steps_per_execution)
    print(seen[-1], int(model.optimizer.iterations))
"""
    (tmp_path / "train.py").write_text(code, encoding="utf-8")
    done = run(["-m", "autoxla", "train.py"], tmp_path, clean_environment(AUTOXLA_STEPS_PER_EXECUTION="16"))
    assert done.out.splitlines() == ["16 10", "2 10", "1 10"]
    assert [line.split()[1] for line in done.notices] == ["AX317"]


#: As the command, heeding interrupts: what a shell starts in the background ignores them.
HEEDING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from autoxla.commands import run
sys.exit(run('tune', sys.argv[1:]))
"""


@pytest.mark.tensorflow
def test_an_interrupt_keeps_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(PROGRAM, encoding="utf-8")
    words = [sys.executable, "-c", HEEDING, "--steps", "5", "--paths", "xla", "train.py", "30"]
    with subprocess.Popen(
        words,
        cwd=tmp_path,
        env=clean_environment(AUTOXLA_CACHE=str(tmp_path / "cache")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "round 1, default" in line
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out.splitlines()[1].startswith("default (graph)")
    assert "nothing is kept" in out
