"""The training steps of a program, seen from inside: timed for ``tune``, counted for ``heal``.

A child of ``python -m autoxla tune`` finds in ``AUTOXLA_PROBE`` the name of a file with what is asked for: so
many training steps and seconds of them at least, and so many seconds at most. Each step of the first model
that trains is timed, from the result of the one before until its own is there: backends differ in what they
do within ``train_function`` and what around it. Then the process ends at once, with status 0: nothing behind
these steps runs, no evaluation and no saving. For ``heal`` the batches of ``fit`` are only counted, in a file
that outlives any death. Without its variable this module is not even loaded.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

from autoxla.hooks.boundary import note_fault
from autoxla.hooks.finder import attempt
from autoxla.hooks.keras_internals import TRAINERS, steps_per_call
from autoxla.planning import PROBE, WATCH
from autoxla.runtime import current, put
from autoxla.situation.environment import read_environ

#: So many losses are kept: what rounding does to later ones says little.
LOSSES = 64
#: By how much seeds are apart that give other random numbers: layers may have neighbouring ones.
_APART = 1_000_003
#: Steps that are timed at least, however long they take.
_FEWEST = 3


class Watch:
    """What one process has measured: seconds of each step of its first model, and its losses."""

    def __init__(
        self, file: Path, *, steps: int, least: float, most: float, perturb: bool, redraw: int
    ) -> None:
        self._file = file
        self._steps = steps
        self._least = least
        self._most = most
        self._perturb = perturb
        self.redraw = redraw
        self._model: weakref.ref[Any] | None = None
        self._facts: dict[str, object] = {}
        self._began = self._last = 0.0
        self._times: list[float] = []
        self._losses: list[float | None] = []

    def run(self, model: Any, stock: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        """Run one step and time it, if it is one of the model that is watched."""
        if self._model is None:
            self._model = weakref.ref(model)
            self._facts = {
                "jit": bool(getattr(model, "jit_compile", None)),
                "dtype": str(getattr(model, "compute_dtype", "float32")),
            }
            # For a program that trains for fewer steps than are asked for.
            atexit.register(self.write)
        if self._model() is not model:
            return stock(*arguments)
        if self._perturb:
            self._perturb = not perturb(model)
        begin = self._last or perf_counter()
        result = stock(*arguments)
        # On JAX the state goes through each step.
        loss = read_loss(result[0] if isinstance(result, tuple) else result)
        self._last = perf_counter()
        self._note(self._last - begin, loss, max(1, steps_per_call(model) or 1))
        return result

    def write(self) -> None:
        """Leave what was measured beside the request, whole or not at all."""
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        facts = {
            **self._facts,
            "times": self._times,
            "losses": self._losses,
            "memory": memory * (1 if sys.platform == "darwin" else 1024),
        }
        temporary = self._file.with_suffix(".tmp")
        temporary.write_text(json.dumps(facts), encoding="utf-8")
        temporary.replace(self._file.with_suffix(".done"))

    def _note(self, seconds: float, loss: float | None, calls: int) -> None:
        if not self._times:
            self._began = perf_counter()
        # The first call is trace and compile in the first place.
        self._times.append(seconds / calls if self._times else seconds)
        if len(self._losses) < LOSSES:
            # Of several steps in one call only the last one gives a loss.
            self._losses += [*[None] * (calls - 1), loss]
        steps, took = len(self._times) - 1, perf_counter() - self._began
        is_enough = steps >= self._steps and took >= self._least
        if is_enough or (took > self._most and steps >= _FEWEST):
            self.write()
            # Nothing that follows runs, nor what is registered for the exit.
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
            os._exit(0)


class Probe:
    """A model's ``train_function``, watched."""

    def __init__(self, model: Any, stock: Callable[..., Any], watch: Watch) -> None:
        self._model = weakref.ref(model)
        self._stock = stock
        self._watch = watch

    def __call__(self, *arguments: Any) -> Any:
        """Run one step; what it is given, and gives, is each backend's own."""
        return self._watch.run(self._model(), self._stock, arguments)


