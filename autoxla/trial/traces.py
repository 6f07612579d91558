"""Functions over a batch, made out of the graph that plain training runs.

Nothing is traced again: the program's Python runs as often as without autoxla, and what it read at the
first trace stays as it was. A graph is imported into a new function, with other tensors in the place of
some of its own.
"""

from __future__ import annotations

import importlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

import tensorflow as tf

from autoxla.trial.checks import LOOPS
from autoxla.trial.executables import Copies, Executable

_FETCH = "IteratorGetNext"
_INT32 = 3  # how TensorFlow numbers the type


def find_fetch(concrete: Any) -> Any:
    """Return the operation that takes a batch from the iterator, None where it is not one and only one."""
    found = [operation for operation in concrete.graph.get_operations() if operation.type == _FETCH]
    return found[0] if len(found) == 1 else None


def cut_behind_fetch(concrete: Any) -> Any:
    """Return what ``concrete`` does with a batch once it has it, as a function of the batch's tensors.

    Raises ValueError where it does not take one batch and no more.
    """
    fetch = find_fetch(concrete)
    if fetch is None:
        raise ValueError("the step takes no batch, or several")
    given = [tensor.name for tensor in fetch.outputs]
    return _build(concrete, concrete.graph.as_graph_def(), given, fetch.outputs)


def without_xla(concrete: Any, count: int) -> Any:
    """Return ``concrete``, a function of ``count`` tensors that was traced for XLA, as a plain graph."""
    given = concrete.graph.inputs[:count]
    return _build(concrete, concrete.graph.as_graph_def(), [tensor.name for tensor in given], given)


def for_xla(concrete: Any, batch: Sequence[Any]) -> Any:
    """Return a function that runs the trace ``concrete`` under XLA, for batches shaped as ``batch``."""
    definition = concrete.graph.as_graph_def()
    if _settle_loops(concrete, definition, batch):
        given = [tensor.name for tensor in concrete.graph.inputs[: len(batch)]]
        return _build(concrete, definition, given, batch, jit_compile=True)

    def run_step(*tensors: Any) -> Any:
        return concrete._call_flat(list(tensors), concrete.captured_inputs)

    return _trace(run_step, batch, jit_compile=True)


def _trace(function: Callable[..., Any], like: Sequence[Any], *, jit_compile: bool | None = None) -> Any:
    """Return a ``tf.ConcreteFunction`` that runs ``function`` on tensors of the kind of ``like``."""
    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in like]
    return tf.function(function, autograph=False, jit_compile=jit_compile).get_concrete_function(*specs)


def _build(
    concrete: Any,
    definition: Any,
    given: Sequence[str],
    like: Sequence[Any],
    *,
    jit_compile: bool | None = None,
) -> Any:
    """Return a function that does what ``definition``, the graph of ``concrete``, does.

    Its arguments, of the shapes and types of ``like``, take the place of the tensors ``given``.
    """
    logs = concrete.structured_outputs
    wanted = [log.name for log in tf.nest.flatten(logs) if tf.is_tensor(log)]

    def run_step(*batch: Any) -> Any:
        known = dict(zip(wanted, _import(concrete, definition, given, batch, wanted), strict=True))
        return tf.nest.map_structure(lambda log: known[log.name] if tf.is_tensor(log) else log, logs)

    return _trace(run_step, like, jit_compile=jit_compile)


def _import(
    concrete: Any, definition: Any, given: Sequence[str], batch: Sequence[Any], wanted: Sequence[str]
) -> list[Any]:
    """Import ``definition``, of the graph of ``concrete``, into the function that is traced now.

    Return the tensors ``wanted``.
    The tensors ``batch`` take the place of those that are ``given``. What it takes of what ``concrete``
    captures is captured, too.
    """
    graph = tf.compat.v1.get_default_graph()
    for variable in concrete.variables:
        graph.watch_variable(variable)
    inputs = [tensor.name for tensor in concrete.graph.inputs]
    body = _without(definition, {_node(name) for name in (*given, *inputs)})
    # TensorFlow does not say which of those that it is given no operation takes.
    taken = {_tensor(name) for node in body.node for name in node.input}
    known = dict(zip(given, batch, strict=True))
    for name, tensor in zip(inputs[::-1], concrete.captured_inputs[::-1]):  # noqa: B905 - it captures the last
        if name in taken or name in wanted:
            known[name] = graph.capture(tensor)
    mapped = {name: tensor for name, tensor in known.items() if name in taken}
    made = [name for name in wanted if name not in known]
    tensors = tf.graph_util.import_graph_def(body, input_map=mapped, return_elements=made, name="")
    known.update(zip(made, tensors, strict=True))
    return [known[name] for name in wanted]


def _without(definition: Any, names: Set[str]) -> Any:
    """Return the ``GraphDef`` ``definition`` without the nodes of these names."""
    kept = type(definition)(versions=definition.versions, library=definition.library)
    for node in definition.node:
        if node.name in names:
            continue
        copy = kept.node.add()
        copy.CopyFrom(node)
        copy.input[:] = [name for name in node.input if not name.startswith("^") or name[1:] not in names]
        # It asks to be where another node is, which may be gone.
        copy.attr.pop("_class", None)
    return kept


