"""Functions over a batch, made out of the graph that plain training runs.

Nothing is traced again: the program's Python runs as often as without autoxla, and what it read at the
first trace stays as it was. A graph is imported into a new function, with other tensors in the place of
some of its own.
"""

from __future__ import annotations

import importlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

_LOOPS = ("While", "StatelessWhile")
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
    return _build(concrete, concrete.graph.as_graph_def(), given, list(map(_spec, fetch.outputs)))


def without_xla(concrete: Any, count: int) -> Any:
    """Return ``concrete``, a function of ``count`` tensors that was traced for XLA, as a plain graph."""
    given = concrete.graph.inputs[:count]
    specs = list(map(_spec, given))
    return _build(concrete, concrete.graph.as_graph_def(), [tensor.name for tensor in given], specs)


def for_xla(concrete: Any, batch: Sequence[Any]) -> Any:
    """Return a function that runs the trace ``concrete`` under XLA, for batches of this shape."""
    specs = list(map(_spec, batch))
    try:
        settled = _settle_loops(concrete, specs)
    except (AttributeError, ImportError, LookupError, TypeError, ValueError):
        settled = None  # loops of another make: XLA says whether it takes them
    if settled is not None:
        given = [tensor.name for tensor in concrete.graph.inputs[: len(specs)]]
        return _build(concrete, settled, given, specs, jit_compile=True)

    def run_step(*tensors: Any) -> Any:
        return concrete._call_flat(list(tensors), concrete.captured_inputs)

    return tf.function(run_step, jit_compile=True, autograph=False).get_concrete_function(*specs)


def _spec(tensor: Any) -> Any:
    return tf.TensorSpec(tensor.shape, tensor.dtype)


def _build(
    concrete: Any,
    definition: Any,
    given: Sequence[str],
    specs: Sequence[Any],
    jit_compile: bool | None = None,
) -> Any:
    """Return a function of ``specs`` that does what ``definition``, the graph of ``concrete``, does.

    Its arguments take the place of the tensors ``given``. It captures what ``concrete`` captures.
    """
    graph, captured = concrete.graph, concrete.captured_inputs
    captures = [tensor.name for tensor in graph.inputs[len(graph.inputs) - len(captured) :]]
    replaced = {_node(name) for name in (*given, *(tensor.name for tensor in graph.inputs))}
    body = _without(definition, replaced)
    logs = concrete.structured_outputs
    wanted = [t.name for t in tf.nest.flatten(logs) if tf.is_tensor(t) and _node(t.name) not in replaced]
    # TensorFlow does not say which of those that it is given no operation takes.
    taken = {_tensor(name) for node in body.node for name in node.input}

    def run_step(*batch: Any) -> Any:
        new = tf.compat.v1.get_default_graph()
        for variable in concrete.variables:
            new.watch_variable(variable)
        known = dict(zip((*given, *captures), (*batch, *map(new.capture, captured)), strict=True))
        mapped = {name: value for name, value in known.items() if name in taken}
        values = tf.graph_util.import_graph_def(body, input_map=mapped, return_elements=wanted, name="")
        known.update(zip(wanted, values, strict=True))
        return tf.nest.map_structure(lambda log: known[log.name] if tf.is_tensor(log) else log, logs)

    function = tf.function(run_step, autograph=False, jit_compile=jit_compile)
    return function.get_concrete_function(*specs)


def _without(definition: Any, names: set[str]) -> Any:
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
# gradient. For batches of one shape they are known. So they are written into the gradient's body.


@dataclass(frozen=True, slots=True)
class _Kept:
    """A shape that a loop keeps for its gradient, or where `is_length`, the length of a list.

    `loop`: the loop's name. `body`, `source`: its body, a ``FunctionDef``, and the tensor that it is of.
    `gradient`, `argument`: the body of the gradient, and its argument that the shapes come in.
    """

    loop: str
    body: Any
    source: str
    gradient: Any
    argument: str
    dtype: int
    is_length: bool


def _settle_loops(concrete: Any, specs: Sequence[Any]) -> Any:
    """Return the graph of ``concrete`` for batches of ``specs``, what its loops keep of shapes as constants.

    None where no loop keeps any.
    """
    definition = concrete.graph.as_graph_def()
    kept = list(_find_kept(definition))
    if not kept:
        return None
    given = [tensor.name for tensor in concrete.graph.inputs[: len(specs)]]
    graph = _build(concrete, definition, given, specs).graph
    while _write_stacks(definition, graph):
        graph = _build(concrete, definition, given, specs).graph
    for name in {each.loop for each in kept}:
        loop, of_loop = graph.get_operation_by_name(name), [each for each in kept if each.loop == name]
        shapes = _infer(loop, of_loop[0].body, [each.source for each in of_loop if not each.is_length])
        arguments = [each.name for each in of_loop[0].body.signature.input_arg]
        for each in of_loop:
            value: Any = None
            if not each.is_length:
                shape = shapes[each.source]
                value = shape.as_list() if shape.is_fully_defined() else None
            elif each.source in arguments:
                value = _find_length(loop.inputs[arguments.index(each.source)])
            if value is not None:
                _write_constant(each, value)
    # Under new names: TensorFlow goes on with what it knows by the old ones.
    context = importlib.import_module("tensorflow.python.eager.context").context()
    gradients = {each.gradient.signature.name: each.gradient for each in kept}
    new = {name: f"{name}_{secrets.token_hex(4)}" for name in gradients}
    for node in definition.node:
        if node.op in _LOOPS:
            called = node.attr["body"].func
            called.name = new.get(called.name, called.name)
    for name, gradient in gradients.items():
        gradient.signature.name = new[name]
        context.add_function_def(gradient)
    return definition


