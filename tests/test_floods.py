"""A short selection of the floods, and the page that shows what all of them came to.

Only counts and ratios beside plain Python are compared; the limits leave room for a machine that others use.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

# Benchmarks are not installed. At the end, so that autoxla is the installed one.
sys.path.append(str(Path(__file__).parents[1]))

from floods import imports, page, records, steps, threads
from floods.turns import OURS, PLAIN

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
    threads.Arrangement("parts of stand-ins", "double", threads.MANY, 16, "thread", times=5),
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
    """Plain Python fails there, too; what is asked for is that nobody waits and autoxla does not fail."""
    found = threads.measure_arrangement(arrangement, tmp_path)
    assert sum(found[OURS].values()) == arrangement.times
    wrong = found[OURS].keys() - found[PLAIN].keys() - {threads.RIGHT}
    assert all(end.startswith("a thread failed") for end in wrong)


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
