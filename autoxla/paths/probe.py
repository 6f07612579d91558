"""The steps of a program, seen from inside: timed for ``tune``, counted for ``heal``.

A child of ``python -m autoxla tune`` finds in ``AUTOXLA_PROBE`` the name of a file with what is asked for: so
many steps and seconds of them at least, and so many seconds at most. What is timed has phases: training,
evaluation and prediction of the first model that does it, and each ``tf.function`` of the program's own. A
step is timed from the result of the one before until its own is there: backends differ in what they do within
``train_function`` and what around it. Then the process ends at once, with status 0: nothing behind these
steps runs, and no saving. For ``heal`` the batches of ``fit`` are only counted, in a file that outlives any
death. Without its variable this module is not even loaded.
"""

from __future__ import annotations

import atexit
import inspect
import json
import os
import resource
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

from autoxla.hooks.boundary import note_fault
from autoxla.hooks.finder import attempt
from autoxla.hooks.keras_internals import LISTING, PHASES, TRAINERS, steps_per_call
from autoxla.planning import PROBE, WATCH
from autoxla.runtime import current, put
from autoxla.situation.environment import read_environ

#: So many losses are kept: what rounding does to later ones says little.
LOSSES = 64
#: By how much seeds are apart that give other random numbers: layers may have neighbouring ones.
_APART = 1_000_003
#: Steps that are timed at least, however long they take.
_FEWEST = 3
#: What makes functions of its own that are none of the program's.
_LIBRARIES = ("keras", "tensorflow", "tf_keras")


@dataclass
class Phase:
    """What was seen of one kind of step: `times` of each in seconds, and of the first ones the `losses`.

    `owner` is whose steps they are, a model or a function; `ran` is the time that all but the first took by
    themselves, without what is between them, and `began` when the first was over. `updates` of its weights
    were made until the last one.
    """

    owner: weakref.ref[Any]
    jit: bool
    dtype: str
    updates: int
    times: list[float] = field(default_factory=list)
    losses: list[float | None] = field(default_factory=list)
    ran: float = 0.0
    began: float = 0.0
    is_moved: bool = False

    @property
    def is_open(self) -> bool:
        """Whether another loss is kept."""
        return len(self.losses) < LOSSES


