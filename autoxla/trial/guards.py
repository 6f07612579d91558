"""Guards in front of XLA: whether it may run a traced step, and on which batches.

`examine` looks through a traced step, with all functions that it calls, for operations whose check XLA
drops (`autoxla.trial.checks`). What such an operation checks hangs on one of three things.

* Shapes and constants alone, or it is within its bounds by the way it is computed. Then it is the same for
  every batch of these shapes, and plain training has run one of them: nothing is to be done.
* The batch, by a few cheap operations, such as the tokens of an embedding or the labels of a loss. Then it
  becomes a guard. It runs before each step of XLA's, and a batch that does not pass goes to the plain
  step (`replay`), which raises what it always raised, from the same state.
* Anything else, such as variables, products, random numbers or loops. Then XLA does not get the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from autoxla.hooks.boundary import is_of_a_signal
from autoxla.trial.checks import (
    BOUNDS,
    CHEAP,
    COMPILED_IN,
    GIVEN,
    HARMLESS,
    INTEGERS,
    OF_SHAPES,
    REFUSED,
    Bound,
)
from autoxla.trial.dataflow import DEEPEST, Refused, Trace, Value
from autoxla.trial.intervals import Interval, find_interval

#: What is said of an operand that no guard can check.
_NO_GUARD = "XLA does not check an operand of {} as TensorFlow does, and no guard can: it hangs on {}"
#: How the two results of a `Unique` are used that adds up the rows of a sparse gradient.
_SUMMED = ("UnsortedSegmentSum", 1, 1)
_USES = {
    _SUMMED, ("Shape", 0, 0), ("ResourceScatterAdd", 1, 0), ("ResourceScatterSub", 1, 0),
    ("ResourceScatterUpdate", 1, 0), ("ResourceGather", 1, 0),
}  # fmt: skip
#: Operations that give the values of their operand in another place or order, each at least once.
_PLACES = frozenset({"Reshape", "ExpandDims", "Squeeze", "Transpose", "RandomShuffle", "Unique"})
#: The type in which floats of so many bytes are added up.
_WIDER = {2: np.float32}


@dataclass(frozen=True, slots=True)
class Check:
    """An operand that is to be within `bound`: the node, all its operands, and that one's value."""

    node: Any
    operands: Sequence[Value]
    bound: Bound
    value: Value

    @property
    def of(self) -> Value:
        """Return the operand that gives the bound."""
        return self.operands[self.bound.of]


@dataclass(frozen=True, slots=True)
class Range:
    """A value that is to be from `low` to `high`, both included, and where `nonzero`, not zero.

    `high` is a tuple where the last dimension holds the numbers of a point, each with a bound of its own.
    """

    value: Value
    low: float
    high: float | tuple[int, ...]
    nonzero: bool = False

    @property
    def least_high(self) -> float:
        """Return the bound that all numbers of a point are to keep."""
        return min(self.high) if isinstance(self.high, tuple) else self.high


def examine(concrete: Any, definition: Any) -> Guards | str:
    """Return the guards that XLA needs to run the traced step ``concrete``, or why it must not run it.

    ``definition`` is the ``GraphDef`` of its graph. The plain step is to have run on a batch of the same
    shapes before XLA does.
    """
    try:
        trace = Trace(concrete, definition)
        return Guards(trace, list(_find_checks(trace)))
    except Refused as reason:
        return str(reason)


