"""The wrappers of ``Model.compile`` and ``Model.predict``: what the program left open follows the plan.

An explicit ``jit_compile=`` stands. The value is assigned to the model after Keras' own ``compile``
has run with the caller's own arguments, so that the signature, overrides in subclasses and the saved
compile configuration stay as they are.

Under ITEX a second duty comes first. Its guard ends the process, with status 0, in ``compile`` and
``predict`` of a model whose ``jit_compile`` is off while XLA is not disabled. It reads
``ITEX_DISABLE_XLA`` at each call, so it can still be turned away at the last moment.
"""

from __future__ import annotations

import inspect
import sys
from _thread import allocate_lock
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from autoxla.facts import Finding, Plan, Setting
from autoxla.hooks.boundary import attempt
from autoxla.hooks.distribute import in_strategy, without_xla
from autoxla.hooks.guards import add_note, calling_place, check_mixing
from autoxla.hooks.targets import TARGETS, Target, of_module, of_package
from autoxla.hooks.wrapping import leave_no_frame
from autoxla.notice import headline, notify
from autoxla.runtime import current, put
from autoxla.situation.env_parsing import guard_disabled
from autoxla.situation.environment import read_environ

DISABLE = "ITEX_DISABLE_XLA"


def hook(module: ModuleType) -> None:
    """Wrap what a release of Keras has in ``module``; ``predict`` only where ITEX guards it."""
    for target in of_module(module, "compile", "predict"):
        if target.role == "compile" or current().plan.guard:
            _hook_or_stand_aside(target, module)


def hook_elsewhere(package: ModuleType) -> None:
    """Wrap what ``package``, a Keras that is imported now, has in a place where no release had it."""
    # A stub in its place, as for building documentation, may have neither name nor model.
    targets = list(of_package(getattr(package, "__name__", ""), "compile"))
    if not isinstance(getattr(package, "Model", None), type):
        return
    if not targets or any(target.module in sys.modules for target in targets):
        return
    found = [(target.find_elsewhere(package), target) for target in targets]
    for owner, target in found:
        if owner is not None:
            _hook(owner, target)
            return
    stand_aside(("compile",))


def hook_again(_: ModuleType) -> None:
    """Be outermost again, after a plug-in put its own methods over ours while TensorFlow loaded."""
    for target in TARGETS:
        if target.role != "train" and target.since >= (3, 0) and target.module in sys.modules:
            hook(sys.modules[target.module])


def _hook_or_stand_aside(target: Target, module: ModuleType) -> None:
    owner = target.find(module)
    if owner is None:
        stand_aside(target.lacking(getattr(module, target.owner, object)))
        return
    _hook(owner, target)


def _hook(owner: type, target: Target) -> None:
    runtime = current()
    calls = runtime.of(Calls)
    for name in target.names:
        runtime.wrap(owner, name, getattr(calls, name))


def stand_aside(names: Sequence[str]) -> None:
    """Say that this release of Keras has no methods of these names for a hook; once, of the first."""
    runtime = current()
    if not any(finding.code == "AX904" for finding in runtime.findings):
        runtime.add_finding(_unknown_release(names))