def hook(module: ModuleType) -> None:
    """Wrap ``make_train_function`` of a model in ``module``."""
    watch = _find_watch()
    for target in TRAINERS if watch is not None else ():
        if target.module == module.__name__:
            current().wrap(target.find(module), "make_train_function", _make_train_function)
            if watch is not None and watch.redraw:
                current().wrap(target.find(module), "fit", _shuffle_otherwise)


def hook_seeds(module: ModuleType) -> None:
    """Let all that Keras draws in this process be of other seeds, if that is asked for."""
    watch = _find_watch()
    if watch is None or not watch.redraw:
        return
    apart = watch.redraw * _APART

    def draw_seed(
        wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        return wrapped(*args, **kwargs) + apart

    current().wrap(module, "draw_seed", draw_seed)


def _shuffle_otherwise(
    wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Seed what shuffles: NumPy on some backends, TensorFlow on others."""
    watch = current().of(Watches)[0]
    if watch.redraw:
        sys.modules["keras"].utils.set_random_seed(watch.redraw)
        watch.redraw = 0
    return wrapped(*args, **kwargs)


class Watches(list[Watch]):
    """The watch of this process, none where nothing is asked for."""


def _find_watch() -> Watch | None:
    watches, name = current().of(Watches), read_environ().get(PROBE)
    if name is not None:
        # Taken away, since what this program starts is not what is measured.
        put(PROBE, None)
        watches.append(read_request(Path(name)))
    return next(iter(watches), None)


def hook_batches(module: ModuleType) -> None:
    """Count what ``fit`` tells its callbacks in ``module`` of batches that are done."""
    current().wrap(getattr(module, "CallbackList", None), "on_train_batch_end", _count)


class Counter:
    """The file whose length is the number of batches that this process and those below it have trained on."""

    def __init__(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self.file = os.open(f"{read_environ()[WATCH]}.steps", flags, 0o600)


def _count(wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    attempt("probe", lambda: os.write(current().of(Counter).file, b"."))
    return wrapped(*args, **kwargs)


def read_request(file: Path) -> Watch:
    """Return the watch that ``file`` asks for. Raises OSError, ValueError or KeyError where that is none."""
    asked = json.loads(file.read_text(encoding="utf-8"))
    return Watch(
        file,
        steps=int(asked["steps"]),
        least=float(asked["least"]),
        most=float(asked["most"]),
        perturb=bool(asked["perturb"]),
        redraw=int(asked["redraw"]),
    )


def _make_train_function(
    wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    result = wrapped(*args, **kwargs)
    model = args[0] if args else None
    stock = getattr(model, "train_function", None)
    if not callable(stock) or isinstance(stock, Probe):
        return result
    probe = Probe(model, stock, current().of(Watches)[0])
    try:
        model.train_function = probe  # type: ignore[union-attr]
    except Exception as error:  # noqa: BLE001 - the parent sees that there was no step
        note_fault("probe", error)
        return result
    # Keras 2 assigns what is returned here, Keras 3 does not look at it.
    return result if result is None else probe


def read_loss(logs: Any) -> float | None:
    """Return the loss in what a step gave, waiting until it is there; None where there is none.

    Keras reports the mean over the epoch's steps so far.
    """
    value: Any = logs.get("loss") if isinstance(logs, dict) else logs
    if value is None and isinstance(logs, dict):
        value = next(iter(logs.values()), None)
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def perturb(model: Any) -> bool:
    """Move each weight of ``model`` by one unit in its last place; return False while there are none.

    What such a change grows to over the steps is what rounding may explain in another path's losses.
    """
    import numpy

    try:
        variables = list(model.trainable_variables)
    except ValueError:  # Keras 2, before the model is built
        return False
    for variable in variables:
        value = numpy.asarray(variable.numpy())
        if value.dtype in (numpy.float32, numpy.float64):
            sides = numpy.where(numpy.arange(value.size).reshape(value.shape) % 2, numpy.inf, -numpy.inf)
            variable.assign(numpy.nextafter(value, sides.astype(value.dtype)))
    return bool(variables)