def _find_checks(trace: Trace) -> Iterator[Check]:
    """Yield what must be checked for each batch. Raises Refused where that is not to be had."""
    for value in trace.values():
        node, operation = value.node, str(value.node.op)
        operands = value.call.operands(node)
        if operation in REFUSED:
            if not all(map(trace.is_given, operands[:1] if operation == "Assert" else operands)):
                raise Refused(f"{operation} raises an error by what a step computes, under XLA it does not")
            continue
        for number in GIVEN.get(operation, ()):
            if not trace.is_given(operands[number]):
                raise Refused(_NO_GUARD.format(operation, "data"))
        for number in COMPILED_IN.get(operation, ()):
            if not trace.is_given(operands[number]):
                raise Refused(f"XLA would compile the step anew for each value of an operand of {operation}")
        sizes = COMPILED_IN.get(operation, (0,) if operation == "Where" else ())
        counted = [number for number in sizes if trace.counts(operands[number])]
        if not all(_is_one_row(trace, value, number) for number in counted):
            raise Refused(f"a loop's counter decides how much {operation} gives: XLA's gradients are wrong")
        if _is_other_number(node) and not trace.is_given(operands[0]):
            raise Refused(f"XLA gives other numbers than TensorFlow in {operation}")
        if operation == "Unique" and not _is_of_gradient(value):
            raise Refused("the data say how many rows Unique gives")
        bound = BOUNDS.get(operation)
        if bound is None:
            if not any(operation in known for known in (HARMLESS, GIVEN, COMPILED_IN)):
                raise Refused(f"it is not known whether XLA keeps the checks of {operation}")
        elif _is_checked(node, bound) and not trace.is_given(operands[bound.operand]):
            checked = trace.follow(operands[bound.operand])
            yield Check(
                node, operands, bound, _root(trace, checked) if bound.kind == "dimension" else checked
            )


def _is_one_row(trace: Trace, value: Value, number: int) -> bool:
    """Return whether operand ``number`` of a slice counts in dimensions only of which it takes one row."""
    if value.node.op not in ("StridedSlice", "StridedSliceGrad"):
        return False
    packed = trace.follow(value.call.operands(value.node)[number])
    if packed.node is None or packed.node.op != "Pack":
        return False
    single = value.node.attr["shrink_axis_mask"].i
    places = enumerate(packed.call.operands(packed.node))
    return all(single >> place & 1 for place, each in places if trace.counts(each))


def _is_other_number(node: Any) -> bool:
    """Return whether ``node`` gives another result under XLA for some finite numbers of its types."""
    if node.op == "Cast":
        source, target = (tf.as_dtype(node.attr[name].type) for name in ("SrcT", "DstT"))
        return bool(source.is_complex and not target.is_complex)
    return node.op == "Mean" and bool(tf.as_dtype(node.attr["T"].type).is_integer)


def _is_checked(node: Any, bound: Bound) -> bool:
    """Return whether ``node`` is checked for the types of its operands."""
    if bound.kind == "integer":
        source, target = (tf.as_dtype(node.attr[name].type) for name in ("SrcT", "DstT"))
        return bool(source.is_floating and target.is_integer)
    return node.op not in INTEGERS or bool(tf.as_dtype(node.attr["T"].type).is_integer)


def _is_of_gradient(unique: Value) -> bool:
    """Return whether ``unique`` adds up the rows of a sparse gradient, as optimizers of Keras 2 do.

    What follows takes as many rows as it gives, whatever these are.
    """
    uses = [
        (node.op, number, output)
        for node in unique.call.nodes.values()
        for number, (_, name, output) in enumerate(unique.call.operands(node))
        if name == unique.name
    ]
    return all(use in _USES for use in uses) and (_SUMMED in uses)


def _root(trace: Trace, value: Value) -> Value:
    """Return the value of which ``value`` is another shape, or the same in more digits."""
    while value.node is not None:
        is_wider = value.node.op == "Cast" and (
            value.node.attr["SrcT"].type == tf.int32.as_datatype_enum
            and value.node.attr["DstT"].type == tf.int64.as_datatype_enum
        )
        if value.output > 0 or (value.node.op not in _PLACES and not is_wider):
            break
        value = trace.follow(value.call.operands(value.node)[0])
    return value