class Watch:
    """What one process has measured, phase by phase; ``asked`` is `autoxla.paths.measuring.Request`."""

    def __init__(self, file: Path, asked: Mapping[str, Any]) -> None:
        self.redraw = int(asked["redraw"])
        self._file = file
        self._asked = asked
        self._phases: dict[str, Phase] = {}
        #: When the last result was there, of Keras and of each function.
        self._last: dict[str, float] = {}
        self._began = 0.0
        self._is_inside = False

    def run(
        self,
        name: str,
        owner: Any,
        stock: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any] = {},
    ) -> Any:
        """Run one step and time it, unless it is part of another one, or of a second model."""
        if self._is_inside:
            return stock(*args, **kwargs)
        is_of_keras = name in PHASES
        if not self._phases:
            self._began = perf_counter()
            # For a program that makes fewer steps than are asked for.
            atexit.register(self.write)
        if name not in self._phases:
            jit = is_of_keras and bool(getattr(owner, "jit_compile", None))
            dtype = str(getattr(owner, "compute_dtype", "float32"))
            updates = count_updates(owner) if name == "train" and not args[1:] else 0
            self._phases[name] = Phase(weakref.ref(owner), jit, dtype, updates)
        phase, since = self._phases[name], "Keras" if is_of_keras else name
        if is_of_keras and phase.owner() is not owner:
            return stock(*args, **kwargs)
        self._is_inside = True
        try:
            if self._asked["perturb"] and not phase.is_moved:
                phase.is_moved = perturb(owner)
            begin = perf_counter()
            result = stock(*args, **kwargs)
            # On JAX the state goes through each step.
            said = result[0] if isinstance(result, tuple) and (name != "predict" or args[1:]) else result
            values = list_values(said, has_logs=name in ("train", "evaluate"))
            end = perf_counter()
            # The last call of an epoch has what is left of it.
            steps = steps_per_call(owner) or 1 if is_of_keras else 1
            if steps > 1 and name == "train" and not args[1:]:
                updates = count_updates(owner)
                steps, phase.updates = updates - phase.updates or steps, updates
            elif steps > 1 and name == "predict" and isinstance(args[0], list):
                steps = len(args[0])
            if phase.is_open:
                # A function gives its loss first, if it gives one; of several steps only the last one does.
                loss = summarise(values if name == "predict" else values[:1])
                phase.losses += [*[None] * (steps - 1), loss]
            if phase.times:
                phase.times.append((end - self._last[since]) / steps)
                phase.ran += end - begin
            else:  # trace and compile in the first place
                phase.times.append(end - begin)
                phase.began = end
            if self._is_over(name, phase):
                self.write()
                # Nothing that follows runs, nor what is registered for the exit.
                for stream in (sys.stdout, sys.stderr):
                    if stream is not None:
                        stream.flush()
                os._exit(0)
        finally:
            self._is_inside = False
            self._last[since] = perf_counter()
        return result

    def _is_over(self, name: str, phase: Phase) -> bool:
        """Return whether enough is known of what is asked for; where that is open, of what decides."""
        asked, now = self._asked, perf_counter()
        wanted = asked["phase"] or ("train" if "train" in self._phases else None)
        if wanted is None and phase is max(self._phases.values(), key=lambda each: each.ran):
            # Training may still begin, or another phase take more time.
            wanted = name if now - self._began >= asked["search"] else None
        steps, took = len(phase.times) - 1, now - phase.began
        is_enough = steps >= asked["steps"] and took >= asked["least"]
        return name == wanted and (is_enough or (took > asked["most"] and steps >= _FEWEST))

    def write(self) -> None:
        """Leave what was measured beside the request, whole or not at all."""
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        kept = ("jit", "dtype", "times", "losses", "ran")
        phases = {name: {each: getattr(phase, each) for each in kept} for name, phase in self._phases.items()}
        facts = {"phases": phases, "memory": memory * (1 if sys.platform == "darwin" else 1024)}
        temporary = self._file.with_suffix(".tmp")
        temporary.write_text(json.dumps(facts), encoding="utf-8")
        temporary.replace(self._file.with_suffix(".done"))


class Probe:
    """A model's function over one batch, watched."""

    def __init__(self, name: str, model: Any, stock: Callable[..., Any], watch: Watch) -> None:
        self._name = name
        self._model = weakref.ref(model)
        self._stock = stock
        self._watch = watch

    def __call__(self, *arguments: Any) -> Any:
        """Run one step; what it is given, and gives, is each backend's own."""
        return self._watch.run(self._name, self._model(), self._stock, arguments)


def hook(module: ModuleType) -> None:
    """Wrap what makes a model's functions in ``module``."""
    watch = _find_watch()
    for target in TRAINERS if watch is not None else ():
        if target.module == module.__name__:
            for make, wrapper in _MAKERS.items():
                current().wrap(target.find(module), make, wrapper)
            if watch is not None and watch.redraw:
                current().wrap(target.find(module), "fit", _shuffle_otherwise)


