"""Where the training step of a model is: what differs between Keras 3 and tf_keras, and their releases.

Keras 3 wraps the step over a batch into a ``tf.function`` of its own, which the one over the iterator calls.
Keras 2 has none; its step is cut out of the function over the iterator.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import tensorflow as tf

from autoxla.hooks.keras_internals import LISTING, STEP_OVER_DATA
from autoxla.trial.executables import is_supported
from autoxla.trial.traces import cut_behind_fetch, find_fetch

_DEEPEST = 5  # closures from ``train_function`` to the step


def find_step(stock: Any, structure: Any) -> Any:
    """Return the trace of the step that ``stock``, a model's ``train_function``, runs on ``structure``.

    It is a ``tf.ConcreteFunction`` of a batch's tensors. None where it is not to be had, or where a batch is
    more than plain tensors.
    """
    if not all(isinstance(spec, tf.TensorSpec) for spec in tf.nest.flatten(structure)):
        return None
    # The trace over iterators that TensorFlow takes for such data.
    functions = list(_functions(stock, _DEEPEST))
    wanted, known = tf.data.IteratorSpec(structure), []
    for function in functions:
        for trace in getattr(function, LISTING)():
            arguments, keywords = trace.structured_input_signature
            if len(arguments) == 1 and not keywords and isinstance(arguments[0], tf.data.IteratorSpec):
                known.append((arguments[0], trace))
    # The first trace is thrown away by TensorFlow where it made variables; the last is the one in use.
    exact = [trace for each, trace in known if each == wanted][-1:]
    found = exact or [trace for each, trace in known if each.is_compatible_with(wanted)]
    if len(found) != 1 or find_fetch(found[0]) is None:
        return None
    # The step that it calls.
    (over_iterator,) = found
    called = {
        operation.get_attr("f").name
        for operation in over_iterator.graph.get_operations()
        if operation.type.endswith("PartitionedCall")
    }
    over_data = [
        each for each in functions if getattr(each.python_function, "__name__", "") == STEP_OVER_DATA
    ]
    traces = [trace for function in over_data for trace in getattr(function, LISTING)()]
    concrete = next((trace for trace in traces if tf.compat.as_str(trace.name) in called), None)
    if concrete is None and hasattr(stock, LISTING):
        concrete = cut_behind_fetch(over_iterator)
    return concrete if concrete is not None and is_supported(concrete) else None


def _functions(function: Any, depth: int) -> Iterator[Any]:
    """Yield the ``tf.function`` objects that ``function`` reaches through closures and wrappers."""
    if hasattr(function, LISTING):
        yield function
        function = function.python_function
    if depth == 0:
        return
    closed_over = []
    for cell in getattr(function, "__closure__", None) or ():
        with suppress(ValueError):  # not assigned yet
            closed_over.append(cell.cell_contents)
    for inner in (*closed_over, getattr(function, "__wrapped__", None)):
        if callable(inner) and not isinstance(inner, type):
            yield from _functions(inner, depth - 1)