class Guards:
    """The checks of one step that XLA drops and that the batch decides. Of them `prepare` makes a guard."""

    def __init__(self, trace: Trace, checks: Sequence[Check]) -> None:
        self._trace = trace
        self._checks = [check for check in checks if not self._is_settled(check)]
        for check in self._checks:
            self._cut(check)

    def prepare(self, batch: Sequence[Any]) -> Guard:
        """Return what tells whether a batch of the shapes of ``batch`` passes.

        Raises Refused where that cannot be told.
        """
        self._learn(batch)
        ranges = [self._find_range(check) for check in self._checks if not self._is_settled(check)]
        # An index is checked with its gradient's.
        ranges = list(dict.fromkeys(ranges))
        return Guard(self._trace, ranges, self._find_quick(ranges))

    def _is_settled(self, check: Check) -> bool:
        """Return whether ``check`` cannot fail, by the way in which its operand is computed."""
        if check.value.node is not None and (check.value.node.op, check.value.output) == ("Unique", 1):
            return True  # see `_is_of_gradient`
        return self._size(check) is not None and self._holds(self._find_range(check), {})

    def _cut(self, check: Check) -> Cut:
        cut = Cut(self._trace)
        try:
            cut.add(check.value)
        except Refused as reason:
            raise Refused(_NO_GUARD.format(check.node.op, reason)) from None
        return cut

    def _find_range(self, check: Check) -> Range:
        size, kind = self._size(check), check.bound.kind
        if size is None:
            raise Refused(f"the bounds that TensorFlow checks in {check.node.op} are not known")
        if kind == "integer":
            target = tf.as_dtype(check.node.attr["DstT"].type)
            return Range(check.value, float(target.min), size)
        if kind in ("dimensions", "values"):
            return Range(check.value, 0, tuple(int(each) - 1 for each in size))
        low = 0 if check.bound.from_zero and kind != "nonzero" else -math.inf
        return Range(check.value, low, float(size) - (not check.bound.inclusive), kind == "nonzero")

    def _size(self, check: Check) -> Any:
        """Return the number, or the numbers, below which the value is to be; None where they are open."""
        trace, kind = self._trace, check.bound.kind
        if kind in ("nonzero", "nonnegative"):
            return math.inf
        if kind == "integer":
            # The greatest number of the floats that is one of the integers.
            source, target = (tf.as_dtype(check.node.attr[name].type) for name in ("SrcT", "DstT"))
            limit = source.as_numpy_dtype(target.max)
            return float(limit if limit < target.max + 1 else np.nextafter(limit, limit.dtype.type(0)))
        if kind == "value":
            return trace.constant(check.of)
        shape = trace.constant(check.of) if kind == "values" else trace.shape(check.of)
        if kind == "dimension":
            return None if shape is None else shape[self._axis(check)]
        count = (trace.shape(check.value) or [None])[-1]
        sizes = None if shape is None or count is None else list(shape[:count])
        return None if sizes is None or None in sizes else sizes

    def _axis(self, check: Check) -> int:
        axis = check.bound.axis
        if isinstance(axis, int):
            return axis
        if not axis.startswith("operand "):
            return int(check.node.attr[axis].i)
        constant = self._trace.constant(check.operands[int(axis.removeprefix("operand "))])
        if constant is None:
            raise Refused(f"the axis of {check.node.op} is not known")
        return int(constant)

    def _learn(self, batch: Sequence[Any]) -> None:
        """Find the shapes and numbers that the trace leaves open, for the shapes of ``batch``."""
        wanted: list[Value] = []
        for check in self._checks:
            if self._size(check) is None:
                wanted += [check.of, check.value]
            wanted += self._cut(check).open
        if not wanted:
            return
        cut = Cut(self._trace, widely=True)
        names = [cut.add(value) for value in wanted]
        for value, tensor in zip(wanted, cut.trace(names, batch, list).outputs, strict=True):
            self._trace.learn(value, tensor.shape.as_list(), tf.get_static_value(tensor))

    def _holds(self, within: Range, assumed: Mapping[Value, Interval]) -> bool:
        """Return whether a value is within its range whatever the data are, given what is ``assumed``."""
        found = find_interval(self._trace, within.value, assumed)
        if found is None:
            return False
        low, high = found
        return within.low <= low and high <= within.least_high and not (within.nonzero and low <= 0 <= high)

    def _find_quick(self, ranges: Sequence[Range]) -> dict[int, Interval] | None:
        """Return, by the numbers of tensors of the batch, bounds that are enough for all ``ranges``.

        None where there are none.
        """
        quick: dict[int, Interval] = {}
        for within in ranges:
            cut = Cut(self._trace)
            cut.add(within.value)
            fed = [number for number in cut.inputs if number < self._trace.fed]
            if len(fed) != 1:
                return None
            low, high = quick.get(fed[0], (0.0, 2.0**31 - 1))
            quick[fed[0]] = max(low, float(within.nonzero)), min(high, within.least_high)
        assumed = {self._trace.argument(number): bounds for number, bounds in quick.items()}
        if not all(self._holds(within, assumed) for within in ranges):
            return None
        return quick


