"""Running a traced step on a batch: as it is, compiled by XLA, and on copies of the variables.

``ConcreteFunction._call_flat``, ``captured_inputs`` and the executors of the eager context are the private
part of TensorFlow that a trial needs: without the first, a step could not run on variables other than
its own, without the last, not beside others. Where they are not, no trial is made (`is_supported`).
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import tensorflow as tf

from autoxla.hooks.keras_internals import EAGER, TRACED
from autoxla.runtime import current
from autoxla.trial.decisions import Signature


@dataclass(frozen=True)
class Executable:
    """A ``tf.ConcreteFunction`` with what it captures, called with the tensors of a batch."""

    concrete: Any
    captured: Sequence[Any]

    def __call__(self, batch: Sequence[Any]) -> Any:
        """Run the step on ``batch``, tensors in the order of the traced structure; return its logs."""
        return self.concrete._call_flat(batch, self.captured)


class Copies:
    """Copies of the variables that a function captures, for runs that must not touch the real ones."""

    def __init__(self, concrete: Any) -> None:
        own = {id(variable.handle): variable for variable in concrete.variables}
        self._variables: list[Any] = []
        self.captured: list[Any] = []
        for capture in concrete.captured_inputs:
            variable = own.get(id(capture))
            if variable is None:
                self.captured.append(capture)
                continue
            copy = tf.Variable(variable.read_value(), trainable=False, dtype=variable.dtype)
            self._variables.append(copy)
            self.captured.append(copy.handle)


class Running(list["Dispatch"]):
    """Those that run in this process, also where nobody waits for them any more."""

    def reap(self) -> None:
        """Let go of those that are done and that nobody asks any more."""
        for each in self.copy():
            # It was given up: how it ended does not matter.
            with suppress(tf.errors.OpError):
                each.poll()


class Dispatch:
    """A function that runs once, on copies of its variables, in a thread of TensorFlow's own.

    No thread of Python's waits for it: the interpreter can end at any time. `poll` tells whether it is done.
    What it works with stays until then, whoever drops it; the next one made takes away what is left.
    """

    def __init__(self, concrete: Any, batch: Sequence[Any]) -> None:
        self._running = current().of(Running)
        self._running.reap()
        begin = perf_counter()
        context, executors = _import_eager()
        self.seconds: float | None = None
        self._error: Exception | None = None
        self._begin = begin
        self._copies = Copies(concrete)
        self._flag = tf.Variable(tf.zeros((), tf.int32), trainable=False)
        self._scope = context.executor_scope
        self._executor = executors.new_executor(enable_async=True)
        # The end of an executor waits for what it runs, and variables must not go while they are written: the
        # end of the interpreter must not be the end of them.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))
        self._running.append(self)
        # Made outside: a constant that a failing executor made would be a broken one for the whole program.
        done = tf.ones((), tf.int32)
        self._logs = self._enqueue(lambda: concrete._call_flat(list(batch), self._copies.captured))
        # Where the run failed by now, `poll` says so.
        with suppress(tf.errors.OpError):
            self._enqueue(lambda: tf.raw_ops.AssignVariableOp(resource=self._flag.handle, value=done))

    def poll(self) -> bool:
        """Return whether the run is done, `seconds` after its beginning. Raises what it raised."""
        if self._error is not None:
            raise self._error
        if self.seconds is not None:
            return True
        if int(self._flag.numpy()):
            self.seconds = perf_counter() - self._begin
            self._release()
            return True
        try:
            # An executor whose work failed takes no more, and says why.
            self._enqueue(tf.raw_ops.NoOp)
        except tf.errors.OpError as error:
            self._executor.clear_error()
            self._error = error
            self._release()
            raise
        return False

    def _enqueue(self, call: Callable[[], Any]) -> Any:
        with self._scope(self._executor):
            return call()

    def _release(self) -> None:
        del self._logs, self._copies
        self._running.remove(self)
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(self))


def _import_eager() -> tuple[Any, Any]:
    return tuple(importlib.import_module(f"tensorflow.python.eager.{name}") for name in EAGER)  # type: ignore[return-value]


def find_scope() -> Any:
    """Return what lets another thread run on the device that this one runs on."""
    context, _ = _import_eager()
    return tf.device(context.context().device_name)


def is_supported(concrete: Any) -> bool:
    """Return whether `Executable` and `Copies` can do with ``concrete``.

    This TensorFlow's functions must have what they use, and every resource that is captured must be a
    variable: of one that is reached by its handle only, as in optimizers of old, the real one would be
    written.
    """
    try:
        eager = _import_eager()
    except ImportError:
        return False
    needed = [(concrete, TRACED), *zip(eager, EAGER.values(), strict=True)]
    if not all(hasattr(owner, name) for owner, names in needed for name in names):
        return False
    own = {id(variable.handle) for variable in concrete.variables}
    return all(c.dtype != tf.resource or id(c) in own for c in concrete.captured_inputs)


def bytes_captured(concrete: Any) -> int:
    """Return the bytes of the variables that ``concrete`` captures, the optimizer's among them."""
    sizes = (variable.shape.num_elements() or 0 for variable in concrete.variables)
    return sum(size * variable.dtype.size for size, variable in zip(sizes, concrete.variables, strict=True))


def sign(batch: Sequence[Any]) -> Signature:
    """Return the shapes of ``batch``, eager tensors."""
    return tuple([tuple(tensor.shape) for tensor in batch])


def synchronise(logs: Any) -> None:
    """Wait until what gave ``logs`` is done. On a CPU it is when the call returns."""
    for value in tf.nest.flatten(logs)[:1]:
        value.numpy()
