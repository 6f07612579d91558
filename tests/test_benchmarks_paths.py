"""The arithmetic of the ledger of execution paths, with made-up figures, and the tables made of it."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from math import inf, isclose
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autoxla.trial.eligibility import find_word
from benchmarks import architectures
from benchmarks.paths import __main__ as command
from benchmarks.paths import ledger, table
from benchmarks.paths.ledger import Pairs, PathName, Run, Times, Trial, settle

FOLDER = Path(ledger.__file__).parent

milliseconds = st.floats(0.1, 100)
compiles = st.floats(0, 20_000)
counts = st.integers(0, 10_000)
times = st.builds(Times, milliseconds, milliseconds, milliseconds, compiles)
excesses = st.fixed_dictionaries({name: st.floats(0, 5000) for name in ledger.EXCESSES})


def make_pairs(plain: float, xla: float, compile_s: float = 1.0) -> Pairs:
    return Pairs([plain] * 30, [plain] * 30, [xla] * 30, compile_s)


def make_ledger(run: Run, pairs: Pairs, steps: int) -> dict[str, Any]:
    return ledger.make_ledger(run, pairs, steps, Random(1))  # noqa: S311


@given(times, counts)
def test_never_switching_costs_nothing_where_plain_is_better(each: Times, count: int) -> None:
    account = settle(each, count, 0, {})
    assume(account.better == "graph")
    assert account.regret == 0


@given(times, counts)
def test_never_switching_costs_what_xla_would_have_saved_where_it_is_better(each: Times, count: int) -> None:
    account = settle(each, count, 0, {})
    assume(account.better == "xla")
    assert isclose(account.regret, account.plain_ms - account.xla_ms, abs_tol=1e-6 * account.plain_ms)
    assert account.regret > -1e-6 * account.plain_ms


@given(times, counts, counts, excesses)
def test_lines_sum_to_the_time_above_the_better_path(
    each: Times, plain: int, xla: int, beside: Mapping[str, float]
) -> None:
    account = settle(each, plain, xla, beside)
    took = each.first + plain * each.plain + xla * each.xla + sum(beside.values())
    assert isclose(account.regret, took - account.better_ms, abs_tol=1e-6 * took)


@given(times, counts, counts, excesses, st.floats(0.1, 10))
def test_the_share_does_not_depend_on_the_unit(
    each: Times, plain: int, xla: int, beside: Mapping[str, float], scale: float
) -> None:
    account = settle(each, plain, xla, beside)
    scaled = Times(scale * each.first, scale * each.plain, scale * each.xla, scale * each.compile)
    other = settle(scaled, plain, xla, {name: scale * value for name, value in beside.items()})
    assume(account.better == other.better)
    assert isclose(account.share, other.share, rel_tol=1e-6, abs_tol=1e-6)


@given(times, counts, counts, excesses, st.sampled_from(ledger.EXCESSES), st.floats(1, 1000))
def test_what_a_trial_takes_longer_is_regretted_in_full(
    each: Times, plain: int, xla: int, beside: dict[str, float], name: str, more: float
) -> None:
    before = settle(each, plain, xla, beside).regret
    after = settle(each, plain, xla, {**beside, name: beside[name] + more}).regret
    assert isclose(after - before, more, abs_tol=1e-5 * max(1.0, abs(before)))


def test_where_xla_cannot_run_the_step_plain_is_better() -> None:
    account = settle(Times(100, 5, inf, 0), 99, 0, {})
    assert (account.better, account.regret) == ("graph", 0)


def test_a_run_without_a_trial_has_a_ledger_of_noughts() -> None:
    found = make_ledger(Run([500.0, *[2.0] * 99], 100), make_pairs(2, 3), 100)
    assert found["share"] == [0, 0, 0]
    assert set(map(tuple, found["lines"].values())) == {(0, 0, 0)}
    assert (found["plain_steps"], found["xla_steps"], found["unexplained_s"]) == (99, 0, 0)


def test_a_switch_is_charged_its_plain_steps_and_the_slow_ones_beside_the_compile() -> None:
    """10 steps, 50 beside a compile at twice the time, 4 of a race, and 136 pinned."""
    race: list[tuple[int, PathName]] = [(61, "graph"), (62, "graph"), (63, "xla"), (64, "xla")]
    samples = (*((step, "graph") for step in range(11, 61)), *race)
    trial = Trial(10, compiled_at=60, switched_at=64, decided_at=64, samples=samples)
    steps = [500.0, *[10.0] * 9, *[20.0] * 50, 10, 10, 5, 5, *[5.0] * 136]
    found = make_ledger(Run(steps, 10_000, trial), make_pairs(10, 5), 10_000)
    assert (found["better"], found["plain_steps"], found["xla_steps"]) == ("xla", 61, 9938)
    assert {name: line[0] for name, line in found["lines"].items()} == {
        "path": 61 * 5 / 1e3,
        "compile": -1,
        "slowdown": 0.5,
        "stalls": 0,
        "overhead": 0,
    }
    assert found["unexplained_s"] == 0
    assert found["regret"][0] == pytest.approx(0.305 - 1 + 0.5)


def test_a_long_step_of_the_trial_is_a_stall_and_one_outside_is_not() -> None:
    trial = Trial(10, compiled_at=12, ended_at=12, samples=((11, "graph"), (12, "graph")))
    steps = [500.0, *[10.0] * 10, 310.0, *[10.0] * 50, 310.0, *[10.0] * 37]
    found = make_ledger(Run(steps, 100, trial), make_pairs(10, 20), 100)
    assert found["lines"]["stalls"][0] == pytest.approx(0.3)
    assert found["regret"][0] == pytest.approx(0.3)
    assert found["unexplained_s"] == pytest.approx(0.3)


def test_a_compile_that_never_ended_is_charged_and_said() -> None:
    samples = tuple((step, "graph") for step in range(11, 41))
    trial = Trial(10, samples=samples)  # type: ignore[arg-type]
    found = make_ledger(Run([500.0, *[10.0] * 9, *[15.0] * 30], 1000, trial), make_pairs(10, 20), 1000)
    assert found["unfinished"] is True
    assert found["lines"]["slowdown"][0] == pytest.approx(0.15)
    assert found["xla_steps"] == 0


def test_a_training_that_ended_beside_the_compile_is_whole() -> None:
    samples: tuple[tuple[int, PathName], ...] = tuple((step, "graph") for step in range(11, 41))
    found = make_ledger(Run([500.0, *[10.0] * 39], 40, Trial(10, samples=samples)), make_pairs(10, 20), 40)
    assert found["unfinished"] is False


def test_a_look_that_found_too_little_ahead_is_one_step() -> None:
    assert ledger.steps_of_trial(Run([1.0] * 100, 100)) == {8}


def test_a_look_that_went_on_is_followed_for_a_second() -> None:
    assert ledger.steps_of_trial(Run([100.0] * 100, 10_000)) == set(range(8, 20))


def test_a_short_run_has_no_look() -> None:
    assert ledger.steps_of_trial(Run([1.0] * 7, 7)) == set()


def test_a_step_that_was_not_timed_ran_on_the_path_of_the_next_that_was() -> None:
    """Pinned at 10, raced again at 60 and 61, and back to plain then."""
    samples: tuple[tuple[int, PathName], ...] = (
        (8, "graph"),
        (9, "xla"),
        (59, "xla"),
        (60, "graph"),
        (61, "xla"),
    )
    trial = Trial(5, compiled_at=7, decided_at=61, ended_at=61, samples=samples)
    assert ledger.paths_of(Run([1.0] * 70, 70, trial)) == [
        *["graph"] * 8,
        *["xla"] * 51,
        "graph",
        "xla",
        *["graph"] * 9,
    ]


def test_a_step_behind_a_switch_that_was_given_up_is_plain() -> None:
    trial = Trial(2, compiled_at=3, switched_at=4, ended_at=7)
    assert ledger.paths_of(Run([1.0] * 9, 9, trial)) == [*["graph"] * 4, *["xla"] * 3, *["graph"] * 2]


def test_a_later_race_does_not_make_the_first_one_longer() -> None:
    samples: tuple[tuple[int, PathName], ...] = ((11, "graph"), (12, "graph"), (13, "xla"), (70, "graph"))
    assert Trial(10, compiled_at=11, decided_at=90, samples=samples).settled_at == 13


@settings(max_examples=30, deadline=None)
@given(st.lists(milliseconds, min_size=30, max_size=60), st.floats(0.3, 3), st.integers(2, 300))
def test_an_estimate_lies_within_its_interval(plain: list[float], factor: float, steps: int) -> None:
    pairs = Pairs(plain, plain, [factor * time for time in plain], 1.0)
    found = make_ledger(Run([500.0, *plain], 60, None), pairs, steps)
    estimate, low, high = found["ratio"]
    assert low <= estimate <= high
    assert isclose(estimate, factor, rel_tol=1e-3)


@pytest.mark.parametrize(("factor", "noisy"), [(1.0, False), (1.1, False), (1.3, True), (0.7, True)])
def test_a_load_that_came_or_went_with_the_training_is_told(factor: float, noisy: bool) -> None:
    found = make_ledger(Run([500.0, *[2.0 * factor] * 99], 100), make_pairs(2, 3), 100)
    assert (found["drift"], found["noisy"]) == (pytest.approx(factor), noisy)


def test_intervals_apart_by_next_to_nothing_are_no_change() -> None:
    entry = {"model": "mlp", "steps": 100, "run": "first", "share": [0.001, 0.001, 0.001]}
    assert command.change_line(entry, {**entry, "share": [0.004, 0.004, 0.004]}).endswith("  no difference")


def test_a_stall_is_not_in_a_reference() -> None:
    assert fmean(ledger.without_stalls([1.0] * 50 + [400.0])) == 1


def test_the_report_is_read_as_it_is_written() -> None:
    entry = {
        "began_at": 9,
        "compiled_at": 40,
        "samples": [[10, "graph", 1.5], [41, "xla", 0.5]],
        "outcome": "x",
    }
    assert ledger.read_trial(entry) == Trial(9, compiled_at=40, samples=((10, "graph"), (41, "xla")))


def test_a_run_of_no_step_is_refused() -> None:
    with pytest.raises(ValueError, match="no step"):
        make_ledger(Run([], 10), make_pairs(1, 1), 10)


def test_what_is_trained_names_nothing_at_which_a_trial_stands_aside() -> None:
    shared = [FOLDER.parent / name for name in ("__init__.py", "architectures.py")]
    own = [*shared, *(FOLDER / name for name in ("__init__.py", "models.py", "run.py"))]
    assert find_word(map(str, own)) is None


def test_what_is_trained_imports_nothing_of_autoxla() -> None:
    for name in ("models.py", "run.py", "../architectures.py"):
        tree = ast.parse((FOLDER / name).read_text(encoding="utf-8"))
        modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        modules += [
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        ]
        assert [module for module in modules if module and module.startswith("autoxla")] == []


def test_the_command_knows_the_models_that_there_are() -> None:
    assert list(architectures.TASKS) == list(command.MODELS)
    assert set(table.FITTED) < set(command.MODELS)


@pytest.mark.parametrize(
    ("again", "noisy"),
    [([1.0, 1.01, 1.0], False), ([1.1, 1.1, 1.1], True), ([1.0, 1.0, 1.3], True), ([1.0, 1.0], None)],
)
def test_default_against_itself_tells_a_noisy_machine(again: list[float], noisy: bool | None) -> None:
    measured = {"default": [1.0, 1.0, 1.0], "again": again, "jit": [2.0, 2.0]}
    assert command.judge_processes(measured)["noisy"] is noisy


def test_a_mode_that_failed_once_has_no_median() -> None:
    found = command.judge_processes({"default": [1.0, 1.0], "jit": [2.0, float("nan")]})
    assert found["median_s"] == {"default": 1.0}
    assert found["ratios"] == {"default": 1.0}


@pytest.mark.parametrize(
    ("now", "word"),
    [
        ([0.0, -0.01, 0.01], "better"),
        ([0.1, 0.1, 0.1], "no difference"),
        ([0.3, 0.25, 0.4], "worse"),
        ([0.1, 0.04, 0.2], "no difference"),
    ],
)
def test_only_intervals_apart_are_a_change(now: list[float], word: str) -> None:
    entry = {"model": "mlp", "steps": 100, "run": "first", "share": [0.1, 0.05, 0.2]}
    assert command.change_line(entry, {**entry, "share": now}).endswith(f"  {word}")


@pytest.mark.parametrize("document", table.DOCUMENTS, ids=str)
def test_the_tables_of_a_document_are_those_of_the_results(document: Path) -> None:
    data = json.loads(table.RESULTS.read_text(encoding="utf-8")) if table.RESULTS.exists() else {}
    assert table.render(document, data) == document.read_text(encoding="utf-8")


def test_every_ledger_is_in_the_tables() -> None:
    entry = make_ledger(Run([500.0, *[2.0] * 99], 100), make_pairs(2, 3), 100)
    about = {
        "date": "2000-01-01",
        "python": "3",
        "versions": {},
        "machine": {"cores": 2, "cpu": "c"},
        "load": 0,
    }
    entries = [{"model": name, "run": "first", **entry} for name in command.MODELS]
    sections = table.make_sections({**about, "ledgers": entries})
    assert [line.split(" | ")[0] for line in sections["ledgers"].splitlines()[4:]] == [
        f"| {n}" for n in command.MODELS
    ]
    assert [line.split(" | ")[0] for line in sections["summary"].splitlines()[2:]] == ["| fitted", "| others"]
    assert sections["processes"] == table.NOTHING


def test_a_document_without_a_marker_is_refused() -> None:
    with pytest.raises(ValueError, match="section summary"):
        table.fill("no place", {"summary": "x"})
