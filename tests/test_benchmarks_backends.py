"""The benchmark of Keras' backends: its clock, what its figures say, and going on with a file."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autoxla.paths.listing import find_paths
from autoxla.planning import assemble
from autoxla.running import subject_from
from benchmarks import backends, tables
from benchmarks.backends import BACKENDS, WARM_UP, WHOLE, choice
from benchmarks.backends import __main__ as command
from benchmarks.backends import run as program
from programs import HOME, clean_environment

CHECKOUT = Path(__file__).parents[1]
SHORT, LONG = WHOLE


def make_run(path: str, round_: int, step_s: float, compile_s: float = 1.0, **more: Any) -> dict[str, Any]:
    """Return what a process leaves that was stopped at step 110; each round has losses of its own."""
    marks = {str(steps): compile_s + steps * step_s for steps in (1, WARM_UP, 110)}
    losses = [2.3 + 0.01 * round_ - 0.1 * power for power in range(7)]
    run = {"marks": marks, "sample": [step_s, step_s * 1.01, step_s * 0.99], "losses": losses}
    about = {"model": "mlp", "path": path, "round": round_, "memory_mb": 500, "others": 0.02}
    return {**about, **run, "jit": path in ("xla", "jax"), "dtype": "float32", **more}


def make_runs(rounds: int = 5, **steps: float) -> list[dict[str, Any]]:
    """Return the runs of a model whose paths take ``steps`` seconds a step."""
    return [make_run(path, n, step) for n in range(1, rounds + 1) for path, step in steps.items()]


def find(runs: list[dict[str, Any]]) -> choice.Result:
    (result,) = choice.find_results(runs)
    return result


# --- The clock


@pytest.mark.parametrize("wrap", [lambda logs: logs, lambda logs: (logs, "state")], ids=["logs", "jax"])
def test_a_clock_marks_the_whole_trainings_and_then_takes_its_sample(wrap: Any) -> None:
    ended: list[int] = []
    clock = program.Clock(lambda step: wrap({"loss": 1 / step}), 1e9, lambda: ended.append(1))
    for step in range(1, LONG + 1):
        clock(step)
    assert list(clock.marks) == [1, WARM_UP, *WHOLE]
    assert clock.losses == [1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625]
    assert (clock.sample, ended) == ([], [])
    clock(LONG + 1)
    assert len(clock.sample) == 1


def test_a_clock_stops_a_slow_fit_and_marks_where() -> None:
    clock = program.Clock(lambda step: {"loss": 1 / step}, 0.0, lambda: None)
    for step in range(1, 41):
        clock(step)
    assert list(clock.marks) == [1, WARM_UP, WARM_UP + 5]
    assert len(clock.sample) == 40 - (WARM_UP + 5)


def test_a_clock_ends_when_its_sample_is_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(program, "perf_counter", lambda: now[0])
    ended: list[int] = []

    def step(number: int) -> Any:
        now[0] += 0.1
        return {"loss": 1.0}

    clock = program.Clock(step, 0.0, lambda: ended.append(len(clock.sample)))
    for number in range(1, WARM_UP + 6 + 20):
        clock(number)
    assert ended == [20]
    assert clock.sample == pytest.approx([0.1] * 20)


def test_what_is_measured_imports_nothing_of_autoxla() -> None:
    tree = ast.parse(Path(str(program.__file__)).read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    assert {module for module in modules if str(module).startswith(("autoxla", "tensorflow"))} == set()
    assert backends.COMPILE.keys() == BACKENDS.keys() == tables.PATHS.keys()


# --- What the figures say


def test_a_training_that_was_run_is_not_calculated() -> None:
    marks = {"1": 1.0, "10": 1.1, "300": 4.5, "3000": 33.0}
    assert choice.take_time(marks, SHORT) == choice.Time(4.5, is_whole=True)
    assert choice.take_time(marks, LONG) == choice.Time(33.0, is_whole=True)


def test_a_training_that_was_stopped_goes_on_at_the_pace_behind_its_warm_up() -> None:
    """Its first step took a second longer: that is in the time once, and not in the pace."""
    found = choice.take_time(make_run("graph", 1, 0.01)["marks"], SHORT)
    assert not found.is_whole
    assert found.seconds == pytest.approx(1 + 300 * 0.01)


def test_one_round_that_was_stopped_marks_the_median() -> None:
    whole = make_run("graph", 1, 0.01)
    whole["marks"] = {"1": 1.01, "10": 1.1, "300": 4.0, "3000": 31.0}
    assert choice.take_median([whole], SHORT).is_whole
    assert not choice.take_median([whole, make_run("graph", 2, 0.01)], SHORT).is_whole


def test_the_fastest_path_wins_with_enough_rounds_only() -> None:
    """JAX draws other random numbers: its losses want more seeds of the default than three rounds have."""
    assert find(make_runs(graph=0.01, xla=0.007, jax=0.003, torch=0.03)).chosen == "jax"
    assert find(make_runs(3, graph=0.01, xla=0.007, jax=0.003, torch=0.03)).chosen is None
    assert find(make_runs(1, graph=0.01, xla=0.007, jax=0.003, torch=0.03)).chosen is None


def test_where_all_others_are_slower_the_plain_graph_is_taken() -> None:
    assert find(make_runs(graph=0.01, xla=0.02, jax=0.05, torch=0.05)).chosen == "graph"


def test_a_path_with_other_losses_is_not_taken() -> None:
    runs = make_runs(graph=0.01, jax=0.003)
    for run in runs:
        run["losses"] = [loss + 2 * (run["path"] == "jax") for loss in run["losses"]]
    assert find(runs).chosen == "graph"


def test_the_choice_looks_at_steps_and_its_regret_at_trainings() -> None:
    """XLA compiles for ten seconds: it loses 300 steps and wins 3,000."""
    runs = [make_run("graph", n, 0.01, 0.5) for n in range(1, 6)]
    runs += [make_run("xla", n, 0.004, 10.0) for n in range(1, 6)]
    result = find(runs)
    assert (result.chosen, result.best(SHORT), result.best(LONG)) == ("xla", "graph", "xla")
    assert result.regret(SHORT, result.chosen) == pytest.approx((10 + 1.2) / (0.5 + 3) - 1)
    assert result.regret(LONG, result.chosen) == 0
    assert result.regret(LONG, None) == pytest.approx(30.5 / 22 - 1)


def test_a_path_that_fails_once_is_left_out_with_its_reason() -> None:
    runs = make_runs(graph=0.01, jax=0.003, torch=0.02)
    runs[-1] = {"model": "mlp", "path": "torch", "round": 5, "error": "status 1: no such layer"}
    result = find(runs)
    assert result.failed == {"torch": "status 1: no such layer"}
    assert set(result.times[SHORT]) == {"graph", "jax"}
    assert "torch" not in choice.sum_up([result], SHORT)


def test_regrets_are_summed_up_over_the_models_on_which_a_choice_runs() -> None:
    others = [{**run, "model": "cnn"} for run in make_runs(graph=0.01, jax=0.1)]
    results = choice.find_results([*make_runs(graph=0.03, jax=0.003, torch=0.03), *others])
    found = choice.sum_up(results, LONG)
    assert found["tune"] == choice.Regrets(0, 0, "mlp", 2)
    assert (found["jax"].model, found["jax"].models) == ("cnn", 2)
    assert found["jax"].mean == pytest.approx((301 / 31 - 1) / 2)
    assert found["torch"].models == 1


# --- The table


ORIGIN: dict[str, Any] = {
    "rounds": 5,
    "date": "2026-01-02",
    "python": "3.11.7",
    "system": "Linux",
    "machine": {"cores": 2},
    "load": [0.5, 1.25],
    "versions": {"b": "2"},
}


def test_a_row_has_each_time_and_tells_which_were_continued() -> None:
    runs = make_runs(graph=0.01, xla=0.007, jax=0.003)
    for run in runs:
        if run["path"] == "graph":
            run["marks"] = {"1": 1.01, "10": 1.1, "300": 1.5, "3000": 31.0}
    runs.append({"model": "mlp", "path": "torch", "round": 1, "error": "status 1: no torch"})
    text = tables.format_backends({**ORIGIN, "runs": runs, "tuned": {"mlp": {"winner": "jax"}}})
    row = "| mlp | **1.5** / 31 | ≈ 3.1 / ≈ 22 | ≈ 1.9 / **≈ 10** | - | JAX | 27% / 0% |"
    assert row in text.splitlines()
    assert "* PyTorch, mlp: status 1: no torch" in text.splitlines()
    assert "| always plain graph | 0% (0%, mlp) | 210% (210%, mlp) |" in text.splitlines()
    assert "`tune` itself, run on some of the models, took mlp: jax." in text
    assert "Other work took 2% of the processors, 2% at most." in text


def test_the_rounds_that_are_told_are_those_that_every_training_had() -> None:
    """The minutes ended in the last round: five were asked for."""
    runs = make_runs(3, graph=0.01, jax=0.003)[:-1]
    assert "2 interleaved rounds" in tables.format_backends({**ORIGIN, "runs": runs})


def test_without_figures_there_is_no_table() -> None:
    assert tables.format_backends({}) == tables.format_backends({"runs": []}) == tables.NOTHING


# --- Going on


def test_each_round_has_every_path_once_in_an_order_of_its_own() -> None:
    wanted = list(command.find_lacking([], ["mlp", "cnn"], 5))
    assert len(wanted) == len(set(wanted)) == 2 * 5 * len(BACKENDS)
    assert wanted == sorted(wanted, key=lambda each: each[0])
    assert len({tuple(path for r, m, path in wanted if (r, m) == (n, "mlp")) for n in range(1, 6)}) > 1
    assert wanted == list(command.find_lacking([], ["mlp", "cnn"], 5))


def test_what_is_there_is_not_measured_again() -> None:
    wanted = list(command.find_lacking([], ["mlp"], 2))
    done = [{"round": r, "model": m, "path": p} for r, m, p in wanted[:3]]
    assert list(command.find_lacking(done, ["mlp"], 2)) == wanted[3:]


def test_a_noisy_run_is_taken_again_and_replaced(tmp_path: Path, measured: list[Any]) -> None:
    file = tmp_path / "backends.json"
    data = start(file, rounds=1)
    noisy = next(run for run in data["runs"] if "others" in run)
    noisy["others"] = 0.5
    command.write(data, file)
    measured.clear()
    assert [run["others"] for run in start(file, rounds=1)["runs"] if "others" in run] == [0.02] * 3
    assert measured == [("mlp", noisy["path"])]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Return what is measured, with figures in place of processes; PyTorch is not there."""
    taken: list[tuple[str, str]] = []

    def take_run(model: str, path: str, seconds: float) -> dict[str, Any]:
        taken.append((model, path))
        return {"error": "status 1: no torch"} if path == "torch" else make_run(path, 1, 0.01)

    monkeypatch.setattr(command, "take_run", take_run)
    return taken


