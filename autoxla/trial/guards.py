"""Whether XLA may run a traced step: not where TensorFlow raises and XLA would train on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from autoxla.trial.checks import CHEAP, INTEGER_OPERANDS, OF_SHAPES, OPERANDS, REFUSED


def find_dropped_check(definition: Any) -> str | None:
    """Return the first operation of a step whose check XLA drops, None where there is none.

    ``definition`` is the ``GraphDef`` of the step. An operand that hangs on shapes and constants alone has the
    same value in each step over batches of that shape, and plain training has run one of these.
    """
    for nodes in (definition.node, *(function.node_def for function in definition.library.function)):
        by_name = {node.name: node for node in nodes}
        known: dict[str, bool] = {}
        for node in nodes:
            if node.op in REFUSED or not all(
                _is_given(operand, by_name, known) for operand in _checked(node)
            ):
                return str(node.op)
    return None


def _checked(node: Any) -> Iterator[str]:
    """Yield the names of the operations that the checked operands of ``node`` come from."""
    if node.op in INTEGER_OPERANDS and _is_integer(node):
        numbers: Iterable[int] = INTEGER_OPERANDS[node.op]
    else:
        numbers = OPERANDS.get(node.op, ())
    inputs = _inputs(node)
    return (inputs[number] for number in numbers if number < len(inputs))


def _is_integer(node: Any) -> bool:
    import tensorflow as tf

    return bool(tf.as_dtype(node.attr["T"].type).is_integer)


def _inputs(node: Any) -> list[str]:
    return [name.partition(":")[0] for name in node.input if not name.startswith("^")]


def _is_given(name: str, nodes: Mapping[str, Any], known: dict[str, bool]) -> bool:
    """Return whether the result of the operation ``name`` hangs on shapes and constants alone."""
    waiting = [name]
    while waiting:
        name = waiting[-1]
        node = nodes.get(name)
        if name in known:
            waiting.pop()
        elif node is None or node.op in OF_SHAPES or node.op not in CHEAP:
            known[name] = node is not None and node.op in OF_SHAPES
        elif todo := [each for each in _inputs(node) if each not in known]:
            waiting += todo
        else:
            known[name] = all(known[each] for each in _inputs(node))
    return known[name]
