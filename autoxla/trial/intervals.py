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
_EXACT = {"half": 2**11, "bfloat16": 2**8, "float32": 2**24, "float64": 2**53}


def find_interval(
    trace: Trace, value: Value, assumed: Mapping[Value, Interval], depth: int = 0
) -> Interval | None:
    """Return the bounds of ``value`` whatever the data are, given those of ``assumed``; None if unknown."""
    value = trace.follow(value)
    if value in assumed:
        return assumed[value]
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

    def of(number: int) -> Interval | None:
        return find_interval(trace, operands[number], assumed, depth + 1)

    if node.op in MOVES:
        return of(MOVES[node.op])
    if node.op in _INDICES:
        return _find_index(trace, node, operands, value.output)
    if node.op in ("Pack", "ConcatV2"):
        return _join(*map(of, range(len(operands) - (node.op == "ConcatV2"))))
    if node.op in ("Select", "SelectV2"):
        least, most = of(0) or (0, 1)
        return _join(*(of(2 - bool(chosen)) for chosen in {least, most}))
    compute = _COMPUTED.get(node.op)
    if compute is None:
        return None
    known = [of(number) for number in range(len(operands))]
    if node.op in _HALF_KNOWN:
        return compute(node, *known)
    return None if None in known else compute(node, *known)


def _join(*parts: Interval | None) -> Interval | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or not known:
        return None
    return min(low for low, _ in known), max(high for _, high in known)


_INDICES = frozenset({"ArgMax", "ArgMin", "TopKV2"})


def _find_index(trace: Trace, node: Any, operands: list[Value], output: int) -> Interval | None:
    shape = trace.shape(operands[0])
    if shape is None or (node.op == "TopKV2" and output == 0):
        return None
    axis = -1 if node.op == "TopKV2" else trace.constant(operands[1])
    size = None if axis is None else shape[int(axis)]
    return None if not size else (0, size - 1)


def _cast(node: Any, source: Interval | None) -> Interval | None:
    source = source or _any(node, "SrcT")
    if source is None:
        return None
    kind = tf.as_dtype(node.attr["DstT"].type)
    if kind.is_floating:
        return _exact(kind.name, source)
    if not kind.is_integer or not all(kind.min <= bound <= kind.max for bound in source):
        return None
    return float(math.trunc(source[0])), float(math.trunc(source[1]))


def _any(node: Any, attribute: str = "T") -> Interval | None:
    """Return the bounds of the type that ``attribute`` names, None for floats."""
    kind = tf.as_dtype(node.attr[attribute].type)
    if kind.is_bool:
        return 0, 1
    return (float(kind.min), float(kind.max)) if kind.is_integer else None


def _exact(kind: str, bounds: Interval) -> Interval | None:
    """Return ``bounds`` where rounding to floats of ``kind`` cannot leave them."""
    most = _EXACT.get(kind, 0)
    return bounds if all(bound.is_integer() and abs(bound) <= most for bound in bounds) else None


def _arithmetic(node: Any, bounds: Interval) -> Interval | None:
    """Return ``bounds`` of a sum and the like, None where it may overflow or round."""
    kind = tf.as_dtype(node.attr["T"].type)
    if kind.is_floating:
        return _exact(kind.name, bounds)
    return bounds if kind.is_integer and all(kind.min <= bound <= kind.max for bound in bounds) else None


def _add(node: Any, x: Interval, y: Interval) -> Interval | None:
    return _arithmetic(node, (x[0] + y[0], x[1] + y[1]))


def _multiply(node: Any, x: Interval, y: Interval) -> Interval | None:
    products = [a * b for a in x for b in y]
    return _arithmetic(node, (min(products), max(products)))


def _floor_mod(node: Any, _: Interval | None, y: Interval | None) -> Interval | None:
    if y is None or y[0] < 1 or not tf.as_dtype(node.attr["T"].type).is_integer:
        return None
    return 0.0, y[1] - 1


def _extreme(take: Callable[[float, float], float]) -> Callable[..., Interval | None]:
    """Return what computes the bounds of a minimum or a maximum."""

    def compute(node: Any, x: Interval | None, y: Interval | None) -> Interval | None:
        x, y = x or _any(node), y or _any(node)
        return None if x is None or y is None else (take(x[0], y[0]), take(x[1], y[1]))

    return compute


def _clip(node: Any, x: Interval | None, low: Interval | None, high: Interval | None) -> Interval | None:
    is_integer = tf.as_dtype(node.attr["T"].type).is_integer
    if low is None or high is None or low[1] > high[0] or not (is_integer or x is not None):
        return None  # what is no number stays none
    return low[0], high[1]


def _less(_: Any, x: Interval, y: Interval) -> Interval:
    return (1, 1) if x[1] < y[0] else (0, 0) if x[0] >= y[1] else (0, 1)


def _range(node: Any, start: Interval, limit: Interval, delta: Interval) -> Interval | None:
    if delta[0] < 1 or not tf.as_dtype(node.attr["Tidx"].type).is_integer:
        return None
    return start[0], max(start[0], limit[1] - 1)


def _drawn(_: Any, *operands: Interval | None) -> Interval | None:
    low, high = operands[-2:]
    return None if low is None or high is None else (low[0], high[1] - 1)


#: Those of which one operand tells enough.
_HALF_KNOWN = frozenset({
    "Cast", "FloorMod", "Minimum", "Maximum", "ClipByValue", "Bucketize", "RandomUniform",
    "StatelessRandomUniform", "StatelessRandomUniformV2", "RandomUniformInt", "StatelessRandomUniformInt",
    "StatelessRandomUniformIntV2",
})  # fmt: skip
_COMPUTED: dict[str, Callable[..., Interval | None]] = {
    "Cast": _cast,
    "Add": _add,
    "AddV2": _add,
    "Sub": lambda node, x, y: _add(node, x, (-y[1], -y[0])),
    "Mul": _multiply,
    "FloorMod": _floor_mod,
    "Minimum": _extreme(min),
    "Maximum": _extreme(max),
    "ClipByValue": _clip,
    "Less": _less,
    "Greater": lambda node, x, y: _less(node, y, x),
    "Range": _range,
    "Bucketize": lambda node, _: (0.0, float(len(node.attr["boundaries"].list.f))),
    "RandomUniform": lambda *_: (0.0, 1.0),
    "StatelessRandomUniform": lambda *_: (0.0, 1.0),
    "StatelessRandomUniformV2": lambda *_: (0.0, 1.0),
    "Floor": lambda _, x: (math.floor(x[0]), math.floor(x[1])),
    "Ceil": lambda _, x: (math.ceil(x[0]), math.ceil(x[1])),
    "Round": lambda _, x: (math.floor(x[0]), math.ceil(x[1])),
    "RandomUniformInt": _drawn,
    "StatelessRandomUniformInt": _drawn,
    "StatelessRandomUniformIntV2": _drawn,
}
