"""The benchmark for a GPU: its arithmetic, its tables, and its processes with a stub in their place."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import architectures, gpu

CHECKOUT = Path(__file__).parents[1]

milliseconds = st.floats(0.1, 1000)
compiles = st.floats(0, 100)
steps = st.sampled_from(gpu.STEPS)

#: Answers as a child does; ``cnn`` cannot be compiled by torch, and ``lstm`` on jax never gets ready.
STUB = """
import json, sys, time
model, backend, mode = sys.argv[2:5]
def answer(**figures):
    print(json.dumps(figures), flush=True)
    return sys.stdin.readline().strip()
if (model, backend) == ("lstm", "jax"):
    time.sleep(60)
order = answer(jit_compile=mode == "jit" or (mode != "eager" and backend == "jax"), device="stub")
if (model, backend, mode) == ("cnn", "torch", "jit"):
    raise RuntimeError("no compiler")
step = 2.0 if backend == "jax" else 4.0
order = answer(warm_s=1 + gpu_warm_up * step / 1e3, first_s=1.0, block_steps=3)
while order == "block":
    order = answer(ms=step)
answer(memory_mib=10.0, memory_of="device")
""".replace("gpu_warm_up", str(gpu.WARM_UP))


def make_row(mode: str, step_ms: float, compile_s: float = 0.0, **more: Any) -> dict[str, Any]:
    row = {"model": "mlp", "backend": "jax", "mode": mode, "jit_compile": mode != "eager"}
    return {**row, "step_ms": step_ms, "compile_s": compile_s, **more}


rows = st.builds(make_row, st.just("default"), milliseconds, compiles)


def read(*words: str) -> Any:
    return gpu.read_arguments([*words])


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Measure with stubs for the processes that train, and return what is in the file."""
    program, file = tmp_path / "stub.py", tmp_path / "out.json"
    program.write_text(STUB, encoding="utf-8")
    monkeypatch.setattr(gpu, "__file__", str(program))

    def measure(*words: str) -> dict[str, Any]:
        gpu.measure(read("--json", str(file), "--rounds", "2", "--starts", "3", *words))
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found

    return measure


# The command line


def test_small_sizes() -> None:
    arguments = read("--json", "x", "--cpu-sizes")
    assert (arguments.scale, arguments.block) == (gpu.SMALL_SCALE, gpu.SMALL_BLOCK)


def test_a_size_of_ones_own_stands() -> None:
    assert read("--json", "x", "--small", "--scale", "2").scale == 2


def test_the_file_to_go_on_with_is_written() -> None:
    assert read("--continue", "x").json == Path("x")


