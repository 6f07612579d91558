"""Where the training step of a model is: what differs between Keras 3 and tf_keras, and their releases.

Keras 3 wraps the step over data into a ``tf.function`` of its own, which the one over the iterator calls:
its trace is there once the first step ran, and is used again. Keras 2 has no function over data; its step
is traced anew, which runs the Python code of the step a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from autoxla.hooks.targets import LISTING, STEP_OVER_DATA, is_keras_2, steps_per_call
from autoxla.trial.executables import is_supported, trace

_DEEPEST = 5  # closures from ``train_function`` to the step


@dataclass(frozen=True, slots=True)
class Step:
    """A training step over data: its trace as Keras runs it, and how to trace it again."""

    concrete: Any
    python: Callable[[Any], Any]
    structure: Any


def find_step(model: Any, stock: Any, structure: Any) -> Step | None:
    """Return the step that ``stock``, the model's ``train_function``, runs on data of ``structure``.

    None where it is not to be had, or where a batch is more than plain tensors. For a Keras 2 model this
    traces, which takes as long as Keras itself did.
    """
    if not _is_plain(structure):
        return None
    python, concrete = _find_trace(stock, structure)
    if python is None and is_keras_2(model):
        python = _make_step(model)
        concrete = trace(python, structure, {"reduce_retracing": True})
    if python is None or concrete is None or not is_supported(concrete):
        return None
    return Step(concrete, python, structure)


def trace_compiled(step: Step) -> Any:
    """Trace ``step`` anew, for XLA; needed where layers write themselves differently for it."""
    return trace(step.python, step.structure, {"reduce_retracing": True, "jit_compile": True})


def trace_plain(step: Step) -> Any:
    """Trace ``step`` anew, not for XLA: what Keras runs where XLA is the incumbent."""
    return trace(step.python, step.structure, {"reduce_retracing": True})


def has_one_step_a_call(model: Any) -> bool:
    """Return whether one call of ``train_function`` is one step."""
    if getattr(model, "autotune_steps_per_execution", False):
        return False
    return steps_per_call(model) == 1


def needs_trace(model: Any) -> bool:
    """Return whether `find_step` has to trace the step of ``model`` itself."""
    return is_keras_2(model)


def _find_trace(stock: Any, structure: Any) -> tuple[Any, Any]:
    for function in _functions(stock, _DEEPEST):
        python = function.python_function
        if getattr(python, "__name__", "") != STEP_OVER_DATA:
            continue
        # The first trace is thrown away by TensorFlow where it made variables; the last is the one in use.
        traces = [c for c in getattr(function, LISTING)() if _takes(c, structure)]
        return python, traces[-1] if traces else None
    return None, None


def _functions(function: Any, depth: int) -> Iterator[Any]:
    """Yield the ``tf.function`` objects that ``function`` reaches through closures and wrappers."""
    if hasattr(function, LISTING):
        yield function
        function = function.python_function
    if depth == 0:
        return
    for inner in (*_closed_over(function), getattr(function, "__wrapped__", None)):
        if callable(inner) and not isinstance(inner, type):
            yield from _functions(inner, depth - 1)


def _closed_over(function: Any) -> Iterator[Any]:
    for cell in getattr(function, "__closure__", None) or ():
        with suppress(ValueError):  # not assigned yet
            yield cell.cell_contents


def _is_plain(structure: Any) -> bool:
    import tensorflow as tf

    return all(isinstance(spec, tf.TensorSpec) for spec in tf.nest.flatten(structure))


def _takes(concrete: Any, structure: Any) -> bool:
    import tensorflow as tf

    arguments, keywords = concrete.structured_input_signature
    if len(arguments) != 1 or keywords:
        return False
    taken, given = tf.nest.flatten(arguments[0]), tf.nest.flatten(structure)
    return len(taken) == len(given) and all(map(_is_more_general, taken, given))


def _is_more_general(taken: Any, given: Any) -> bool:
    import tensorflow as tf

    if not isinstance(taken, tf.TensorSpec) or not isinstance(given, tf.TensorSpec):
        return False
    return bool(taken.dtype == given.dtype and taken.shape.is_compatible_with(given.shape))


def _make_step(model: Any) -> Callable[[Any], Any]:
    """Return what Keras 2 does with one batch: the model's own step, then its counter."""
    import tensorflow as tf

    def run_step(data: Any) -> Any:
        outputs = model.train_step(data)
        with tf.control_dependencies([value for value in tf.nest.flatten(outputs) if tf.is_tensor(value)]):
            model._train_counter.assign_add(1)
        return outputs

    return run_step