class Calls:
    """The wrappers of this process, and the calls of them that are under way.

    `inside` are the models inside a wrapped call: ITEX puts its own method over ours and calls it. What the
    program comes through is no more than this: all else is behind `attempt`.
    """

    def __init__(self) -> None:
        self.inside: set[int] = set()
        self.turned = Turned()
        self.announced: set[str] = set()

    def compile(
        self, wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Compile; then let what the program left open follow the plan."""
        model = args[0] if args else None
        if id(model) in self.inside:
            return wrapped(*args, **kwargs)
        try:
            with self._entered(model), self._guard_turned_away(model, "compile"):
                result = wrapped(*args, **kwargs)
        except Exception as error:
            attempt("compile", add_note, error)
            attempt("compile", leave_no_frame, error)
            raise
        attempt("compile", _reconcile_call, wrapped, args, kwargs)
        attempt("compile", check_mixing, model)
        return result

    def compile_from_config(
        self, wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Load a compiled model.

        The jit_compile in its file is what another machine resolved. Where the plan is that XLA is off,
        it gives way; it is never turned on.
        """
        model = args[0] if args else None
        with self._entered(model), self._guard_turned_away(model, "compile"):
            result = wrapped(*args, **kwargs)
        attempt("compile", _reconcile_loaded, model)
        return result

    def predict(
        self, wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Predict, with ITEX's guard turned away."""
        model = args[0] if args else None
        if id(model) in self.inside:
            return wrapped(*args, **kwargs)
        with self._entered(model), self._guard_turned_away(model, "predict"):
            return wrapped(*args, **kwargs)

    @contextmanager
    def _entered(self, model: Any) -> Iterator[None]:
        self.inside.add(id(model))
        try:
            yield
        finally:
            self.inside.discard(id(model))

    @contextmanager
    def _guard_turned_away(self, model: Any, method: str) -> Iterator[None]:
        """Keep ITEX's guard from ending the process during a call; for good if the model needs it.

        Whether it does is known only when ``compile`` has resolved ``jit_compile``.
        """
        if not attempt("compile", self._turn_away):
            yield
            return
        try:
            yield
        finally:
            if not getattr(model, "jit_compile", True):
                attempt("compile", _disarm, method, self.turned.previous)
            attempt("compile", self.turned.leave)

    def _turn_away(self) -> bool:
        return current().plan.guard and self.turned.enter()


def _reconcile_loaded(model: Any) -> None:
    if getattr(model, "compiled", False) and not current().plan.jit_compile:
        _reconcile(model, None)
    # Its file does not tell a choice from what Keras made of none.
    current().left_open.pop(model, None)


class Turned:
    """The variable for the time of the calls that are under way, in however many threads."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._calls = 0
        self.previous: str | None = None

    def enter(self) -> bool:
        """Set the variable; return False where it is set already and not by us."""
        with self._lock:
            if not self._calls and guard_disabled(read_environ().get(DISABLE)):
                return False
            if not self._calls:
                self.previous = read_environ().get(DISABLE)
            self._calls += 1
            put(DISABLE, "1")
            return True

    def leave(self) -> None:
        """Put the variable back after the last call, unless it is to stay."""
        with self._lock:
            self._calls -= 1
            if not self._calls and DISABLE not in {s.variable for s in current().plan.settings}:
                put(DISABLE, self.previous)


def _disarm(method: str, previous: str | None) -> None:
    runtime = current()
    runtime.add_setting(Setting(DISABLE, "1", previous, ("AX215",)))
    runtime.add_finding(
        Finding(
            "AX215",
            "warning",
            f"jit_compile is off and ITEX's XLA on: ITEX would end the process with status 0 in {method}(); "
            f"set {DISABLE}=1 before the program starts to turn its XLA off, too",
            f"set {DISABLE}=1 for ITEX's check",
            calling_place(),
            applied=True,
        )
    )


def _reconcile_call(wrapped: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    _reconcile(args[0], _requested(wrapped, args, kwargs))


def _reconcile(model: Any, requested: object) -> None:
    """Give ``model`` the plan's jit_compile where its program left that open, and note the call."""
    runtime = current()
    planned = runtime.plan.jit_compile
    # 0 and NumPy's booleans are choices, too.
    explicit = requested is not None and not (isinstance(requested, str) and requested == "auto")
    used = getattr(model, "jit_compile", None)
    because: tuple[str, ...] = ()
    if planned and not explicit and in_strategy(model):
        runtime.add_finding(without_xla())
        planned = None
    if not explicit and planned is not None and bool(used) != planned and not _is_eager(model):
        model.jit_compile = planned
        used, because = model.jit_compile, runtime.plan.jit_because
        _announce(runtime.plan)
    runtime.left_open.pop(model, None)
    if not explicit:
        runtime.left_open[model] = used
    asked = requested if isinstance(requested, bool | str | None) else bool(requested)
    is_used = used if isinstance(used, bool | str | None) else bool(used)
    runtime.add_compile({"requested": asked, "used": is_used, "because": list(because)})


def _announce(plan: Plan) -> None:
    """Say, once, why a model does not run with the jit_compile that Keras chose for it."""
    finding = next((f for f in plan.findings if f.code in plan.jit_because), None)
    announced = current().of(Calls).announced
    if finding is not None and finding.code not in announced:
        announced.add(finding.code)
        notify(headline([finding], current().program))


def _requested(wrapped: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> object:
    """Return the jit_compile that the caller passed, by name or position; None for none."""
    try:
        return inspect.signature(wrapped).bind_partial(*args, **kwargs).arguments.get("jit_compile")
    except TypeError:  # wrapped by somebody whose signature is not the one that is shown
        return kwargs.get("jit_compile")


def _is_eager(model: Any) -> bool:
    return bool(getattr(model, "run_eagerly", False))


def _unknown_release(names: Sequence[str]) -> Finding:
    methods = ", ".join(f"{name}()" for name in names)
    return Finding(
        "AX904",
        "warning",
        f"this release of Keras has no {methods} where autoxla knows it; the program runs without that hook",
        "report the release of Keras",
    )
