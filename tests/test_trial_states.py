"""The states of a trial: the table of what may follow what, and that the driver keeps to it."""

from __future__ import annotations

import ast
import importlib
import inspect
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def driver() -> ModuleType:
    """Import what imports TensorFlow, not before a test needs it."""
    return importlib.import_module("autoxla.trial.driver")


class Odd:
    """A state that the table does not know."""

    def end_fit(self) -> Odd:
        """Stay."""
        return self


def reach(start: str, transitions: Any) -> set[str]:
    """Return the states that can follow ``start``, at once or later."""
    found, waiting = {start}, [start]
    while waiting:
        new = set(transitions[waiting.pop()]) - found
        found |= new
        waiting += new
    return found


def test_every_state_has_a_class_and_can_be_reached(driver: Any) -> None:
    assert reach("Watching", driver.TRANSITIONS) == set(driver.TRANSITIONS)
    assert all(hasattr(getattr(driver, name), "end_fit") for name in driver.TRANSITIONS)


def test_a_trial_can_always_be_ended(driver: Any) -> None:
    assert all("Retired" in after or name == "Retired" for name, after in driver.TRANSITIONS.items())


def test_every_transition_stands_in_the_code_and_no_other(driver: Any) -> None:
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
    assert gone == {name for following in driver.TRANSITIONS.values() for name in following}


def make_trial(driver: Any) -> Any:
    model = SimpleNamespace(jit_compile=False, train_function=None)
    return driver.Driver(
        model, lambda iterator: {"loss": iterator}, SimpleNamespace(trials=[], situation=None)
    )


def test_what_the_table_does_not_have_is_refused(driver: Any) -> None:
    trial = make_trial(driver)
    with pytest.raises(RuntimeError, match="cannot go from Watching to Odd"):
        trial.go(Odd())
    trial.go(driver.Retired(trial))
    with pytest.raises(RuntimeError, match="cannot go from Retired to Watching"):
        trial.go(driver.Watching(trial))


def test_a_fault_ends_the_trial_from_each_state(driver: Any) -> None:
    """Keras' own function goes on, and the fault reaches nobody."""
    for name in driver.TRANSITIONS.keys() - {"Retired"}:
        trial = make_trial(driver)
        trial.state = type(name, (), {"end_fit": lambda self: self})()
        trial.guarded(int, "no number")
        assert type(trial.state).__name__ == "Retired"
        assert trial(1) == {"loss": 1}