class Guard:
    """Tells whether a batch passes: called with its tensors before each step of XLA's.

    `quick`: the bounds of some of its tensors that are enough, None where bounds do not tell.
    """

    def __init__(self, trace: Trace, ranges: Sequence[Range], quick: Mapping[int, Interval] | None) -> None:
        self._trace = trace
        self.ranges = ranges
        self.quick = quick
        self._exact: Callable[..., Any] | None = None
        #: Whether the weights, and all batches so far, are free of NaN; None before the first batch.
        self._is_free: bool | None = None

    def __call__(self, batch: Sequence[Any]) -> bool:
        """Return whether no check of TensorFlow's fails for ``batch``, and none had a NaN so far.

        TensorFlow's minima and activations let a NaN pass where XLA's do not, and the other way round. So
        once there is one in the weights, or may be, nothing passes any more. Nor does a batch of which
        nothing can be told: plain training takes any.
        """
        try:
            arrays = [_view(tensor) for tensor in batch]
            if self._is_free is None:
                floats = [each for each in self._trace.variables.values() if each.dtype.is_floating]
                self._is_free = not any(np.isnan(_add_up(variable.numpy())) for variable in floats)
            self._is_free &= all(bool(np.isfinite(_add_up(array))) for array in arrays)
            return self._is_free and (self._is_within_bounds(arrays) or self.check(batch))
        except Exception as error:
            if is_of_a_signal(error):
                raise
            return False  # an operation that the guard needs may fail itself, as in the step

    def forget(self) -> None:
        """Look at the weights again before the next batch: others may have changed them."""
        self._is_free = None

    def _is_within_bounds(self, arrays: Sequence[Any]) -> bool:
        if self.quick is None:
            return False
        for number, (low, high) in self.quick.items():
            array = arrays[number]
            # Of nothing at all there is no minimum.
            if not array.size or not (
                np.minimum.reduce(array, None) >= low and np.maximum.reduce(array, None) <= high
            ):
                return False
        return True

    def check(self, batch: Sequence[Any]) -> bool:
        """Return what the operations say that the checked operands hang on, as TensorFlow runs them."""
        if self._exact is None:
            cut = Cut(self._trace)
            names = [cut.add(each.value) for each in self.ranges]

            def check(values: Sequence[Any]) -> Any:
                verdicts = [_check(value, each) for value, each in zip(values, self.ranges, strict=True)]
                return tf.reduce_all(tf.stack(verdicts)) if verdicts else tf.constant(True)

            self._exact = cut.trace(names, batch, check)
        return bool(self._exact(*batch))


def _view(tensor: Any) -> Any:
    """Return the numbers of ``tensor``, without a copy where Python knows their type."""
    return tensor.numpy() if tensor.dtype in (tf.bfloat16, tf.string) else np.asarray(memoryview(tensor))


def _add_up(array: Any) -> Any:
    """Return a number that is finite only where all of ``array`` are: their sum, 0 for integers."""
    return 0 if array.dtype.kind in "iub" else np.add.reduce(array, None, _WIDER.get(array.itemsize))


def _check(value: Any, within: Range) -> Any:
    """Return a tensor that says whether all of ``value`` is ``within``."""
    verdicts = [value != 0] if within.nonzero else []
    if within.low > -math.inf:
        verdicts.append(value >= tf.constant(within.low, value.dtype))
    if isinstance(within.high, tuple):
        verdicts.append(value <= tf.constant(within.high, value.dtype))
    elif within.high < value.dtype.max:
        verdicts.append(value <= tf.constant(int(within.high), value.dtype))
    return tf.reduce_all(tf.stack([tf.reduce_all(verdict) for verdict in verdicts]))


