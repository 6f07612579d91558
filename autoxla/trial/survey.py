"""What is known of a step before anything is compiled: for a thread beside training."""

from __future__ import annotations

import hashlib
import importlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from autoxla.trial.background import free_memory
from autoxla.trial.dataflow import Refused
from autoxla.trial.decisions import Decision, Decisions
from autoxla.trial.economics import CONVOLUTIONS, Prior, compile_seconds, expect
from autoxla.trial.executables import bytes_captured
from autoxla.trial.guards import Guard, examine

#: Copies may take this share of the memory that is free, of which a compile wants so many bytes besides:
#: XLA ends the process where it gets none.
_SHARE, _ROOM = 0.25, 1 << 30
#: Where an operation's images stand among its inputs, if not first.
_IMAGES = {"Conv2DBackpropInput": 2, "DepthwiseConv2dNativeBackpropInput": 2}
#: Drawn anew in each run where the program gives none, so they say nothing of the step.
_DRAWN = frozenset({"seed", "seed2"})


@dataclass(frozen=True, slots=True)
class Survey:
    """A traced step that XLA may run, with what its graph and earlier runs tell.

    `nodes`: those of the graph with all functions that it calls, `operations` what they are. `key`: the name
    of the step in records.
    """

    concrete: Any
    nodes: int
    operations: frozenset[str]
    guard: Guard
    key: str
    decision: Decision | None
    prior: Prior
    compile_s: float


def survey(concrete: Any, shapes: Sequence[str], batch_size: int | None, decisions: Decisions) -> Survey:
    """Return what is known of the traced step ``concrete``.

    ``shapes`` are those of a batch as the data declare them, ``batch_size`` its rows as far as the call of
    ``fit`` tells. Raises Refused where XLA must not run the step.
    """
    definition = concrete.graph.as_graph_def()
    guard = examine(concrete, definition)
    if not has_room(concrete):
        raise Refused("the memory that is free is too little for copies of the variables")
    nodes = list_nodes(definition)
    operations = count_operations(concrete, nodes)
    # The graph knows its variables by their handles only; they come in no particular order.
    variables = sorted(f"{v.dtype.name}{v.shape}" for v in concrete.variables)
    devices = [str(variable.device).rpartition("/")[2] for variable in concrete.variables]
    key = decisions.key(digest(nodes), [*shapes, *variables], [*devices[:1], str(batch_size)])
    return Survey(
        concrete=concrete,
        nodes=len(nodes),
        operations=frozenset(operations),
        guard=guard,
        key=key,
        decision=decisions.find(key),
        prior=expect(operations),
        compile_s=compile_seconds(len(nodes), decisions.compiles()),
    )


def list_nodes(definition: Any) -> list[Any]:
    """Return the ``NodeDef`` messages of a ``GraphDef`` and of all functions that it calls."""
    return [*definition.node, *(node for each in definition.library.function for node in each.node_def)]


def count_operations(concrete: Any, nodes: Iterable[Any]) -> Counter[str]:
    """Return how often each operation is in the traced step ``concrete``; ``nodes`` are its `list_nodes`."""
    operations = Counter(str(node.op) for node in nodes)
    for operation in concrete.graph.get_operations():
        kind = str(operation.type)
        if kind in CONVOLUTIONS:
            # Conv1D is written as a two-dimensional one of images of height 1.
            images = operation.inputs[_IMAGES.get(kind, 0)].shape
            if images.rank == 4 and images[1] == 1:
                operations.subtract([kind])
                operations["Conv1D"] += 1
    return +operations


def digest(nodes: Iterable[Any]) -> str:
    """Return a hash of ``NodeDef`` messages, which is the same in another run of the same program.

    It is of the operations and their attributes, whatever their order and their names, which count up within
    a process. The layers' configuration would not do: subclassed models have none, and two different steps
    can share one.
    """
    told = []
    for node in nodes:
        attributes = [
            f"{name}={value.SerializeToString(deterministic=True).hex()}"
            for name, value in sorted(node.attr.items())
            # Those with an underscore are notes of TensorFlow's to itself; names of functions count up.
            if not (name.startswith("_") or name in _DRAWN or value.HasField("func") or value.list.func)
        ]
        told.append(f"{node.op}({len(node.input)}) {attributes}")
    return hashlib.sha256("\n".join(sorted(told)).encode()).hexdigest()


def has_room(concrete: Any) -> bool:
    """Return whether there is memory for copies of the variables of a step, and for a compile."""
    size, free = bytes_captured(concrete), free_memory()
    devices = {str(variable.device) for variable in concrete.variables}
    on_accelerators = [name for name in devices if name and ":CPU:" not in name.upper()]
    if on_accelerators:
        return all(size < _SHARE * free_on_device(name) for name in on_accelerators)
    return free is None or (free > _ROOM and size < _SHARE * free)


def free_on_device(name: str) -> int:
    """Return the bytes that are free on the accelerator ``name``, 0 where it does not tell."""
    short = ":".join(name.rpartition("/")[2].split(":")[-2:])
    used = int(tf.config.experimental.get_memory_info(short)["current"])
    devices = importlib.import_module("tensorflow.python.client.device_lib").list_local_devices()
    limit = next((each.memory_limit for each in devices if each.name.endswith(f":{short}")), 0)
    return max(0, int(limit) - used)
