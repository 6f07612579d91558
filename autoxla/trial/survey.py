"""What is known of a step before anything is compiled: for a thread beside training."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autoxla.trial.background import free_memory
from autoxla.trial.decisions import Decision, Decisions
from autoxla.trial.economics import Prior, expect, fit_costs
from autoxla.trial.executables import bytes_captured
from autoxla.trial.graph import Graph, describe
from autoxla.trial.guards import Guards, examine
from autoxla.trial.steps import Step

#: Copies may take this share of the memory that is free, of which a compile wants so many bytes besides:
#: XLA ends the process where it gets none.
_SHARE, _ROOM = 0.25, 1 << 30


@dataclass(frozen=True, slots=True)
class Survey:
    """A step with what its graph and earlier runs tell. `obstacle`: why XLA must not run it."""

    step: Step
    graph: Graph
    guards: Guards | None
    obstacle: str | None
    key: str
    decision: Decision | None
    prior: Prior
    compile_s: float


def survey(step: Step, definition: Any, decisions: Decisions, circumstances: Sequence[str]) -> Survey:
    """Return what is known of ``step``, whose ``GraphDef`` is ``definition``.

    ``circumstances`` are the device and the rows of a batch, as far as the call of ``fit`` tells them.
    """
    import tensorflow as tf

    graph = describe(step.concrete, definition)
    # The graph knows its variables by their handles only; they come in no particular order.
    variables = sorted(f"{v.dtype.name}{v.shape}" for v in step.concrete.variables)
    shapes = [str(spec.shape) for spec in tf.nest.flatten(step.structure)] + variables
    key = decisions.key(graph.digest, shapes, circumstances)
    guards: Guards | str = examine(step.concrete, definition)
    obstacle = None
    if graph.foreign is not None:
        obstacle = f"XLA has no code for {graph.foreign}"
    elif isinstance(guards, str):
        obstacle = guards
    elif not has_room(step.concrete):
        obstacle = "the memory that is free is too little for copies of the variables"
    return Survey(
        step=step,
        graph=graph,
        guards=None if isinstance(guards, str) else guards,
        obstacle=obstacle,
        key=key,
        decision=decisions.find(key),
        prior=expect(graph.operations),
        compile_s=fit_costs(decisions.compiles()).compile_seconds(graph.nodes),
    )


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
    import tensorflow as tf

    short = ":".join(name.rpartition("/")[2].split(":")[-2:])
    used = int(tf.config.experimental.get_memory_info(short)["current"])
    devices = importlib.import_module("tensorflow.python.client.device_lib").list_local_devices()
    limit = next((each.memory_limit for each in devices if each.name.endswith(f":{short}")), 0)
    return max(0, int(limit) - used)
