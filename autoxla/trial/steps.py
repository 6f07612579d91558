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
    is_plain = all(isinstance(spec, tf.TensorSpec) for spec in tf.nest.flatten(structure))
    over_iterator = _find_over_iterator(stock, structure) if is_plain else None
    if over_iterator is None or find_fetch(over_iterator) is None:
        return None
    called = {
        operation.get_attr("f").name
        for operation in over_iterator.graph.get_operations()
        if operation.type.endswith("PartitionedCall")
    }
    functions = list(_functions(stock, _DEEPEST))
    over_data = [
        each for each in functions if getattr(each.python_function, "__name__", "") == STEP_OVER_DATA
    ]
    traces = [trace for function in over_data for trace in getattr(function, LISTING)()]
    concrete = next((trace for trace in traces if tf.compat.as_str(trace.name) in called), None)
    if concrete is None and not hasattr(stock, LISTING):
        return None
    if concrete is None:
        concrete = cut_behind_fetch(over_iterator)
    return concrete if is_supported(concrete) else None


def _find_over_iterator(stock: Any, structure: Any) -> Any:
    """Return the trace over iterators that TensorFlow takes for data of ``structure``."""
    wanted = tf.data.IteratorSpec(structure)
    known = []
    for function in _functions(stock, _DEEPEST):
        for trace in getattr(function, LISTING)():
            arguments, keywords = trace.structured_input_signature
            if len(arguments) == 1 and not keywords and isinstance(arguments[0], tf.data.IteratorSpec):
                known.append((arguments[0], trace))
    exact = [trace for each, trace in known if each == wanted]
    if exact:
        # The first trace is thrown away by TensorFlow where it made variables; the last is the one in use.
        return exact[-1]
    wider = [trace for each, trace in known if each.is_compatible_with(wanted)]
    return wider[0] if len(wider) == 1 else None


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
