"""The count of why trials do not begin: its table, and how a program is looked at from inside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import architectures
from reach import __main__ as reach
from reach.catalogue import list_programs


def test_the_table_is_as_made() -> None:
    data = json.loads(reach.RESULTS.read_text(encoding="utf-8"))
    assert reach.make_table(data) in reach.PAGE.read_text(encoding="utf-8")
    assert data.keys() <= {
        *(f"model: {name}" for name in architectures.TASKS),
        *(program.title for program in list_programs()),
    }


@pytest.mark.parametrize(
    ("facts", "category"),
    [
        ({"outcome": "switched to xla"}, reach.SWITCHED),
        ({"outcome": "graph kept"}, reach.KEPT),
        ({"outcome": "XLA does not check an operand of GatherNd as TensorFlow does"}, "no guard is possible"),
        ({"outcome": None, "compile_s": 1.0, "left_s": 90, "chance": 0.03}, reach.UNLIKELY),
        ({"outcome": None, "compile_s": None, "state": "Watching", "left_s": 0.5}, reach.SHORT),
        ({"outcome": None, "compile_s": None, "state": "Racing", "left_s": 9.0}, reach.ENDED),
        ({"outcome": "of a kind that is new"}, "of a kind that is new"),
    ],
)
def test_what_came_of_a_trial(facts: dict[str, Any], category: str) -> None:
    assert reach.judge({"drivers": [facts], "has_fit": True})[0] == category


@pytest.mark.parametrize(
    ("facts", "category"),
    [
        ({"has_fit": False}, reach.NONE),
        ({"has_fit": True}, reach.ENDED),
        ({"has_fit": True, "died": "ValueError: no"}, reach.DIED),
        (
            {
                "has_fit": True,
                "died": "ValueError: no",
                "drivers": [{"outcome": None, "compile_s": None, "state": "Watching", "left_s": None}],
            },
            reach.DIED,
        ),
        ({"has_fit": True, "backend": "jax"}, "another backend"),
        ({"has_fit": True, "fits": 1, "compiles": [[True, True]]}, "already XLA"),
        ({"has_fit": True, "obstacles": ["the model runs eagerly"]}, "eager"),
    ],
)
def test_why_there_was_no_trial(facts: dict[str, Any], category: str) -> None:
    assert reach.judge(facts)[0] == category


def test_the_furthest_trial_counts() -> None:
    outcomes = ("nothing is switched in a program that is seeded (x.py:1)", "graph kept")
    drivers = [{"outcome": outcome} for outcome in outcomes]
    assert reach.judge({"drivers": drivers, "has_fit": True}) == (reach.KEPT, "graph kept")


def test_a_program_is_looked_at_from_inside(tmp_path: Path) -> None:
    """Its data are made up, what it plots with may be missing, and it ends when its time is up."""
    text = (
        "from __future__ import annotations\nimport time\nimport numpy as np\nfrom tqdm import tqdm\n"
        "assert np.loadtxt('https://x/FordA_TRAIN.tsv').shape == (3601, 501)\n"
        "assert list(tqdm([1, 2])) == [1, 2]\nwhile True:\n    time.sleep(1)\nmodel.fit(x)\n"
    )
    program = reach.copy(tmp_path, "program.py", text)
    facts = reach.run([str(program)], tmp_path / "runs", 5)
    assert (facts["is_cut"], facts["fits"], facts["died"]) == (True, 0, None)
    assert reach.judge(facts)[0] == reach.ENDED