@pytest.mark.parametrize(
    "words", [[], ["--json", "x", "--rounds", "0"], ["--json", "x", "--scale", "0"], ["--models", "other"]]
)
def test_what_cannot_be_run(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        read(*words)
    assert "error:" in capsys.readouterr().err


def test_models_are_those_of_the_architectures() -> None:
    assert tuple(architectures.TASKS) == gpu.MODELS


@pytest.mark.parametrize("name", gpu.MODELS)
def test_examples_have_the_batch_that_is_asked_for(name: str) -> None:
    import numpy as np

    inputs, targets = architectures.TASKS[name].draw(np.random.default_rng(0), 3)
    shapes = [array.shape[0] for array in (*(inputs if isinstance(inputs, tuple) else [inputs]), targets)]
    assert set(shapes) == {3}


def test_the_one_that_measures_imports_no_backend() -> None:
    code = (
        "import runpy, sys\n"
        f"runpy.run_path({str(CHECKOUT / 'benchmarks' / 'gpu.py')!r})\n"
        "print({'autoxla', 'benchmarks', 'jax', 'keras', 'numpy', 'tensorflow', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "set()\n"


# Timing


def test_keep_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, said, orders = [0.0], [], iter(["block", "block", "stop"])
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def exchange(figures: Any) -> str:
        said.append(figures)
        now[0] += 100  # waiting for an order is no part of a step
        return next(orders)

    def synchronise() -> None:
        now[0] += 0.25

    lengths = iter([5.0, *[1.0] * 100])
    clock = gpu.keep_time(synchronise, exchange, block_s=5.0)
    done = 0
    while next(clock, clock) is not clock:
        now[0] += next(lengths)
        done += 1
    warm = {"warm_s": 5 + gpu.WARM_UP - 1 + gpu.WARM_UP * 0.25, "first_s": 5.25, "block_steps": 4}
    assert said == [warm, {"ms": 1062.5}, {"ms": 1062.5}]
    assert done == gpu.WARM_UP + 8


@given(milliseconds, st.floats(0.01, 10))
def test_count_steps(step_ms: float, block_s: float) -> None:
    steps = gpu.count_steps([0, 50, *(50 + i * step_ms / 1e3 for i in range(1, 8))], block_s)
    assert steps in {1, 5000} or abs(steps * step_ms / 1e3 - block_s) <= step_ms / 1e3


def test_take_figures() -> None:
    row = gpu.make_row("mlp", "torch", "jit")
    for figures in ({"jit_compile": True}, {"warm_s": 3.0}, {"ms": 100.0}, {"ms": 300.0}, {"ms": 150.0}):
        gpu.take_figures(row, figures)
    assert (row["step_ms"], row["spread"], row["compile_s"]) == (150, 3, 3 - gpu.WARM_UP * 0.15)


def test_a_model_that_keras_does_not_compile_is_no_jit() -> None:
    row = gpu.make_row("mlp", "jax", "jit")
    gpu.take_figures(row, {"jit_compile": False})
    assert "error" in row


# What the figures say


@given(rows, st.lists(rows, max_size=4), steps)
def test_the_best_loses_nothing_and_nobody_gains(row: Any, others: list[Any], number: int) -> None:
    best = min([row, *others], key=lambda one: gpu.total_s(one, number))
    assert gpu.lost(best, [row, *others], number) == 0
    assert gpu.lost(row, others, number) >= 0


@given(rows, rows, steps)
def test_what_is_lost_makes_up_the_whole_time(row: Any, other: Any, number: int) -> None:
    best = min(gpu.total_s(row, number), gpu.total_s(other, number))
    assert best * (1 + gpu.lost(row, [other], number)) == pytest.approx(gpu.total_s(row, number))


@given(rows, rows, steps, st.floats(0.1, 10))
def test_a_slower_machine_loses_the_same_share(row: Any, other: Any, number: int, factor: float) -> None:
    slow = [
        {"step_ms": one["step_ms"] * factor, "compile_s": one["compile_s"] * factor} for one in (row, other)
    ]
    assert gpu.lost(slow[0], slow[1:], number) == pytest.approx(gpu.lost(row, [other], number), abs=1e-9)


def make_both(model: str, backend: str, jit_ms: float, eager_ms: float, compile_s: float) -> list[Any]:
    """Return the rows of a backend whose default is jit."""
    about: dict[str, Any] = {"model": model, "backend": backend}
    jit = make_row("default", jit_ms, compile_s, **about)
    return [jit, {**jit, "mode": "again"}, make_row("eager", eager_ms, **about)]


def test_summary_at_each_number_of_steps() -> None:
    found = gpu.summarise(make_both("mlp", "jax", jit_ms=1, eager_ms=2, compile_s=1))
    assert [entry["steps"] for entry in found] == [100, 1000, 10_000]
    assert [entry["jit"]["mean"] for entry in found] == [4.5, 0, 0]
    assert [entry["eager"]["mean"] for entry in found] == [0, 0, round(20 / 11 - 1, 4)]
    assert [entry["default"] for entry in found] == [entry["jit"] for entry in found]
    assert [entry["again"]["worst"] for entry in found] == [0, 0, 0]


def test_summary_names_the_worst_model() -> None:
    found = gpu.summarise([*make_both("mlp", "jax", 1, 1, 0), *make_both("cnn", "jax", 3, 1, 0)])
    assert found[0]["default"] == {"mean": 1, "worst": 2, "where": "cnn"}
    assert found[0]["models"] == 2


def test_summary_across_backends() -> None:
    found = gpu.summarise([*make_both("mlp", "jax", 4, 2, 0), *make_both("mlp", "torch", 8, 3, 0)])
    by_backend = {entry["backend"]: entry["any backend"]["worst"] for entry in found}
    assert by_backend == {"jax": 1, "torch": 3}


def test_a_model_of_which_one_mode_failed_does_not_count() -> None:
    failed = {**make_row("eager", 1), "error": "no"}
    assert gpu.summarise([make_row("default", 1), failed]) == []


@given(st.lists(st.tuples(milliseconds, milliseconds, compiles), min_size=1, max_size=4))
def test_always_the_better_one_loses_least(models: list[tuple[float, float, float]]) -> None:
    every = [
        row
        for name, figures in zip(gpu.MODELS, models, strict=False)
        for row in make_both(name, "jax", *figures)
    ]
    for entry in gpu.summarise(every):
        assert min(entry["jit"]["mean"], entry["eager"]["mean"]) <= entry["default"]["mean"]
        assert all(0 <= entry[name]["mean"] <= entry[name]["worst"] for name in ("jit", "eager", "default"))


# Processes


def test_each_model_backend_and_mode_is_a_row(stub: Callable[..., dict[str, Any]]) -> None:
    data = stub("--models", "mlp", "cnn")
    kinds = {"jax": ["default", "again", "eager"], "torch": ["default", "again", "jit"]}
    wanted = {(model, name, mode) for model in ("mlp", "cnn") for name in kinds for mode in kinds[name]}
    assert {(row["model"], row["backend"], row["mode"]) for row in data["rows"]} == wanted
    good = [row for row in data["rows"] if "error" not in row]
    assert {(row["step_ms"], row["compile_s"], row["memory_mib"]) for row in good} == {(2, 1, 10), (4, 1, 10)}
    assert [row["error"] for row in data["rows"] if "error" in row] == ["status 1: RuntimeError: no compiler"]
    assert data["devices"] == {"jax": "stub", "torch": "stub"}
    assert data["summary"] == json.loads(json.dumps(gpu.summarise(data["rows"])))


def test_what_takes_too_long_is_a_row_with_its_reason(stub: Callable[..., dict[str, Any]]) -> None:
    data = stub("--models", "lstm", "--backends", "jax", "--limit", "0.3")
    assert {row["error"] for row in data["rows"]} == {"took longer than 0.3 s"}


def test_what_takes_too_much_is_a_row_with_its_reason(stub: Callable[..., dict[str, Any]]) -> None:
    data = stub("--models", "lstm", "--backends", "jax", "--memory", "0.001")
    assert {row["error"] for row in data["rows"]} == {"took more than 0.001 GiB of memory"}


def test_a_run_is_continued_where_the_budget_ended_it(
    stub: Callable[..., dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = stub("--models", "mlp", "--backends", "jax")
    words = ["--models", "mlp", "cnn", "--backends", "jax", "--continue", str(tmp_path / "out.json")]
    cut = stub(*words, "--budget", "0")
    assert {row["model"] for row in cut["rows"] if "cut" in row} == {"cnn"}
    assert "go on with --continue" in capsys.readouterr().out
    whole = stub(*words)
    assert [row["model"] for row in whole["rows"]] == ["mlp"] * 3 + ["cnn"] * 3
    assert [row for row in whole["rows"] if "cut" in row] == []
    assert whole["rows"][:3] == some["rows"]


def test_figures_of_another_size_are_not_continued(
    stub: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    stub("--models", "mlp", "--backends", "jax")
    with pytest.raises(SystemExit, match="other scale"):
        stub("--models", "cnn", "--scale", "2", "--continue", str(tmp_path / "out.json"))


def test_environment_of_a_child() -> None:
    inherited = {"KERAS_BACKEND": "tensorflow", "PATH": "/bin", "PYTHONPATH": "/site"}
    found = gpu.make_environment(inherited, "jax", 2, Path("/folder"))
    assert (found["KERAS_BACKEND"], found["KERAS_HOME"], found["AUTOXLA"]) == ("jax", "/folder", "off")
    assert (found["PATH"], found["PYTHONPATH"]) == ("/bin", "/site")
    assert float(found["XLA_PYTHON_CLIENT_MEM_FRACTION"]) * 6 <= gpu.MEMORY_SHARE + 0.01


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Traceback:\n  File\ntorch._dynamo.exc.Unsupported: a call\n\nSet TORCHDYNAMO_VERBOSE=1", "a call"),
        ("ValueError: first\nRuntimeError: last\n", "last"),
        ("Killed\n\n", "Killed"),
        ("", "no word"),
    ],
)
def test_find_reason(said: str, reason: str) -> None:
    assert gpu.find_reason(said.splitlines()).endswith(reason)


# Tables


def make_data() -> dict[str, Any]:
    failed = {"model": "cnn", "backend": "jax", "mode": "eager", "rounds_ms": [], "error": "a | b"}
    about = dict.fromkeys(("date", "python", "cores", "processor"), "x")
    return {
        **about,
        "devices": {"jax": "a GPU"},
        "versions": {"jax": "1"},
        "environment": {},
        "scale": 1.0,
        "rounds": 5,
        "block_s": 0.5,
        "rows": [*make_both("mlp", "jax", 1, 2, 1), failed],
    }


def test_tables_of_figures() -> None:
    text = gpu.format_figures(make_data())
    assert "| jax | 100 | 1 | 450% (450%, mlp) | 450% (450%, mlp) | 0.0% (0.0%) |" in text
    assert "| mlp | jax | jit | 1 | 2 | 1.00 | 0.50 | 1.0 | 0.0 | - | - |" in text
    assert "| cnn | jax |  | - | - |" in text
    assert "- cnn, jax, eager: a / b\n" in text
    assert "jax on a GPU" in text


def test_lines_of_a_table_have_the_same_cells() -> None:
    blocks = gpu.format_figures(make_data()).split("\n\n")
    tables = [block.splitlines() for block in blocks if block.startswith("|")]
    assert [len({line.count("|") for line in lines}) for lines in tables] == [1, 1]


def places(text: str) -> Iterator[str]:
    return (line.split()[2] for line in text.splitlines() if line.startswith("<!-- table:"))


def test_document_is_up_to_date() -> None:
    text = gpu.DOCUMENT.read_text(encoding="utf-8")
    assert gpu.renew(text) == text
    assert {file.stem for file in gpu.RESULTS.glob("gpu*.json")} <= set(places(text))


def test_what_was_not_measured_says_so() -> None:
    assert gpu.renew("<!-- table: none -->\nold\n<!-- end -->") == (
        f"<!-- table: none -->\n{gpu.NOTHING}\n<!-- end -->"
    )
