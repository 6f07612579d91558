"""What the values of a traced step hang on: shapes and constants alone, the batch, or more.

A step is looked at with all functions that it calls: each is entered once for each place that calls it, so
that its arguments are known. Nothing is traced or run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from autoxla.trial.checks import (
    BRANCHES,
    CALLS,
    CONTENTS,
    LENGTHS,
    LOOPS,
    OF_SHAPES,
    PURE,
    SAME,
    TAKEN,
    Aspect,
)

#: So long a chain of operations is followed, and so many calls of functions are looked into.
DEEPEST = 200
_MOST_CALLS = 2000
#: The number of the type int64.
_INT64 = 9


class Refused(Exception):  # noqa: N818 - no error of anybody's
    """Why XLA must not run a step."""


class Value(NamedTuple):
    """An output of an operation, in one of the calls of the function that it is in."""

    call: Call
    name: str
    output: int

    @property
    def node(self) -> Any:
        """Return the operation as a ``NodeDef``, None for an argument of a function."""
        return self.call.nodes.get(self.name)


@dataclass(eq=False, slots=True)
class Call:
    """A function as it is called from one place, or the whole graph, which nobody calls.

    `nodes` are its operations by their names, `arguments` and `results` the names of these. `skipped`: how
    many operands of the calling operation are not the function's. `loop`: what of each variable of the loop
    hangs on shapes alone, None where this is no loop.
    """

    nodes: dict[str, Any]
    arguments: dict[str, int]
    results: Sequence[str] = ()
    caller: Value | None = None
    skipped: int = 0
    loop: list[set[Aspect]] | None = None
    number: int = 0
    inner: dict[str, list[Call]] = field(default_factory=dict)

    def operands(self, node: Any) -> list[Value]:
        """Return what ``node``, of this function, takes."""
        return [self._locate(name) for name in node.input if not name.startswith("^")]

    def result(self, number: int) -> Value:
        """Return where result ``number`` of the function is made."""
        return self._locate(self.results[number])

    def _locate(self, reference: str) -> Value:
        """Return what ``node``, ``node:1`` or a function's ``node:out:1`` names."""
        name, *rest = reference.split(":")
        if len(rest) < 2:
            return Value(self, name, int(rest[0]) if rest else 0)
        from tensorflow.python.framework import op_def_registry

        node, number = self.nodes[name], int(rest[1])
        for output in op_def_registry.get(node.op).output_arg:
            if output.name == rest[0]:
                break
            if output.number_attr:
                number += node.attr[output.number_attr].i
            elif output.type_list_attr:
                number += len(node.attr[output.type_list_attr].list.type)
            else:
                number += 1
        return Value(self, name, number)


