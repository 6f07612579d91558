"""The wrappers of ``Model.compile`` and of prediction: what the program left open follows the plan.

An explicit ``jit_compile=`` stands. The value is assigned to the model after Keras' own ``compile``
has run with the caller's own arguments, so that the signature, overrides in subclasses and the saved
compile configuration stay as they are.

Under ITEX a second duty comes first. Its guard ends the process, with status 0, in ``compile`` and
``predict`` of a model whose ``jit_compile`` is off while XLA is not disabled. It reads
``ITEX_DISABLE_XLA`` at each call, so it can still be turned away at the last moment.
"""

from __future__ import annotations

import inspect
from _thread import allocate_lock
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from autoxla.hooks.finder import attempt
from autoxla.hooks.keras_internals import in_strategy
from autoxla.hooks.wrapping import Wrapper
from autoxla.model import Finding, Setting
from autoxla.running import calling_place
from autoxla.runtime import current, put
from autoxla.situation.env_parsing import guard_disabled
from autoxla.situation.environment import read_environ

DISABLE = "ITEX_DISABLE_XLA"


def find_wrapper(name: str) -> Wrapper:
    """Return the wrapper of the method ``name`` in this process."""
    wrapper: Wrapper = getattr(current().of(Calls), name)
    return wrapper


class Calls:
    """The wrappers of this process, and the calls of them that are under way.

    `inside` are the models inside a wrapped call: ITEX puts its own method over ours and calls it. `turned`
    counts the calls, in however many threads, for which ITEX's guard is turned away, and `previous` is what
    its variable was before. The program comes through no more than this: all else is behind `attempt`.
    """

    def __init__(self) -> None:
        self.inside: set[int] = set()
        self.announced: set[str] = set()
        self.lock = allocate_lock()
        self.turned = 0
        self.previous: str | None = None

    def compile(
        self, wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Compile; then let what the program left open follow the plan."""
        model = args[0] if args else None
        if id(model) in self.inside:
            return wrapped(*args, **kwargs)
        with self._under_way(model, "compile"):
            result = wrapped(*args, **kwargs)
        attempt("compile", _follow_plan, wrapped, args, kwargs)
        return result

    def compile_from_config(
        self, wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Load a compiled model.

        The jit_compile in its file is what another machine resolved, so it gives way to what the settings,
        a record of tuning or ITEX ask for.
        """
        model = args[0] if args else None
        with self._under_way(model, "compile"):
            result = wrapped(*args, **kwargs)
        attempt("compile", _follow_plan_loaded, model)
        return result

    def predict(
        self, wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Predict, with ITEX's guard turned away."""
        model = args[0] if args else None
        if id(model) in self.inside:
            return wrapped(*args, **kwargs)
        with self._under_way(model, "predict"):
            return wrapped(*args, **kwargs)

    def make_predict_function(
        self, wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Make the function, with the plan's jit_compile for a model that was never compiled."""
        attempt("predict", _follow_plan_uncompiled, args[0] if args else None)
        return wrapped(*args, **kwargs)

    @contextmanager
    def _under_way(self, model: Any, method: str) -> Iterator[None]:
        """Keep ITEX's guard from ending the process during a call; for good if the model needs it.

        Whether it does is known only when ``compile`` has resolved ``jit_compile``.
        """
        self.inside.add(id(model))
        is_turned = attempt("compile", self.turn_away)
        try:
            yield
        finally:
            self.inside.discard(id(model))
            if is_turned:
                attempt("compile", self.leave, model, method)

    def turn_away(self) -> bool:
        """Set the variable where ITEX guards; return False where it is set already and not by us."""
        if not current().plan.guard:
            return False
        with self.lock:
            if not self.turned:
                self.previous = read_environ().get(DISABLE)
                if guard_disabled(self.previous):
                    return False
            self.turned += 1
            put(DISABLE, "1")
            return True

    def leave(self, model: Any, method: str) -> None:
        """Put the variable back after the last call, unless ``model`` or an earlier one needs it for good."""
        runtime = current()
        try:
            if not getattr(model, "jit_compile", True):
                runtime.add_setting(Setting(DISABLE, "1", self.previous, ("AX215",)))
                message = (
                    "jit_compile is off and ITEX's XLA on: ITEX would end the process with status 0 in "
                    f"{method}(); set {DISABLE}=1 before the program starts to turn its XLA off, too"
                )
                remedy = f"set {DISABLE}=1 for ITEX's check"
                runtime.add_finding(
                    Finding("AX215", "warning", message, remedy, calling_place(), applied=True)
                )
        finally:
            with self.lock:
                self.turned -= 1
                if not self.turned and DISABLE not in {s.variable for s in runtime.plan.settings}:
                    put(DISABLE, self.previous)


def _follow_plan(wrapped: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Give a model that was compiled the plan's jit_compile where the caller passed none."""
    try:
        passed = inspect.signature(wrapped).bind_partial(*args, **kwargs).arguments
    except TypeError:  # wrapped by somebody whose signature is not the one that is shown
        passed = dict(kwargs)
    _reconcile(args[0], passed.get("jit_compile"))
    steps = current().plan.steps_per_execution
    # Keras 2 has a method and a variable for it, and in eager mode nothing is run in one call.
    is_settable = isinstance(getattr(args[0], "steps_per_execution", None), int) and not args[0].run_eagerly
    if steps is not None and "steps_per_execution" not in passed and is_settable:
        args[0].steps_per_execution = steps
        _announce(("AX317", "AX705"))


def _announce(because: Sequence[str]) -> None:
    """Say, once, why a model does not run with what Keras chose for it."""
    runtime = current()
    reason = next((f for f in runtime.plan.findings if f.code in because), None)
    announced = runtime.of(Calls).announced
    if reason is not None and reason.code not in announced:
        announced.add(reason.code)
        runtime.say_once_a_tree(reason)


def _follow_plan_uncompiled(model: Any) -> None:
    """Give the plan's jit_compile to a model whose own is open: None, until Keras 3 is asked for it."""
    is_first = getattr(model, "predict_function", None) is None
    if is_first and getattr(model, "_jit_compile", False) is None and current().plan.jit_compile:
        _reconcile(model, None)


def _follow_plan_loaded(model: Any) -> None:
    if getattr(model, "compiled", False):
        _reconcile(model, None)
    # Its file does not tell a choice from what Keras made of none.
    current().left_open.pop(model, None)


def _reconcile(model: Any, requested: object) -> None:
    """Give ``model`` the plan's jit_compile where its program left that open, and note the call."""
    runtime = current()
    plan, planned = runtime.plan, runtime.plan.jit_compile
    # 0 and NumPy's booleans are choices, too.
    explicit = requested is not None and not (isinstance(requested, str) and requested == "auto")
    used = getattr(model, "jit_compile", None)
    because: tuple[str, ...] = ()
    if planned and not explicit and in_strategy(model):
        message = (
            "step = 'xla' in the settings, and the model is under a tf.distribute strategy, where XLA fails "
            "on most devices: it stays off"
        )
        remedy = "compile(jit_compile=True) if these devices can do it"
        runtime.add_finding(Finding("AX603", "warning", message, remedy))
        planned = None
    is_eager = bool(getattr(model, "run_eagerly", False))
    if not explicit and planned is not None and bool(used) != planned and not is_eager:
        model.jit_compile = planned
        used, because = model.jit_compile, plan.jit_because
        _announce(because)
    runtime.left_open.pop(model, None)
    if not explicit:
        runtime.left_open[model] = used
    asked = requested if isinstance(requested, bool | str | None) else bool(requested)
    is_used = used if isinstance(used, bool | str | None) else bool(used)
    runtime.add_compile({"requested": asked, "used": is_used, "because": list(because)})