def start(file: Path | None, **more: Any) -> dict[str, Any]:
    arguments = {"models": ["mlp"], "rounds": 2, "seconds": 1.0, "minutes": 1e9, "json": file, "anew": False}
    asked = Namespace(**{**arguments, **more})
    data = command.begin(asked)
    command.measure(data, asked)
    return data


def test_a_file_grows_and_the_same_command_goes_on(
    tmp_path: Path, measured: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new" / "backends.json"
    start(file, rounds=1)
    assert len(measured) == 4
    start(file)
    # What failed once is not tried again.
    assert len(measured) == 4 + 3
    assert measured.count(("mlp", "torch")) == 1
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert (len(kept["runs"]), kept["rounds"]) == (7, 2)
    start(file, anew=True, rounds=1)
    assert len(measured) == 7 + 4
    capsys.readouterr()
    start(None, minutes=-1)
    assert "8 processes are left for the same command" in capsys.readouterr().out


def test_figures_of_something_else_are_refused(tmp_path: Path, measured: list[Any]) -> None:
    file = tmp_path / "backends.json"
    start(file, rounds=1)
    with pytest.raises(SystemExit, match=r"has seconds 1\.0, here they are 2\.0: pass --anew"):
        start(file, seconds=2.0)
    data = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**data, "versions": {"keras": "3.0"}}), encoding="utf-8")
    with pytest.raises(SystemExit, match="has versions"):
        start(file)
    file.write_text(json.dumps({**data, "machine": {"cpu": "another"}}), encoding="utf-8")
    with pytest.raises(SystemExit, match="is of another machine"):
        start(file)


