"""What a traced step is made of: its operations, its size, and a name for it that another run gives, too.

The name is a hash over the graph's structure, not over the layers' configuration, which subclassed models
do not have and which two different steps can share.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from autoxla.trial.economics import CONVOLUTIONS

#: What XLA has no code for. A graph with one of these is not compiled at all.
_FOREIGN = frozenset({
    "PyFunc", "PyFuncStateless", "EagerPyFunc", "PrintV2", "StringFormat", "AsString", "LookupTableFindV2",
    "MutableHashTableV2", "RaggedTensorToVariant", "DecodeRaw", "StringSplitV2", "WriteSummary",
    "WriteScalarSummary", "WriteHistogramSummary", "WriteImageSummary",
})  # fmt: skip
#: How operations begin that wait for other processes: a race of one worker would hold up all.
_BETWEEN_WORKERS = ("Horovod", "Collective", "Nccl")
#: Where an operation's images stand among its inputs, if not first.
_IMAGES = {"Conv2DBackpropInput": 2, "DepthwiseConv2dNativeBackpropInput": 2}
#: Drawn anew in each run where the program gives none, so they say nothing of the step.
_DRAWN = frozenset({"seed", "seed2"})


@dataclass(frozen=True, slots=True)
class Graph:
    """A traced step: how many nodes with all functions that it calls, its operations, its digest."""

    nodes: int
    operations: Mapping[str, int]
    digest: str

    @property
    def foreign(self) -> str | None:
        """Return an operation that XLA cannot compile, None where there is none."""
        return next((n for n in self.operations if n in _FOREIGN or n.startswith(_BETWEEN_WORKERS)), None)


def describe(concrete: Any, definition: Any) -> Graph:
    """Return what the ``tf.ConcreteFunction`` executes; ``definition`` is its graph's ``GraphDef``."""
    functions = {function.signature.name: function for function in definition.library.function}
    operations: Counter[str] = Counter()
    for operation in concrete.graph.get_operations():
        kind = str(operation.type)
        if kind in CONVOLUTIONS:
            # Conv1D is written as a two-dimensional one of images of height 1.
            images = operation.inputs[_IMAGES.get(kind, 0)].shape
            kind = "Conv1D" if images.rank == 4 and images[1] == 1 else kind
        operations[kind] += 1
    for function in functions.values():
        operations.update(node.op for node in function.node_def)
    nodes = len(definition.node) + sum(len(function.node_def) for function in functions.values())
    return Graph(nodes, operations, _Digest(functions).of_graph(definition.node))


class _Digest:
    """Hashes graphs so that names, which count up within a process, do not matter."""

    def __init__(self, functions: Mapping[str, Any]) -> None:
        self._functions = functions
        self._known: dict[str, str] = {}

    def of_graph(self, nodes: Iterable[Any], arguments: Iterable[str] = ()) -> str:
        """Return the digest of ``NodeDef`` messages in their order, in a function of ``arguments``."""
        nodes = list(nodes)
        names = [*arguments, *(node.name for node in nodes)]
        numbers = {name: number for number, name in enumerate(names)}
        hasher = hashlib.sha256()
        for node in nodes:
            inputs = []
            for name in node.input:  # ``node:output`` or ``^node``
                mark = "^" if name.startswith("^") else ""
                source, _, output = name.removeprefix("^").partition(":")
                inputs.append(f"{mark}{numbers.get(source, source)}:{output}")
            # Those with an underscore are notes of TensorFlow's to itself, names among them.
            told = [name for name in sorted(node.attr) if not name.startswith("_") and name not in _DRAWN]
            attributes = [f"{name}={self._value(node.attr[name])}" for name in told]
            hasher.update(f"{node.op}({','.join(inputs)})[{';'.join(attributes)}]\n".encode())
        return hasher.hexdigest()

    def _value(self, value: Any) -> str:
        called = [value.func.name] if value.HasField("func") else [f.name for f in value.list.func]
        if not called:
            return hashlib.sha256(value.SerializeToString(deterministic=True)).hexdigest()
        for name in called:
            function = self._functions.get(name)
            if name not in self._known:
                self._known[name] = "recursion" if function is not None else name
                if function is not None:
                    arguments = [each.name for each in function.signature.input_arg]
                    self._known[name] = self.of_graph(function.node_def, arguments)
        return ",".join(self._known[name] for name in called)