class Cut:
    """Operations cut out of a step: all that some values hang on, as a ``GraphDef`` of their own.

    The step's arguments are its inputs ``input0:0`` and so on. Raises Refused where a value hangs on more
    than the batch, shapes and constants. With `widely` it may hang on whatever a step computes without a
    loop: such a graph is good for the shapes in it and is never run.
    """

    def __init__(self, trace: Trace, *, widely: bool = False) -> None:
        self.definition = tf.compat.v1.GraphDef()
        self.definition.versions.CopyFrom(trace.graph.graph_def_versions)
        self.inputs: set[int] = set()
        #: Values whose shapes had to be known, and are not.
        self.open: list[Value] = []
        self._trace = trace
        self._widely = widely
        self._names: dict[tuple[int, str], str] = {}

    def add(self, value: Value, depth: int = 0) -> str:
        """Add what ``value`` hangs on; return its name in the new graph."""
        value = self._trace.follow(value)
        if value.node is None:
            return self._add_input(value)
        if depth > DEEPEST:
            raise Refused("a long chain of operations")
        if not self._widely and value.node.op in OF_SHAPES and value.node.op != "Const":
            return self._add_shape(value, depth)
        self._check(value.node)
        key = (value.call.number, value.name)
        if key not in self._names:
            operands = [self.add(operand, depth + 1) for operand in value.call.operands(value.node)]
            self._names[key] = self._copy(value.node, operands)
        return f"{self._names[key]}:{value.output}"

    def _check(self, node: Any) -> None:
        if node.op in CHEAP or node.op == "Const":
            return
        if self._widely and not any(attribute.HasField("func") for attribute in node.attr.values()):
            return
        raise Refused(_WHY.get(node.op, str(node.op)))

    def _add_input(self, value: Value) -> str:
        if value.call.caller is not None:
            raise Refused("a loop")
        number = value.call.arguments[value.name]
        if not self._widely and number >= self._trace.fed and not self._trace.is_given(value):
            raise Refused("a variable")
        self.inputs.add(number)
        return f"input{number}:0"

    def _add_shape(self, value: Value, depth: int) -> str:
        """Add an operation that looks at a shape only: as a constant, where the shape is known."""
        constant = self._trace.constant(value)
        if constant is not None:
            return self._add_constant(constant)
        operands = value.call.operands(value.node)
        try:
            return (
                f"{self._copy(value.node, [self.add(each, depth + 1) for each in operands])}:{value.output}"
            )
        except Refused:
            self.open += operands
            return self._add_constant(0)

    def _add_constant(self, array: Any) -> str:
        node = self._new("Const")
        tensor = tf.make_tensor_proto(array)
        node.attr["value"].tensor.CopyFrom(tensor)
        node.attr["dtype"].type = tensor.dtype
        return f"{node.name}:0"

    def _copy(self, node: Any, operands: Sequence[str]) -> str:
        copy = self._new(node.op)
        copy.input.extend(operands)
        for name, value in node.attr.items():
            # Those with an underscore are notes of TensorFlow's to itself, of places that are not here.
            if not name.startswith("_"):
                copy.attr[name].CopyFrom(value)
        return str(copy.name)

    def _new(self, operation: str) -> Any:
        node = self.definition.node.add()
        node.op, node.name = operation, f"node{len(self.definition.node)}"
        return node

    def trace(self, names: Sequence[str], batch: Sequence[Any], function: Callable[[list[Any]], Any]) -> Any:
        """Return a ``tf.ConcreteFunction`` of a batch's tensors: ``function`` of the tensors ``names``."""

        def run(*tensors: Any) -> Any:
            graph = tf.compat.v1.get_default_graph()
            inputs = {
                f"input{number}:0": tensors[number]
                if number < self._trace.fed
                else graph.capture(self._trace.captured[number - self._trace.fed])
                for number in self.inputs
            }
            made = [name for name in names if name not in inputs]
            # TensorFlow wants no more than what is taken.
            names_taken = {name for node in self.definition.node for name in node.input}
            taken = {name: tensor for name, tensor in inputs.items() if name in names_taken}
            given = tf.graph_util.import_graph_def(self.definition, input_map=taken, return_elements=made)
            found = {**inputs, **dict(zip(made, given, strict=True))}
            return function([found[name] for name in names])

        return tf.function(run, autograph=False).get_concrete_function(*map(tf.TensorSpec.from_tensor, batch))


#: What operations are that a guard does not compute.
_WHY = {
    **dict.fromkeys(("ReadVariableOp", "VarHandleOp"), "a variable"),
    **dict.fromkeys(("While", "StatelessWhile", "TensorListGetItem", "TensorListStack"), "a loop"),
    **dict.fromkeys(("If", "StatelessIf", "Case", "StatelessCase"), "a branch"),
    **dict.fromkeys(("MatMul", "BatchMatMulV2", "Einsum", "Conv2D", "BiasAdd"), "what the network computes"),
}


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
