"""Whether a program may run on another Keras backend: what in its source ties it to TensorFlow.

A run of ``tune`` ends after the timed steps, so what comes behind them is never seen on the other backend.
Only the source can tell that it works there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from autoxla.model import Place, Situation
from autoxla.policies.usage import KERAS_FREE, is_below

#: Keras' own API, and what is input for it on each backend.
_KERAS = ("keras", "tensorflow.keras", "tensorflow.data")
#: Parts of Keras that are of one backend, or that `tf.keras` makes of TensorFlow's functions.
_BOUND = (
    *("keras.layers.TFSMLayer", "keras.layers.JaxLayer", "keras.layers.FlaxLayer"),
    *("keras.layers.TorchModuleWrapper", "keras.src", "keras.backend"),
)
#: What Keras 3 has of the module ``backend`` on each backend.
_FREE_OF_BACKEND = frozenset(
    (
        *("backend", "clear_session", "epsilon", "floatx", "image_data_format", "is_keras_tensor"),
        *("result_type", "set_epsilon", "set_floatx", "set_image_data_format"),
    )
)
#: Packages that leave the backend to Keras, beside those without Keras.
_PACKAGES = KERAS_FREE | {"keras", "keras_hub", "keras_tuner", "tensorflow"}
#: Methods that each backend calls in a way of its own.
_STEPS = ("train_step", "test_step", "predict_step")
#: Methods that TensorFlow's tensors and shapes have, and those of other backends have not or not always.
_OF_TENSORS = ("as_list", "numpy", "set_shape")


def find_tie(situation: Situation) -> str | None:
    """Return what ties the program to TensorFlow, with its place; None where it uses Keras' own API only."""
    reading = situation.reading
    if not reading.complete:
        place, reason = next(iter(reading.unread), (None, "its source is not all known"))
        return reason if place is None else f"{reason} ({place})"
    for evidence in reading.evidence:
        name = evidence.name
        if evidence.kind == "import" and name.partition(".")[0] not in _PACKAGES:
            return f"{name} may need TensorFlow's tensors ({evidence.place})"
        if evidence.kind in ("import", "attribute", "call") and _is_tied(name):
            return f"{name} is TensorFlow's own ({evidence.place})"
    for file in reading.files:
        try:
            tree = ast.parse(Path(file).read_bytes())
        except (OSError, SyntaxError, ValueError):
            return f"{file} is no module of Python"
        for node, what in _list_ties(tree):
            return f"{what} ({Place(file, node.lineno)})"
    return None


def _is_tied(name: str) -> bool:
    if not is_below(name, "tensorflow") and not is_below(name, "keras"):
        return False
    if name in ("tensorflow", "tensorflow.__version__"):
        return False
    inner = name.removeprefix("tensorflow.")
    if any(is_below(inner, part) for part in _BOUND):
        return inner != "keras.backend" and inner.removeprefix("keras.backend.") not in _FREE_OF_BACKEND
    return not any(is_below(name, part) for part in _KERAS)


def _list_ties(tree: ast.AST) -> Iterator[tuple[ast.FunctionDef | ast.Call, str]]:
    """Yield what a module does with models and tensors in the way of one backend."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in _STEPS:
            yield node, f"{node.name}() is written for one backend"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            method = node.func.attr
            if method in _OF_TENSORS:
                yield node, f".{method}() is a method of TensorFlow's tensors"
            elif method == "export":
                yield node, ".export() writes what TensorFlow computes"