def hook_functions(module: ModuleType) -> None:
    """Wrap the call of a ``tf.function``: of the program's own ones, and where it runs at once."""
    watch = _find_watch()
    if watch is None:
        return

    def call(wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        function = inspect.unwrap(args[0].python_function)
        code = getattr(getattr(function, "__func__", function), "__code__", None)
        is_library = str(getattr(function, "__module__", "")).partition(".")[0] in _LIBRARIES
        if code is None or is_library or not vars(module)["context"].executing_eagerly():
            return wrapped(*args, **kwargs)
        name = f"{code.co_name} ({Path(code.co_filename).name}:{code.co_firstlineno})"
        return watch.run(name, args[0], wrapped, args, kwargs)

    current().wrap(getattr(module, "Function", None), "__call__", call)


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
    """Return the watch of this process. Raises OSError, ValueError or KeyError where no request is there."""
    watches, name = current().of(Watches), read_environ().get(PROBE)
    if name is not None:
        # Taken away, since what this program starts is not what is measured.
        put(PROBE, None)
        watches.append(Watch(Path(name), json.loads(Path(name).read_text(encoding="utf-8"))))
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


def _make(
    phase: str, wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Make a model's function of ``phase``, and put a probe in its place."""
    result = wrapped(*args, **kwargs)
    model = args[0] if args else None
    stock = getattr(model, PHASES[phase], None)
    if not callable(stock) or isinstance(stock, Probe):
        return result
    probe = Probe(phase, model, stock, current().of(Watches)[0])
    try:
        setattr(model, PHASES[phase], probe)
    except Exception as error:  # noqa: BLE001 - the parent sees that there was no step
        note_fault("probe", error)
        return result
    # Keras 2 assigns what is returned here, Keras 3 does not look at it.
    return result if result is None else probe


_MAKERS = {f"make_{function}": partial(_make, phase) for phase, function in PHASES.items()}


def list_values(said: Any, *, has_logs: bool = False) -> list[Any]:
    """Return the arrays in what a step gave, waiting until they are there; of Keras' logs the loss alone.

    That is the mean over the epoch's steps so far.
    """
    import numpy

    if has_logs and isinstance(said, dict):
        said = said.get("loss", next(iter(said.values()), None))
    return [array for array in map(numpy.asarray, _walk(said)) if array.dtype.kind in "biufV"]


def _walk(said: Any) -> Iterator[Any]:
    """Yield what may be an array in ``said``, a structure of them."""
    if isinstance(said, Mapping):
        for part in said.values():
            yield from _walk(part)
    elif isinstance(said, list | tuple):
        for part in said:
            yield from _walk(part)
    elif hasattr(said, "detach"):
        yield said.detach().cpu()
    elif hasattr(said, "__array__") or isinstance(said, int | float):
        yield said


def summarise(arrays: Sequence[Any]) -> float | None:
    """Return one number that any change of ``arrays`` moves: of a single number, itself.

    It is the root mean square, and half a mean with a weight for each place: what is more than the former
    cannot cancel out, so that rounding is a small share of it.
    """
    import numpy

    if not arrays:
        return None
    if len(arrays) == 1 and arrays[0].size == 1:
        return float(arrays[0].reshape(()))
    total = 0.0
    for array in arrays:
        flat = array.astype("float64").ravel()
        if flat.size:
            weighted = (flat * numpy.cos(numpy.arange(flat.size))).mean()
            total += float(numpy.sqrt(numpy.square(flat).mean()) + weighted / 2)
    return total


def count_updates(model: Any) -> int:
    """Return how often ``model``'s weights were updated, 0 where it does not tell.

    Within ``fit`` on JAX it has no weights, and the count neither: they go through each step.
    """
    iterations: Any = getattr(getattr(model, "optimizer", None), "iterations", None)
    return int(iterations.numpy()) if hasattr(iterations, "numpy") else 0


def perturb(owner: Any) -> bool:
    """Move each weight of a model, or a traced function, by one unit in its last place.

    Returns False while there are none. What such a change grows to over the steps is what rounding may
    explain in another path's losses.
    """
    import numpy

    # Functions have their weights once they are traced.
    traces = getattr(owner, LISTING)() if hasattr(owner, LISTING) else [owner]
    try:
        variables = {id(each): each for trace in traces for each in trace.trainable_variables}
    except ValueError:  # Keras 2, before the model is built
        return False
    for variable in variables.values():
        value = numpy.asarray(variable.numpy())
        if value.dtype in (numpy.float32, numpy.float64):
            sides = numpy.where(numpy.arange(value.size).reshape(value.shape) % 2, numpy.inf, -numpy.inf)
            variable.assign(numpy.nextafter(value, sides.astype(value.dtype)))
    return bool(variables)
