"""A short selection of the floods, and the page that shows what all of them came to.

Only counts and ratios beside plain Python are compared; the limits leave room for a machine that others use.
"""

from __future__ import annotations

import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

from autoxla import report, runtime
from autoxla.hooks import boundary, finder
from autoxla.model import Finding, Place, Settings, Usage
from autoxla.policies import decide
from autoxla.report import as_data
from autoxla.report.page import render_page
from autoxla.situation.gathering import gather

# Benchmarks are not installed. At the end, so that autoxla is the installed one.
sys.path.append(str(Path(__file__).parents[1]))

from floods import imports, page, records, steps, threads
from floods.turns import OURS, PLAIN
from programs import run_code

#: Blocks of Python's allocator that may be kept by a thousand imports, and by 10,000 steps: the samples of
#: a trial are bounded, but not after so few steps. One object a step would be 10,000.
PER_IMPORTS, PER_STEPS = 20.0, 2_000.0


def grows(growth: dict[str, dict[str, float]]) -> float:
    """Return the blocks that autoxla kept above plain Python."""
    return growth["blocks"][OURS] - growth["blocks"][PLAIN]


@pytest.mark.tensorflow
def test_trainings_at_once_lose_no_record(tmp_path: Path) -> None:
    found = records.measure_trainings(tmp_path, 3, 3)
    assert found["faults"] == []
    assert found["records"] == 3
    assert found["outcomes"] == {"switched to xla": 3}


@pytest.mark.parametrize("state", ["dormant", "woken"])
def test_imports_grow_nothing_and_take_no_longer_with_time(state: str, tmp_path: Path) -> None:
    small = tmp_path / "small"
    imports.write_modules(small)
    found = imports.measure_state(state, tmp_path, small, 100_000, 20)
    assert found["faults"] in (None, 0)
    assert found["said"] == []
    assert grows(found["growth"]) < PER_IMPORTS
    assert 0.7 < found["all"]["drift"] < 1.4
    assert found["kinds"]["again"]["ratio"] < 1.5


@pytest.mark.tensorflow
def test_steps_take_no_longer_with_time(tmp_path: Path) -> None:
    found = steps.measure_fit(tmp_path, 10_000, 2, 500)
    pinned, chosen = found["rows"].values()
    assert pinned["last"] == {"steps": 10_000, "outcome": "switched to xla", "faults": 0}
    assert chosen["last"] == {"steps": 10_000, "outcome": None, "faults": 0}
    for row in (pinned, chosen):
        assert 0.7 < row["processor"]["drift"] < 1.4
        assert grows(row["growth"]) < PER_STEPS


@pytest.mark.tensorflow
def test_models_that_were_let_go_are_gone(tmp_path: Path) -> None:
    found = steps.measure_models(tmp_path, "train", 6, 2)
    assert found["switched"] == 6
    assert found["alive"][OURS] == found["alive"][PLAIN]
    assert found["faults"] == 0


@pytest.mark.parametrize("name", threads.ORDERS)
def test_threads_in_the_worst_order_do_not_wait_for_each_other(name: str, tmp_path: Path) -> None:
    assert threads.run_order(name, tmp_path) == threads.RIGHT


THREE = ("import keras", "import tensorflow", "import tf_keras")
CIRCULAR = [
    threads.Arrangement("real ones", "keras", threads.BOTH, 2, times=1),
    threads.Arrangement("stand-ins with a plug-in", "double", threads.BOTH, 2, times=5, itex=True),
    threads.Arrangement("parts of stand-ins", "double", threads.MANY, 16, times=5),
]


@pytest.mark.parametrize("way", ["main", "thread"])
def test_threads_that_import_at_once(way: str, tmp_path: Path) -> None:
    arrangement = threads.Arrangement("three", "double", THREE, 12, way, times=5)
    found = threads.measure_arrangement(arrangement, tmp_path)
    assert found[OURS] == found[PLAIN] == {threads.RIGHT: 5}


@pytest.mark.tensorflow
@pytest.mark.parametrize("arrangement", CIRCULAR, ids=lambda one: one.title)
def test_threads_that_import_what_imports_each_other(
    arrangement: threads.Arrangement, tmp_path: Path
) -> None:
    """They fail as in plain Python: no thread waits for ever, and nothing of autoxla's fails."""
    found = threads.measure_arrangement(arrangement, tmp_path)
    assert sum(found[OURS].values()) == arrangement.times
    wrong = found[OURS].keys() - {threads.RIGHT}
    assert all(end.startswith("a thread failed") for end in wrong)


def test_autoxla_in_the_midst_of_such_imports(tmp_path: Path) -> None:
    """Others hold their locks by then, as in plain Python; nobody waits and autoxla does not fail."""
    arrangement = threads.Arrangement("late", "double", threads.MANY, 16, "thread", times=5)
    found = threads.measure_arrangement(arrangement, tmp_path)
    assert sum(found[OURS].values()) == arrangement.times
    wrong = found[OURS].keys() - found[PLAIN].keys() - {threads.RIGHT}
    assert all(end.startswith("a thread failed") for end in wrong)