def _node(name: str) -> str:
    return name.partition(":")[0]


def _tensor(name: str) -> str:
    return name if ":" in name else f"{name}:0"


# Loops. The gradient of a loop takes what the loop has put into lists. Where a batch's size is open in the
# trace, shapes and lengths are among it, and XLA does not see that they are constants: it cannot compile the
# gradient. They are the same for all batches of one shape. So the loops are run once, and what they have put
# into these lists is written into the body of the gradient.


class _Kept(NamedTuple):
    """A list, the tensor of this name, in which a loop keeps shapes, or lengths of lists, for its gradient.

    `gradient`: the body of the gradient, a ``FunctionDef``. `argument`: the name of the list in it. `dtype`:
    the number of the type of the elements.
    """

    tensor: str
    gradient: Any
    argument: str
    dtype: int


def _settle_loops(concrete: Any, definition: Any, batch: Sequence[Any]) -> bool:
    """Write what loops keep of the shapes of ``batch`` into ``definition``, the graph of ``concrete``.

    Return whether there was any. The loops run on copies of the variables.
    """
    kept = list(_find_kept(definition))
    if not kept:
        return False
    # Only what the lists hang on by data: a step does other things before a loop, too.
    nodes, needed = {node.name: node for node in definition.node}, set()
    waiting = wanted = [each.tensor for each in kept]
    while waiting:
        *waiting, name = waiting
        if _node(name) not in needed:
            needed.add(_node(name))
            waiting += [each for each in nodes[_node(name)].input if not each.startswith("^")]
    only = _without(definition, nodes.keys() - needed)
    given = [tensor.name for tensor in concrete.graph.inputs[: len(batch)]]

    def run_loops(*tensors: Any) -> list[Any]:
        lists = _import(concrete, only, given, tensors, wanted)
        return [
            tf.raw_ops.TensorListStack(input_handle=handle, element_shape=-1, element_dtype=each.dtype)
            for each, handle in zip(kept, lists, strict=True)
        ]

    loops = _trace(run_loops, batch)
    found = Executable(loops, Copies(loops).captured)(list(batch))
    for each, rounds in zip(kept, found, strict=True):
        values = rounds.numpy()
        if (values == values[0]).all():
            _write_constant(each, values[0])
    # Under new names: TensorFlow goes on with what it knows by the old ones.
    context = importlib.import_module("tensorflow.python.eager.context").context()
    gradients = {each.gradient.signature.name: each.gradient for each in kept}
    for name, gradient in gradients.items():
        gradient.signature.name = f"{name}_{secrets.token_hex(4)}"
        context.add_function_def(gradient)
    for node in definition.node:
        called = node.attr["body"].func if node.op in LOOPS else None
        if called is not None and called.name in gradients:
            called.name = gradients[called.name].signature.name
    return True


def _find_kept(definition: Any) -> Iterator[_Kept]:
    functions = {function.signature.name: function for function in definition.library.function}
    nodes = {node.name: node for node in definition.node}
    for taker in definition.node:
        for number, name in enumerate(taker.input if taker.op in LOOPS else ()):
            made = _tensor(_skip(name, nodes))
            loop = nodes.get(_node(made))
            if loop is None or loop.op not in LOOPS:
                continue
            body = functions[loop.attr["body"].func.name]
            inner = {node.name: node for node in body.node_def}
            result = body.signature.output_arg[int(made.partition(":")[2])].name
            push = inner.get(_node(_skip(body.ret[result], inner)))
            if push is None or push.op != "TensorListPushBack":
                continue
            value = inner.get(_node(_skip(push.input[1], inner)))
            if value is not None and value.op in ("Shape", "TensorListLength"):
                gradient = functions[taker.attr["body"].func.name]
                argument = gradient.signature.input_arg[number].name
                dtype = value.attr["out_type"].type if value.op == "Shape" else _INT32
                yield _Kept(made, gradient, argument, dtype)


def _skip(name: str, nodes: Mapping[str, Any]) -> str:
    """Return the tensor that ``name`` is, behind operations that change nothing."""
    while _node(name) in nodes and nodes[_node(name)].op == "Identity":
        name = nodes[_node(name)].input[0]
    return name


def _write_constant(kept: _Kept, value: Any) -> None:
    """Let the gradient of ``kept`` take the array ``value`` where it takes the last of the list."""
    nodes = kept.gradient.node_def
    for pop in [node for node in nodes if node.op == "TensorListPopBack" and node.input[0] == kept.argument]:
        constant = nodes.add(name=f"{pop.name}_shape", op="Const")
        constant.attr["dtype"].type = kept.dtype
        constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        for node in nodes:
            for number, name in enumerate(node.input):
                if name == f"{pop.name}:tensor:0":
                    node.input[number] = f"{constant.name}:output:0"
