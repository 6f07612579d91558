"""Bounds of a value that hold by how it is computed: an ``ArgMax`` is an index, ``x % 7`` is below 7."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from autoxla.trial.checks import MOVES
from autoxla.trial.dataflow import DEEPEST, Trace, Value

#: The least and the greatest that a value can be.
Interval = tuple[float, float]
#: Up to here floats of a kind tell integers apart.
_EXACT = {"float16": 2**11, "bfloat16": 2**8, "float32": 2**24, "float64": 2**53}


def find_interval(trace: Trace, value: Value, assumed: Mapping[Value, Interval]) -> Interval | None:
    """Return the bounds of ``value`` whatever the data are, given those of ``assumed``; None if unknown."""
    return _find_interval(trace, value, dict(assumed), 0)


def _find_interval(
    trace: Trace, value: Value, known: dict[Value, Interval | None], depth: int
) -> Interval | None:
    value = trace.follow(value)
    if value not in known:
        # A value that is used twice, at each of many levels, is computed once.
        known[value] = _compute_interval(trace, value, known, depth)
    return known[value]


def _compute_interval(
    trace: Trace, value: Value, known: dict[Value, Interval | None], depth: int
) -> Interval | None:
    constant = trace.constant(value)
    if constant is not None:
        if constant.size == 0 or constant.dtype.kind not in "iufb":
            return None
        low, high = float(constant.min()), float(constant.max())
        return (low, high) if math.isfinite(low) and math.isfinite(high) else None
    node = value.node
    if node is None or depth > DEEPEST:
        return None
    operands = value.call.operands(node)

    def of(number: int, attribute: str = "T") -> Interval | None:
        return _find_interval(trace, operands[number], known, depth + 1) or _find_extent(node, attribute)

    operation = str(node.op)
    if operation in MOVES and (operation, value.output) != ("Unique", 1):
        return _find_interval(trace, operands[MOVES[operation]], known, depth + 1)
    if operation in ("ArgMax", "ArgMin"):
        shape, axis = trace.shape(operands[0]), trace.constant(operands[1])
        size = None if shape is None or axis is None else shape[int(axis)]
        return (0, size - 1) if size else None
    if operation == "Cast":
        source = of(0, "SrcT")
        return None if source is None else _fit(node, "DstT", source)
    if operation in ("Select", "SelectV2"):
        # Keras counts negative indices from the end, which is a choice between two.
        chosen = _find_interval(trace, operands[0], known, depth + 1) or (0, 1)
        parts = [of(1 if each else 2) for each in set(chosen)]
    elif operation in _COMPUTED:
        x, y = of(0), of(1)
        parts = [None if x is None or y is None else _COMPUTED[operation](x, y)]
    else:
        return None
    found = [part for part in parts if part is not None]
    if len(found) < len(parts) or (operation == "FloorMod" and _find_extent(node, "T") is None):
        return None
    return _fit(node, "T", (min(low for low, _ in found), max(high for _, high in found)))


def find_least(trace: Trace, value: Value, depth: int = 0) -> float:
    """Return what the floats ``value`` are not below whatever the data are, unless they are NaN."""
    value = trace.follow(value)
    constant = trace.constant(value)
    if constant is not None:
        return float(constant.min()) if constant.size else -math.inf
    node = value.node
    if node is None or depth > DEEPEST:
        return -math.inf
    operands, operation = value.call.operands(node), str(node.op)

    def of(number: int) -> float:
        return find_least(trace, operands[number], depth + 1)

    if operation in _NEVER_NEGATIVE:
        return 0.0
    if operation in MOVES and operation != "Unique":
        return of(MOVES[operation])
    if operation == "Maximum":
        return max(of(1), of(0))
    if operation in ("Add", "AddV2", "Minimum"):
        # Constants come second.
        second = of(1)
        first = of(0) if second > -math.inf else second
        return min(first, second) if operation == "Minimum" else first + second
    if operation == "Cast":
        return float(tf.as_dtype(node.attr["DstT"].type).as_numpy_dtype(of(0)))
    if operation in ("Mean", "Sum"):
        return 0.0 if of(0) >= 0 else -math.inf
    return -math.inf


def _find_extent(node: Any, attribute: str) -> Interval | None:
    """Return the bounds of the type that ``attribute`` names, None for floats."""
    kind = tf.as_dtype(node.attr[attribute].type)
    if kind.is_bool:
        return 0, 1
    return (float(kind.min), float(kind.max)) if kind.is_integer else None


def _fit(node: Any, attribute: str, bounds: Interval) -> Interval | None:
    """Return ``bounds`` as numbers of the type that ``attribute`` names; None where they may not hold in it.

    Integers may overflow. Floats may round, but not past an integer that they tell from the next.
    """
    kind = tf.as_dtype(node.attr[attribute].type)
    if kind.is_bool:
        return 0, 1  # all numbers but 0 are true
    low, high = math.trunc(bounds[0]), math.trunc(bounds[1])
    if kind.is_integer:
        return (low, high) if kind.min <= low and high <= kind.max else None
    are_integers = low == bounds[0] and high == bounds[1]
    is_exact = are_integers and max(-low, high) <= _EXACT.get(kind.name, 0)
    return bounds if is_exact else None


_NEVER_NEGATIVE = frozenset(
    {"Abs", "Exp", "Relu", "Sigmoid", "Softplus", "Sqrt", "Square", "SquaredDifference"}
)
_COMPUTED: dict[str, Callable[[Interval, Interval], Interval | None]] = {
    "Add": lambda x, y: (x[0] + y[0], x[1] + y[1]),
    "AddV2": lambda x, y: (x[0] + y[0], x[1] + y[1]),
    "FloorMod": lambda _, y: (0, y[1] - 1) if y[0] >= 1 else None,
    "Less": lambda x, y: (1, 1) if x[1] < y[0] else (0, 0) if x[0] >= y[1] else (0, 1),
    "Maximum": lambda x, y: (max(x[0], y[0]), max(x[1], y[1])),
    "Minimum": lambda x, y: (min(x[0], y[0]), min(x[1], y[1])),
}