HALF = {
    "keras.py": """\
main = __import__("__main__")
main.keras_begins.set()
main.tensorflow_begins.wait(10)
import tensorflow
layers = 1
""",
    "tensorflow.py": """\
import time
main = __import__("__main__")
main.tensorflow_begins.set()
main.keras_begins.wait(10)
time.sleep(0.3)
import keras
keras.layers
""",
}
#: Begins each at the same time, in a thread; each needs the other.
IMPORT_BOTH = """\
import autoxla, sys, threading
keras_begins, tensorflow_begins = threading.Event(), threading.Event()
{first}
threads = [threading.Thread(target=__import__, args=(name,)) for name in ("keras", "tensorflow")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(hasattr(sys.modules["keras"], "layers"), "tensorflow" in sys.modules)
"""
REMEDY = "keras_begins.set(), tensorflow_begins.set()\nimport tensorflow, keras"


def test_the_error_of_such_threads_has_a_note_whose_remedy_works(tmp_path: Path) -> None:
    for name, code in HALF.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    plain = run_code(IMPORT_BOTH.format(first=""), tmp_path, AUTOXLA="off")
    hinted = run_code(IMPORT_BOTH.format(first=""), tmp_path)
    assert hinted.out == plain.out == "True False\n"
    assert "partially initialized module 'keras' has no attribute 'layers'" in hinted.err
    assert "AX179 Threads imported TensorFlow and Keras at the same time" in hinted.err
    assert "AX179" not in plain.err
    cured = run_code(IMPORT_BOTH.format(first=REMEDY), tmp_path)
    assert (cured.status, cured.out, cured.err) == (0, "True True\n", "")


def test_one_thread_that_imports_half_a_module_gets_no_such_note(tmp_path: Path) -> None:
    """As where a file of the program has the name of the package."""
    (tmp_path / "keras.py").write_text("import keras\nkeras.layers\n", encoding="utf-8")
    code = "import autoxla, threading\nthreading.Thread(target=__import__, args=('keras',)).start()\n"
    outcome = run_code(code, tmp_path)
    assert "partially initialized module 'keras'" in outcome.err
    assert "AX179" not in outcome.err


# --- the page ----------------------------------------------------------------------------------


def test_the_page_is_as_made() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert text == page.renew(text, page.load())


def test_every_result_has_its_table() -> None:
    assert page.load().keys() <= page.TABLES.keys()


def test_what_went_wrong_is_shown() -> None:
    row: dict[str, Any] = {"threads": 2, "times": 3, PLAIN: {threads.RIGHT: 3}, OURS: {threads.WAITS: 3}}
    data = {"imports": {"two": row}, "orders": {}, "fits": row, "forks": {**row, "children": 1}}
    shown = page.format_threads(data)
    assert "| two | 2 | 3 | 3 | 0 |" in shown
    assert f"* two, {OURS}, 3 of 3: `{threads.WAITS}`" in shown


# What a process keeps and says of very many.


class Clock:
    """A clock that goes on only where it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_reports_of_many_models_take_a_small_share_of_the_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock, written = Clock(), []

    def write(_file: Path, _situation: Any, _plan: Any, data: Any, _program: Any) -> None:
        clock.now += 0.01 + 0.001 * len(data["compile"])
        written.append(len(data["compile"]))

    monkeypatch.setattr(runtime, "perf_counter", clock)
    monkeypatch.setattr(report, "write_report", write)
    monkeypatch.setenv("AUTOXLA_REPORT", str(tmp_path / "report.json"))
    session = runtime.Runtime()
    session.situation = gather(Settings(), Usage(), environ={}, modules={})
    models, own = 3000, 0.1
    for number in range(models):
        clock.now += own
        session.add_compile({"requested": "auto", "used": number % 2 == 0, "because": []})
    assert written[:5] == [1, 2, 3, 4, 5]
    # One that is allowed may take longer than what is left, by a single report.
    assert clock.now - models * own < 0.25 + 0.02 * clock.now + 1.1
    session.finish(())
    assert written[-1] == 1000
    assert session.left_out["compile"] == models - 1000


def test_many_findings_of_one_kind_are_said_and_kept_for_a_while(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second worker of pytest-xdist is a part of a job, of which the first one speaks.
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    session = runtime.Runtime()
    for number in range(50):
        session.add_finding(Finding("AX701", "info", f"model {number}", "none", Place("fit"), applied=True))
    session.add_finding(Finding("AX703", "info", "another kind", "none", Place("fit")))
    said = capfd.readouterr().err.splitlines()
    assert [line.split("model ")[1].split(";")[0] for line in said[:20]] == [str(n) for n in range(20)]
    assert "another kind" in said[20]
    assert len(said) == 21
    assert (len(session.findings), session.left_out["findings"]) == (21, 30)


def test_a_fault_that_comes_again_and_again_does_not_grow(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = boundary.Faults()
    monkeypatch.setattr(boundary, "FAULTS", faults)
    held: list[weakref.ref[Clock]] = []

    def fail() -> None:
        mine = Clock()
        held.append(weakref.ref(mine))
        try:
            raise ValueError("the cause")
        except ValueError as cause:
            raise RuntimeError("injected") from cause

    for _ in range(5000):
        finder.attempt("place", fail)
    assert (len(faults.kept), faults.left_out) == (100, 4900)
    assert capfd.readouterr().err.count("\n") == 1
    # Nothing holds what the failing function had at hand.
    assert all(reference() is None for reference in held)


def test_a_report_tells_what_is_left_out() -> None:
    plan = decide(situation := gather(Settings(), Usage(), environ={}, modules={}))
    data = as_data(situation, plan, [], left_out={"trials": 3, "compile": 0})
    assert data["left_out"] == {"trials": 3}
    assert "More than this report has" in render_page(data)
    assert "More than this report has" not in render_page({**data, "left_out": {}})