class Trace:
    """A traced step: all its operations, and what their values hang on."""

    def __init__(self, concrete: Any, definition: Any) -> None:
        self.graph = concrete.graph
        self._inputs = concrete.graph.inputs
        self.captured = concrete.captured_inputs
        self.fed = len(self._inputs) - len(self.captured)
        self.variables = {id(variable.handle): variable for variable in concrete.variables}
        self._functions = {function.signature.name: function for function in definition.library.function}
        self.calls: list[Call] = []
        #: The body and the condition of each loop.
        self._loops: list[tuple[Call, Call]] = []
        self._known: dict[tuple[Value, Aspect], bool] = {}
        self._counting: dict[Value, bool] = {}
        arguments = {tensor.op.name: number for number, tensor in enumerate(self._inputs)}
        self._enter(
            Call({node.name: node for node in definition.node if node.name not in arguments}, arguments)
        )
        # The variables of loops hang on shapes alone, all but those that can be seen to vary.
        while sum(self._vary(*loop) for loop in self._loops):
            self._known.clear()

    def values(self) -> Iterator[Value]:
        """Yield the first output of each operation, in each call of the function that it is in."""
        for call in self.calls:
            yield from (Value(call, name, 0) for name in call.nodes)

    def _enter(self, call: Call) -> None:
        if len(self.calls) >= _MOST_CALLS:
            raise Refused("its functions call each other too often to be looked through")
        call.number = len(self.calls)
        self.calls.append(call)
        for name, node in call.nodes.items():
            for attribute in CALLS.get(node.op, ()):
                function = self._functions[node.attr[attribute].func.name]
                signature = function.signature
                inner = Call(
                    nodes={node.name: node for node in function.node_def},
                    arguments={argument.name: n for n, argument in enumerate(signature.input_arg)},
                    results=[function.ret[result.name] for result in signature.output_arg],
                    caller=Value(call, name, 0),
                    skipped=int(node.op in BRANCHES),
                    loop=[] if node.op in LOOPS else None,
                )
                call.inner.setdefault(name, []).append(inner)
                self._enter(inner)
            if node.op in LOOPS:
                # The body and the condition of a loop have the same variables.
                body, condition = call.inner[name]
                body.loop = condition.loop = [{"value", "contents"} for _ in body.arguments]
                self._loops.append((body, condition))

    def is_certain(self, call: Call) -> bool:
        """Return whether ``call`` is run, and as often, whatever the data are."""
        while call.caller is not None:
            outer, node = call.caller.call, call.caller.node
            if node.op in BRANCHES:
                decides = outer.operands(node)[0]
            elif node.op in LOOPS:
                decides = outer.inner[node.name][1].result(0)
            else:
                decides = None
            if decides is not None and not self.is_given(decides):
                return False
            call = outer
        return True

    # What a value hangs on

    def _vary(self, body: Call, condition: Call) -> bool:
        """Take out what varies in a loop, by what is known of the rest; return whether anything did."""
        if body.caller is None or body.loop is None:
            return False
        first = body.caller.call.operands(body.caller.node)
        ends = self.is_given(condition.result(0))
        varied = False
        for number, aspects in enumerate(body.loop):
            result = body.result(number)
            for aspect in tuple(aspects):
                if not (ends and all(self.is_given(each, aspect) for each in (first[number], result))):
                    aspects.remove(aspect)
                    varied = True
        return varied

    def follow(self, value: Value) -> Value:
        """Return where ``value`` is made: through calls, and through what only hands it on."""
        while True:
            call, name, output = value
            node = value.node
            if node is None:
                number = call.arguments[name]
                if call.caller is None or (call.loop is not None and not _is_kept(call, number)):
                    return value
                value = call.caller.call.operands(call.caller.node)[number + call.skipped]
            elif node.op in SAME:
                value = call.operands(node)[0]
            elif node.op in LOOPS and _is_kept(call.inner[name][0], output):
                value = call.operands(node)[output]
            elif node.op in ("PartitionedCall", "StatefulPartitionedCall"):
                value = call.inner[name][0].result(output)
            else:
                return value

    def is_given(self, value: Value, aspect: Aspect = "value", depth: int = 0) -> bool:
        """Return whether ``value`` hangs on shapes and constants alone. The value of a list is its length."""
        value = self.follow(value)
        if (value, aspect) not in self._known:
            self._known[value, aspect] = depth < DEEPEST and self._is_given(value, aspect, depth)
        return self._known[value, aspect]

    def _is_given(self, value: Value, aspect: Aspect, depth: int) -> bool:
        call, name, output = value
        node = value.node
        if node is None:
            if call.loop is not None:
                return aspect in call.loop[call.arguments[name]]
            return self._capture(value) is not None
        if node.op in LOOPS:
            loop = call.inner[name][0].loop
            return loop is not None and aspect in loop[output]
        operands = call.operands(node)
        needed: list[tuple[Value, Aspect]]
        if node.op in TAKEN and (node.op != "TensorListPopBack" or output == 1):
            # What a list holds at a place.
            needed = [(operands[0], "contents"), (operands[0], "value")]
            if node.op == "TensorListGetItem":
                needed.append((operands[1], "value"))
        elif aspect == "contents":
            if node.op not in CONTENTS:
                return False
            needed = [(operands[number], each) for number, each in CONTENTS[node.op]]
        elif node.op in OF_SHAPES:
            return True
        elif node.op in LENGTHS:
            needed = [(operands[number], "value") for number in LENGTHS[node.op]]
        elif node.op in PURE:
            needed = [(operand, "value") for operand in operands]
        else:
            return False
        return all(self.is_given(operand, each, depth + 1) for operand, each in needed)

    def counts(self, value: Value, depth: int = 0) -> bool:
        """Return whether ``value`` is computed from a variable of a loop, and may change in each round.

        What a loop took out of a list is not looked at: there the gradient finds what the loop put in.
        """
        value = self.follow(value)
        if value.node is None:
            return value.call.loop is not None
        if value.node.op in TAKEN or value.node.op in OF_SHAPES or value.node.op in LOOPS:
            return False
        if value not in self._counting:
            operands = value.call.operands(value.node)
            self._counting[value] = depth >= DEEPEST or any(self.counts(each, depth + 1) for each in operands)
        return self._counting[value]

    def constant(self, value: Value) -> Any:
        """Return the array that ``value`` always is, None where that is not seen at once."""
        value = self.follow(value)
        node = value.node
        if node is None:
            captured = self._capture(value)
            return None if captured is None else captured.numpy()
        if node.op == "Const":
            return tf.make_ndarray(node.attr["value"].tensor)
        if node.op == "StridedSlice" and node.attr["shrink_axis_mask"].i == 1:
            # One dimension of a shape.
            whole, begin = (self.constant(operand) for operand in value.call.operands(node)[:2])
            if whole is not None and begin is not None and whole.ndim == begin.size == 1:
                return whole[begin[0]]
        if node.op not in ("Shape", "ShapeN", "Size", "Rank", "VariableShape"):
            return None
        operand = value.call.operands(node)[value.output]
        shape = self.shape(operand)
        if shape is None or (node.op != "Rank" and None in shape):
            return None
        result: Any = {"Rank": len(shape), "Size": math.prod(n or 0 for n in shape)}.get(node.op, shape)
        return np.array(result, np.int64 if node.attr["out_type"].type == _INT64 else np.int32)

    def _capture(self, value: Value) -> Any:
        """Return the array that the step captures as the argument ``value``, None where it is no array."""
        number = value.call.arguments[value.name] - self.fed
        if value.call.caller is not None or number < 0:
            return None
        captured = self.captured[number]
        return None if captured.dtype in (tf.resource, tf.variant) else captured

    def arguments(self, value: Value) -> set[Value]:
        """Return the arguments of functions that nobody hands on, and on which ``value`` hangs."""
        found, seen, waiting = set(), set(), [value]
        while waiting:
            value = self.follow(waiting.pop())
            if value in seen or self.is_given(value):
                continue
            seen.add(value)
            if value.node is None:
                found.add(value)
            else:
                waiting += value.call.operands(value.node)
        return found

    def argument(self, number: int) -> Value:
        """Return argument ``number`` of the step as a value."""
        return Value(self.calls[0], self._inputs[number].op.name, 0)

    def shape(self, value: Value) -> list[int | None] | None:
        """Return the shape of ``value`` as traced, or of the variable that it is; None where unknown."""
        value = self.follow(value)
        node = value.node
        if node is not None and node.op == "ReadVariableOp":
            return self.shape(value.call.operands(node)[0])
        if value.call.caller is not None:
            return None
        if node is not None:
            shape = self.graph.get_operation_by_name(value.name).outputs[value.output].shape
        else:
            number = value.call.arguments[value.name]
            shape = self._inputs[number].shape
            if self._inputs[number].dtype == tf.resource:
                variable = self.variables.get(id(self.captured[number - self.fed]))
                if variable is None:
                    return None  # reached by its handle only
                shape = variable.shape
        return None if shape.rank is None else list(shape)


def _is_kept(call: Call, number: int) -> bool:
    """Return whether variable ``number`` of a loop stays as it came; ``call`` is a function of the loop."""
    body = call.caller.call.inner[call.caller.name][0] if call.caller is not None else call
    result = body.result(number)
    while result.node is not None and result.node.op in SAME:
        result = body.operands(result.node)[0]
    return body.arguments.get(result.name) == number
