"""The forward half of a traced step, cut out of its graph: what tells cheaply how XLA does on the whole.

The ratio of the forward half under XLA and as plain graph goes with that of the whole step, and the half
compiles in a fraction of the time. Nothing is traced again: Python code of the program does not run.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from time import perf_counter
from typing import Any

from autoxla.trial.comparison import HOPELESS, Pair
from autoxla.trial.executables import Copies, Dispatch, synchronise

#: Pairs of runs: so many at least, and up to so many in so many seconds.
FEWEST, MOST, BUDGET = 5, 20, 0.06
#: How TensorFlow names all that a gradient tape adds.
_GRADIENT = "gradient_tape/"
#: What costs nothing and ends nothing.
_GIVEN = frozenset({"Const", "Placeholder", "ReadVariableOp", "Shape"})


class Forward:
    """The forward half of ``concrete``, plain and under XLA, on ``batch`` and copies of the variables.

    Begins to compile at once, beside what else runs. Raises ValueError where the step has no such half.
    """

    def __init__(self, concrete: Any, batch: Sequence[Any]) -> None:
        self._batch = list(batch)
        self._copies = Copies(concrete)
        self._plain = _trace(cut(concrete, self._copies.captured), batch)
        self._xla = _trace(self._call_plain, batch, jit_compile=True)
        # The first run of the plain half is slow, too.
        self._dispatches = [Dispatch(each, batch) for each in (self._plain, self._xla)]

    def poll(self) -> bool:
        """Return whether both have run once. Raises what running them raised."""
        return all(dispatch.poll() for dispatch in self._dispatches)

    @property
    def seconds(self) -> float:
        """Return how long the compile and the first runs took."""
        return max(dispatch.seconds or 0.0 for dispatch in self._dispatches)

    def race(self) -> list[Pair]:
        """Return the seconds of neighbouring runs of both, the plain one first. Training waits for them."""
        pairs: list[Pair] = []
        while len(pairs) < FEWEST or (len(pairs) < MOST and sum(map(sum, pairs)) < BUDGET):
            pairs.append((self._time(self._plain), self._time(self._xla)))
            if len(pairs) > 1 and all(xla > HOPELESS * plain for plain, xla in pairs):
                break
        return pairs

    def release(self) -> None:
        """Let the copies go; nothing can be run any more."""
        del self._plain, self._xla, self._copies, self._dispatches

    def _call_plain(self, *tensors: Any) -> Any:
        return self._plain(*tensors)

    def _time(self, half: Any) -> float:
        # After a turn of the other half the caches hold its data, and its threads may still be awake.
        synchronise(half(*self._batch))
        begin = perf_counter()
        synchronise(half(*self._batch))
        return perf_counter() - begin


def cut(concrete: Any, captured: Sequence[Any]) -> Callable[..., list[Any]]:
    """Return the forward half of ``concrete`` as a function of a batch's tensors, with other ``captured``.

    Its results are sums, which say that all was computed. To be traced, it does not run eagerly. Raises
    ValueError where nothing of the graph belongs to a gradient, or nothing leads to one.
    """
    import tensorflow as tf

    names, ends = find_half(concrete.graph.get_operations())
    if not ends:
        raise ValueError("the graph of the step has no forward half")
    inputs = [tensor.name for tensor in concrete.graph.inputs]
    # Those of its own would stay beside what is given, and XLA has no code for them.
    definition = _keep(concrete.graph.as_graph_def(), names - {name.partition(":")[0] for name in inputs})
    # TensorFlow cannot tell, or tells wrongly, which of those that it is given none takes.
    taken = {_tensor_name(name) for node in definition.node for name in node.input}

    def run(*batch: Any) -> list[Any]:
        graph = tf.compat.v1.get_default_graph()
        given = zip(inputs, (*batch, *map(graph.capture, captured)), strict=True)
        values = tf.graph_util.import_graph_def(
            definition,
            input_map={name: value for name, value in given if name in taken},
            return_elements=ends,
        )
        return [tf.reduce_sum(tf.cast(value, tf.float32)) for value in values]

    return run


def find_half(operations: Iterable[Any]) -> tuple[set[str], list[str]]:
    """Return the names of a graph's operations that lead to its gradients, and of their last tensors.

    The last ones, mostly the loss, are what gradients take and what no other of those goes on from.
    ``operations`` in the order in which they were made.
    """
    forward, taken = _part(operations)
    needed: set[str] = set()
    ends: list[str] = []
    for operation in reversed(forward):
        if operation.name not in needed:
            found = [
                tensor.name for tensor in operation.outputs if tensor.name in taken and _is_number(tensor)
            ]
            if operation.type in _GIVEN or not found:
                continue
            ends += found
        needed.add(operation.name)
        needed.update(tensor.op.name for tensor in operation.inputs)
    return needed, ends


def _tensor_name(name: str) -> str:
    return name if ":" in name else f"{name}:0"


def _is_number(tensor: Any) -> bool:
    return bool(tensor.dtype.is_floating or tensor.dtype.is_integer)


def _keep(definition: Any, names: Container[str]) -> Any:
    """Return ``definition``, a ``GraphDef``, with the nodes of ``names`` only."""
    kept = type(definition)(versions=definition.versions, library=definition.library)
    for node in definition.node:
        if node.name in names:
            copy = kept.node.add()
            copy.CopyFrom(node)
            copy.input[:] = [i for i in node.input if not i.startswith("^") or i[1:] in names]
            # It asks to be where a variable is, by the name of an operation that is not here.
            copy.attr.pop("_class", None)
    return kept


def _part(operations: Iterable[Any]) -> tuple[list[Any], set[str]]:
    """Return the operations before any gradient, and the names of the tensors that gradients take."""
    forward: list[Any] = []
    taken: set[str] = set()
    behind: set[str] = set()
    for operation in operations:
        is_gradient = operation.name.startswith(_GRADIENT)
        if is_gradient:
            taken.update(tensor.name for tensor in operation.inputs)
        if is_gradient or any(tensor.op.name in behind for tensor in operation.inputs):
            behind.add(operation.name)
        else:
            forward.append(operation)
    return forward, taken


def _trace(half: Callable[..., Any], batch: Sequence[Any], **options: bool) -> Any:
    import tensorflow as tf

    function = tf.function(half, autograph=False, **options)
    return function.get_concrete_function(*map(tf.TensorSpec.from_tensor, batch))
