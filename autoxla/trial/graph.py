"""What a traced step is made of: its operations, its size, and a name for it that another run gives, too.

The name is a hash over the graph's operations, whatever their order and their names, which count up within a
process. The layers' configuration would not do: subclassed models have none, and two different steps can
share one.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
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
    operations: Counter[str] = Counter()
    for operation in concrete.graph.get_operations():
        kind = str(operation.type)
        if kind in CONVOLUTIONS:
            # Conv1D is written as a two-dimensional one of images of height 1.
            images = operation.inputs[_IMAGES.get(kind, 0)].shape
            kind = "Conv1D" if images.rank == 4 and images[1] == 1 else kind
        operations[kind] += 1
    inner = [node for function in definition.library.function for node in function.node_def]
    operations.update(node.op for node in inner)
    told = []
    for node in (*definition.node, *inner):
        attributes = [
            f"{name}={value.SerializeToString(deterministic=True).hex()}"
            for name, value in sorted(node.attr.items())
            # Those with an underscore are notes of TensorFlow's to itself; names of functions count up.
            if not (name.startswith("_") or name in _DRAWN or value.HasField("func") or value.list.func)
        ]
        told.append(f"{node.op}({len(node.input)}) {attributes}")
    digest = hashlib.sha256("\n".join(sorted(told)).encode()).hexdigest()
    return Graph(len(told), operations, digest)
