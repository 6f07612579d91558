"""The states of a trial: the table of what may follow what, and that the driver keeps to it."""

from __future__ import annotations

import ast
import inspect
from types import SimpleNamespace
from typing import Any

import pytest

from autoxla.trial import driver
from autoxla.trial.driver import TRANSITIONS, Driver

pytestmark = pytest.mark.tensorflow


class Odd:
    """A state that the table does not know."""

    def end_fit(self) -> Odd:
        """Stay."""
        return self


def reach(start: str) -> set[str]:
    """Return the states that can follow ``start``, at once or later."""
    found, waiting = {start}, [start]
    while waiting:
        new = set(TRANSITIONS[waiting.pop()]) - found
        found |= new
        waiting += new
    return found


def test_every_state_has_a_class_and_can_be_reached() -> None:
    assert reach("Watching") == set(TRANSITIONS)
    assert all(hasattr(getattr(driver, name), "end_fit") for name in TRANSITIONS)


def test_a_trial_can_always_be_ended() -> None:
    assert all("Retired" in following or name == "Retired" for name, following in TRANSITIONS.items())


def test_every_transition_stands_in_the_code_and_no_other() -> None:
    """Each state that some code goes to is one that the table lets follow something."""
    tree = ast.parse(inspect.getsource(driver))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    gone = {
        node.args[0].func.id
        for node in calls
        if isinstance(node.func, ast.Attribute)
        and node.func.attr == "go"
        and isinstance(node.args[0], ast.Call)
        and isinstance(node.args[0].func, ast.Name)
    }
    assert gone == {name for following in TRANSITIONS.values() for name in following}


def make_driver() -> Any:
    model = SimpleNamespace(jit_compile=False, train_function=None)
    made: Any = Driver(model, lambda iterator: {"loss": iterator}, SimpleNamespace(trials=[]))  # type: ignore[arg-type]
    model.train_function = made
    return made


def test_what_the_table_does_not_have_is_refused() -> None:
    trial = make_driver()
    with pytest.raises(RuntimeError, match="cannot go from Watching to Odd"):
        trial.go(Odd())
    trial.go(driver.Retired(trial))
    with pytest.raises(RuntimeError, match="cannot go from Retired to Watching"):
        trial.go(driver.Watching(trial))


def test_a_fault_ends_the_trial_from_each_state() -> None:
    """The model gets its own function back, and the fault reaches nobody."""
    for name in TRANSITIONS.keys() - {"Retired"}:
        trial = make_driver()
        trial.state = type(name, (), {"end_fit": lambda self: self})()
        trial.guarded(int, "no number")
        assert type(trial.state).__name__ == "Retired"
        assert trial.model.train_function is trial.stock
