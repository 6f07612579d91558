"""Guards in front of XLA: whether it may run a traced step, and on which batches.

`examine` looks through a traced step, with all functions that it calls, for operations whose check XLA
drops (`autoxla.trial.checks`). What such an operation checks hangs on one of three things.

* Shapes and constants alone, or it is within its bounds by the way it is computed. Then it is the same for
  every batch of these shapes, and plain training has run one of them: nothing is to be done.
* One tensor of the batch, such as the tokens of an embedding or the labels of a loss, in such a way that
  bounds of its numbers are enough. Then it becomes a guard. It runs before each step of XLA's, and a batch
  that does not pass goes to the plain step (`replay`), which raises what it always raised, from the same
  state.
* Anything else, such as variables, products, random numbers or loops. Then XLA does not get the step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from autoxla.trial.checks import (
    COMPILED_IN,
    DRAWS,
    GIVEN,
    HARMLESS,
    INDICES,
    INTEGERS,
    POOLED,
    ROOTS,
    SHIFTS,
    STITCHES,
)
from autoxla.trial.dataflow import Refused, Trace, Value
from autoxla.trial.intervals import Interval, find_interval, find_least

#: What is said of an operand that no guard can check.
_NO_GUARD = "XLA does not check an operand of {} as TensorFlow does, and bounds of the batch cannot"
#: What optimizers of Keras 2 compute of the rows of a sparse gradient, row by row.
_BY_ROWS = frozenset({
    "Abs", "AddV2", "Identity", "Maximum", "Mul", "Neg", "RealDiv", "Sign", "Sqrt", "Square", "Sub",
})  # fmt: skip
#: The type in which floats of so many bytes are added up.
_WIDER = {2: np.float32}


class Check(NamedTuple):
    """A value that is to be from `low` to `high`, both included, as an operand of `operation`."""

    operation: str
    value: Value
    low: float
    high: float

    def holds(self, trace: Trace, assumed: Mapping[Value, Interval]) -> bool:
        """Return whether it is, whatever the data are, given the bounds ``assumed``."""
        found = find_interval(trace, self.value, assumed)
        return found is not None and self.low <= found[0] and found[1] <= self.high


def examine(concrete: Any, definition: Any) -> Guard:
    """Return the guard that XLA needs to run the traced step ``concrete``.

    ``definition`` is the ``GraphDef`` of its graph. The plain step is to have run on a batch of the same
    shapes before XLA does. Raises Refused where XLA must not run the step.
    """
    trace = Trace(concrete, definition)
    fed = {trace.argument(number): number for number in range(trace.fed)}
    checks: list[Check] = []
    bounds: dict[int, Interval] = {}
    for value in trace.values():
        node, operation = value.node, str(value.node.op)
        operands = value.call.operands(node)
        is_checked = operation not in INTEGERS or tf.as_dtype(node.attr["T"].type).is_integer
        for number in GIVEN.get(operation, ()) if is_checked else ():
            if not trace.is_given(operands[number]):
                raise Refused(_NO_GUARD.format(operation))
            if not (trace.is_certain(value.call) or _is_positive(trace, operation, operands[number])):
                raise Refused(f"XLA does not check {operation}, and the data decide whether it is run")
        compiled_in = COMPILED_IN.get(operation, ())
        for number in range(node.attr["N"].i) if operation in STITCHES else compiled_in:
            if not trace.is_given(operands[number]):
                raise Refused(f"XLA would compile the step anew for each value of an operand of {operation}")
            if trace.counts(operands[number]):
                raise Refused(f"a loop's counter decides what {operation} takes: XLA's gradients are wrong")
        if operation == "Unique" and not _is_of_gradient(trace, value):
            raise Refused("the data say how many rows Unique gives")
        if not any(operation in known for known in (HARMLESS, GIVEN, COMPILED_IN, INDICES, ROOTS)):
            raise Refused(f"it is not known whether XLA has {operation}, and whether with all checks")
        if _is_other(trace, value, fed):
            raise Refused(f"XLA gives other numbers than TensorFlow in {operation}")
        check = _find_check(trace, value)
        if check is None or check.holds(trace, {}):
            continue
        numbers = [fed.get(argument) for argument in trace.arguments(check.value)]
        if len(numbers) != 1 or numbers[0] is None:
            raise Refused(_NO_GUARD.format(check.operation))
        checks.append(check)
        _, high = bounds.get(numbers[0], (0, 2.0**31 - 1))
        bounds[numbers[0]] = 0, min(high, check.high)
    assumed = {trace.argument(number): each for number, each in bounds.items()}
    for check in checks:
        if not check.holds(trace, assumed):
            raise Refused(_NO_GUARD.format(check.operation))
    return Guard([variable for variable in trace.variables.values() if variable.dtype.is_floating], bounds)


def _find_check(trace: Trace, value: Value) -> Check | None:
    """Return what TensorFlow checks, or takes otherwise than XLA, in an operation; None if nothing varies."""
    node, operands = value.node, value.call.operands(value.node)
    if node.op == "Cast":
        source, target = (tf.as_dtype(node.attr[name].type) for name in ("SrcT", "DstT"))
        if source.is_complex and not target.is_complex:
            raise Refused("XLA gives other numbers than TensorFlow in Cast")
        if not source.is_floating or not target.is_integer or trace.is_given(operands[0]):
            return None
        # The greatest number of the floats that is one of the integers.
        limit = source.as_numpy_dtype(target.max)
        high = limit if limit < target.max + 1 else np.nextafter(limit, limit.dtype.type(0))
        return Check("Cast", operands[0], float(target.min), float(high))
    if node.op in SHIFTS:
        return Check(str(node.op), operands[1], 0, 8 * tf.as_dtype(node.attr["T"].type).size - 1)
    rows = INDICES.get(node.op)
    if rows is None or (trace.is_given(operands[rows.operand]) and trace.is_certain(value.call)):
        return None
    index = trace.follow(operands[rows.operand])
    if index.node is not None and (index.node.op, index.output) == ("Unique", 1):
        return None  # see `_is_of_gradient`
    if rows.axis is None:
        size = trace.constant(operands[rows.of])
    else:
        axis, shape = rows.axis, trace.shape(operands[rows.of])
        if isinstance(axis, str):
            of_operand = axis.startswith("operand ")
            axis = trace.constant(operands[int(axis[-1])]) if of_operand else node.attr[axis].i
        size = None if axis is None or shape is None else shape[int(axis)]
    if size is None:
        raise Refused(f"the bounds that TensorFlow checks in {node.op} are not known")
    return Check(str(node.op), index, 0, float(size) - 1)


def _is_other(trace: Trace, value: Value, fed: Mapping[Value, int]) -> bool:
    """Return whether XLA may give other numbers than TensorFlow, beyond rounding, of numbers that are finite.

    ``fed`` are the tensors of a batch.
    """
    node, operands = value.node, value.call.operands(value.node)
    if node.op in ROOTS:
        (name, least), kind = ROOTS[node.op], tf.as_dtype(node.attr["T"].type)
        root = trace.follow(operands[0])
        if not kind.is_floating or root.node is None or root.node.op != name:
            return True
        return find_least(trace, root.call.operands(root.node)[0]) < (1e-3 if kind == tf.float16 else least)
    if node.op in DRAWS:
        # Random for the program, too, only where a variable decides.
        seed = operands[DRAWS[node.op]]
        return trace.is_given(seed) or trace.arguments(seed) <= fed.keys()
    if node.op == "TopKV2":
        return not node.attr["sorted"].b
    if node.op == "InTopKV2":
        constants = [each for call in trace.calls for each in call.nodes.values() if each.op == "Const"]
        arrays = [tf.make_ndarray(each.attr["value"].tensor) for each in constants]
        return any(array.dtype.kind == "f" and not np.isfinite(array).all() for array in arrays)
    return node.op in POOLED and node.attr["padding"].s == b"SAME"


def _is_positive(trace: Trace, operation: str, operand: Value) -> bool:
    """Return whether ``operand`` of a division or a power of integers is above 0 whatever the data are."""
    found = find_interval(trace, operand, {}) if operation in INTEGERS else None
    return found is not None and found[0] > 0


def _is_of_gradient(trace: Trace, unique: Value) -> bool:
    """Return whether ``unique`` adds up the rows of a sparse gradient, as optimizers of Keras 2 do.

    What follows takes as many rows as it gives, whatever these are, and nothing else knows their number.
    """
    call = unique.call
    operands = {
        name: [(each.name, each.output) for each in call.operands(node)] for name, node in call.nodes.items()
    }
    takers: dict[str, list[str]] = {}
    for taker, places in operands.items():
        for name, _ in places:
            takers.setdefault(name, []).append(taker)
    reached, waiting = set(), [unique.name]
    while waiting:
        for taker in takers.get(waiting.pop(), ()):
            if taker not in reached:
                reached.add(taker)
                waiting.append(taker)
    kinds = {name: call.nodes[name].op for name in reached}
    different, which = (unique.name, 0), (unique.name, 1)

    def is_row(name: str, output: int) -> bool:
        has_rows = kinds.get(name) in _BY_ROWS | {"UnsortedSegmentSum", "ResourceGather"}
        return has_rows or (name not in reached and trace.shape(Value(call, name, output)) == [])

    def takes_all(name: str) -> bool:
        kind, places = kinds[name], operands[name]
        if kind == "Shape":
            return places == [different]
        if kind == "StridedSlice":
            return kinds.get(places[0][0]) == "Shape"
        if kind == "UnsortedSegmentSum":
            return (
                places[1] == which
                and kinds.get(places[2][0]) == "StridedSlice"
                and places[0][0] not in reached
            )
        if kind == "ResourceGather":
            return places[1] == different
        if kind in ("ResourceScatterAdd", "ResourceScatterSub", "ResourceScatterUpdate"):
            return places[1] == different and is_row(*places[2])
        return kind in _BY_ROWS and all(is_row(*place) for place in places)

    is_used = "UnsortedSegmentSum" in kinds.values()
    given_out = {tensor.op.name for tensor in trace.graph.outputs} if call.caller is None else call.results
    return (
        is_used
        and all(takes_all(name) for name in reached)
        and not any(name.partition(":")[0] in reached for name in given_out)
    )


class Guard:
    """Tells whether a batch passes: called with its tensors before each step of XLA's.

    `bounds`: those of some of its tensors, by number, that are enough. `variables`: the step's weights.
    """

    def __init__(self, variables: Sequence[Any], bounds: Mapping[int, Interval]) -> None:
        self.bounds = bounds
        self._variables = variables
        #: Whether the weights, and all batches so far, are free of NaN; None before the first batch.
        self._is_free: bool | None = None

    def __call__(self, batch: Sequence[Any]) -> bool:
        """Return whether no check of TensorFlow's fails for ``batch``, and none had a NaN so far.

        TensorFlow's minima and activations let a NaN pass where XLA's do not, and the other way round. So
        once there is one in the weights, or may be, nothing passes any more.
        """
        if self._is_free is None:
            self._is_free = not any(np.isnan(_add_up(variable.numpy())) for variable in self._variables)
        self._is_free &= all(bool(np.isfinite(_add_up(_view(tensor)))) for tensor in batch)
        return self._is_free and self.is_within(batch)

    def forget(self) -> None:
        """Look at the weights again before the next batch: others may have changed them."""
        self._is_free = None

    def is_within(self, batch: Sequence[Any]) -> bool:
        """Return whether the numbers of ``batch`` are within the bounds."""
        for number, (low, high) in self.bounds.items():
            array = _view(batch[number])
            # Of nothing at all there is no minimum.
            if not array.size or not (
                np.minimum.reduce(array, None) >= low and np.maximum.reduce(array, None) <= high
            ):
                return False
        return True


def _view(tensor: Any) -> Any:
    """Return the numbers of ``tensor``, without a copy where Python knows their type."""
    is_known = tensor.dtype not in (tf.bfloat16, tf.string)
    return np.asarray(memoryview(tensor) if is_known else tensor.numpy())


def _add_up(array: Any) -> Any:
    """Return a number that is finite only where all of ``array`` are: their sum, 0 for integers and texts."""
    return 0 if array.dtype.kind in "iubOS" else np.add.reduce(array, None, _WIDER.get(array.itemsize))


def replay(stock: Callable[[Any], Any], iterator: Any, batch: Sequence[Any]) -> Any:
    """Run ``stock``, Keras' own ``train_function``, on one ``batch`` of ``iterator``; return its logs.

    Keras' function is not traced again for it, and raises what it raises in plain training.
    """
    spec = iterator.element_spec

    def open_shapes(*tensors: Any) -> Any:
        flat = [
            tf.compat.v1.placeholder_with_default(tensor, each.shape)
            for tensor, each in zip(tensors, tf.nest.flatten(spec), strict=True)
        ]
        return tf.nest.pack_sequence_as(spec, flat)

    one = tf.data.Dataset.from_tensors(tuple(batch)).map(open_shapes)
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    return stock(iter(one.with_options(options)))