def test_a_child_inherits_no_setting_of_a_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "KERAS_BACKEND", "JAX_ENABLE_X64", "TF_XLA_FLAGS"):
        monkeypatch.setenv(name, "1")
    found = command.make_environment("/nowhere", KERAS_BACKEND="jax")
    assert {name for name in found if name.startswith(("OMP_", "MKL_", "JAX_", "TF_XLA"))} == set()
    assert found["KERAS_BACKEND"] == "jax"


def test_work_of_others_is_told_apart_from_that_of_the_child() -> None:
    busy, own = command.read_busy(), command.spend_children()
    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
    assert command.spend_children() > own
    assert command.read_busy() >= busy


@pytest.mark.tensorflow
@pytest.mark.parametrize("path", ["graph", "xla"])
def test_a_process_measures_a_training(path: str, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    words = ["-m", "benchmarks.backends.run", "mlp", path, "--seconds", "0.01", "--json", str(file)]
    environment = clean_environment(PYTHONPATH=f"{HOME}:{CHECKOUT}", KERAS_BACKEND="tensorflow")
    done = subprocess.run(
        [sys.executable, *words], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text(encoding="utf-8"))
    assert (found["backend"], found["jit"], found["dtype"]) == ("tensorflow", path == "xla", "float32")
    steps = list(map(int, found["marks"]))
    assert steps[:2] == [1, WARM_UP]
    assert sorted(found["marks"].values()) == list(found["marks"].values())
    assert len(found["sample"]) >= 20
    assert found["losses"][0] > 0


def test_the_program_for_tune_may_run_on_each_backend(tmp_path: Path) -> None:
    """What a benchmark imports would tie it to TensorFlow: it is a program of its own, beside its models."""
    folder = command.lay_program(tmp_path)
    situation = assemble(subject_from([str(folder / "train.py"), "mlp"]), {}).situation
    situation = replace(situation, backends=frozenset({"tensorflow", "jax", "torch"}))
    possible = {path.name for path in find_paths(situation, {}, "x86_64", 2).possible}
    assert set(BACKENDS) <= possible