def _find_kept(definition: Any) -> Iterator[_Kept]:
    functions = {function.signature.name: function for function in definition.library.function}
    nodes = {node.name: node for node in definition.node}
    for taker in definition.node:
        for number, name in enumerate(taker.input if taker.op in _LOOPS else ()):
            loop, _, output = _skip(name, nodes).partition(":")
            if loop not in nodes or nodes[loop].op not in _LOOPS:
                continue
            body = functions[nodes[loop].attr["body"].func.name]
            gradient = functions[taker.attr["body"].func.name]
            inner = {node.name: node for node in body.node_def}
            push = _follow(body.ret[body.signature.output_arg[int(output or 0)].name], inner)
            if push is None or push.op != "TensorListPushBack":
                continue
            value = _follow(push.input[1], inner)
            if value is None or value.op not in ("Shape", "TensorListLength"):
                continue
            argument = gradient.signature.input_arg[number].name
            is_length = value.op == "TensorListLength"
            dtype = _INT32 if is_length else value.attr["out_type"].type
            yield _Kept(loop, body, value.input[0], gradient, argument, dtype, is_length)


def _skip(name: str, nodes: Mapping[str, Any]) -> str:
    """Return the tensor that ``name`` is, behind operations that change nothing."""
    while _node(name) in nodes and nodes[_node(name)].op == "Identity":
        name = nodes[_node(name)].input[0]
    return name


def _follow(name: str, nodes: Mapping[str, Any]) -> Any:
    """Return the node that gives the tensor ``name``, None for an argument."""
    return nodes.get(_node(_skip(name, nodes)))


def _write_stacks(definition: Any, graph: Any) -> bool:
    """Write the shapes of the lists that loops give into ``definition``; return whether any was not known.

    ``graph`` is of ``definition``.
    """
    functions = {function.signature.name: function for function in definition.library.function}
    is_new = False
    for node in list(definition.node):
        stack = graph.get_operation_by_name(node.name) if node.op == "TensorListStack" else None
        if stack is None or stack.outputs[0].shape.is_fully_defined():
            continue
        made = stack.inputs[0]
        if made.op.type not in _LOOPS:
            continue
        body = functions[made.op.get_attr("body").name]
        name = body.ret[body.signature.output_arg[made.value_index].name]
        setting = _follow(name, {each.name: each for each in body.node_def})
        length = _find_length(made.op.inputs[made.value_index])
        if length is None or setting is None or setting.op != "TensorListSetItem":
            continue
        shape = _infer(made.op, body, [setting.input[2]])[setting.input[2]]
        if shape.is_fully_defined():
            node.input[1] = _add_constant(definition.node, f"{node.name}_shape", shape.as_list())
            node.attr["num_elements"].i, is_new = length, True
    return is_new


def _find_length(handle: Any) -> int | None:
    """Return the length of the list ``handle``, a tensor, None where it is not known."""
    made = handle.op
    if made.type == "TensorListFromTensor":
        length: int | None = made.inputs[0].shape[:1].as_list()[0]
        return length
    if made.type != "TensorListReserve":
        return None
    value, source = tf.get_static_value(made.inputs[1]), made.inputs[1].op
    if value is None and source.type == "StridedSlice" and source.inputs[0].op.type == "Shape":
        start = tf.get_static_value(source.inputs[1])
        value = source.inputs[0].op.inputs[0].shape[int(start[0])] if start is not None else None
    return None if value is None else int(value)


def _infer(loop: Any, body: Any, sources: Sequence[str]) -> dict[str, Any]:
    """Return the shapes of tensors of ``body``, the body of the operation ``loop``, in its first round."""
    convert = importlib.import_module("tensorflow.python.framework.function_def_to_graph")
    definition, flat = convert.function_def_to_graph_def(body)
    arguments = dict(zip((each.name for each in body.signature.input_arg), loop.inputs, strict=True))
    round_ = _without(definition, set(arguments))
    names = [_tensor(flat.get(source, source)) for source in sources]
    used = {_tensor(name) for node in round_.node for name in node.input} | set(names)
    given = {f"{name}:0": tensor for name, tensor in arguments.items() if f"{name}:0" in used}
    with loop.graph.as_default():
        for node in round_.node:
            # TensorFlow forgets the shape of a list's elements.
            made = arguments.get(_node(node.input[0])) if node.op == "TensorListGetItem" else None
            if made is not None and made.op.type == "TensorListFromTensor" and f"{node.name}:0" in used:
                rows = made.op.inputs[0]
                given[f"{node.name}:0"] = tf.compat.v1.placeholder(rows.dtype, rows.shape[1:])
        tensors = tf.graph_util.import_graph_def(round_, input_map=given, return_elements=names)
    return {source: tensor.shape for source, tensor in zip(sources, tensors, strict=True)}


def _write_constant(kept: _Kept, value: int | Sequence[int]) -> None:
    """Let the gradient of ``kept`` take ``value`` where it takes the last of the list."""
    nodes = kept.gradient.node_def
    for pop in list(nodes):
        if pop.op == "TensorListPopBack" and pop.input[0] == kept.argument:
            constant = _add_constant(nodes, f"{pop.name}_shape", value, kept.dtype)
            for node in nodes:
                for number, name in enumerate(node.input):
                    if name == f"{pop.name}:tensor:0":
                        node.input[number] = f"{constant}:output:0"


def _add_constant(nodes: Any, name: str, value: int | Sequence[int], dtype: int = _INT32) -> str:
    """Add a constant to ``nodes``, those of a graph or a function; return its name."""
    constant = nodes.add()
    constant.name, constant.op = name, "Const"
    constant.attr["dtype"].type = dtype
    constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.as_dtype(dtype)))
    return name
