"""What in a program's source keeps it on TensorFlow, or keeps it from running several steps in one call.

A run of ``tune`` ends after the timed steps, so what comes behind them is never seen on another path. Only
the source can tell that it works there.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
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
#: Names that tie a program to TensorFlow, each with the reason.
_TIES: Mapping[str, str] = {
    **dict.fromkeys(("train_step", "test_step", "predict_step"), "is written for one backend"),
    **dict.fromkeys(("as_list", "numpy", "set_shape"), "is a method of TensorFlow's tensors"),
    "export": "writes what TensorFlow computes",
}
#: Names by which a program trains with Keras, which asks for the other one before.
_TRAINS = dict.fromkeys(("fit", "fit_generator", "train_on_batch"), "trains"), {"compile": "is called before"}
#: Names that look at batches, or for which it matters how many of them there are in a call.
_BATCHES: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *(f"on_{phase}batch_{end}" for phase in ("", "train_", "test_") for end in ("begin", "end")),
            *("on_predict_batch_begin", "on_predict_batch_end", "TerminateOnNaN", "save_freq", "update_freq"),
        ),
        "looks at batches",
    ),
    **dict.fromkeys(("train_on_batch", "test_on_batch", "predict_on_batch"), "runs one batch"),
    **dict.fromkeys(("steps_per_epoch", "validation_steps"), "counts batches"),
    **dict.fromkeys(("steps_per_execution", "train_function", "run_eagerly"), "is the program's own choice"),
}


def find_tie(situation: Situation) -> str | None:
    """Return what ties the program to TensorFlow, with its place; None where it uses Keras' own API only."""
    tied = (e for e in situation.reading.evidence if e.kind in ("import", "attribute") and _is_tied(e.name))
    if (unknown := _find_unknown(situation)) is not None:
        return unknown
    if (evidence := next(tied, None)) is not None:
        return f"{evidence.name} is TensorFlow's own ({evidence.place})"
    return _search(situation, _TIES)


def find_looks_at_batches(situation: Situation) -> str | None:
    """Return what looks at single batches, or counts them, with its place; None where nothing does."""
    return _find_unknown(situation) or _search(situation, _BATCHES)


def may_train(situation: Situation) -> bool:
    """Return whether the program's source names what trains a model of Keras."""
    return all(_search(situation, names) is not None for names in _TRAINS)


def _find_unknown(situation: Situation) -> str | None:
    """Return what of the program was not read, or a package that may do anything with Keras."""
    reading = situation.reading
    if not reading.complete:
        place, reason = next(iter(reading.unread), (None, "its source is not all known"))
        return reason if place is None else f"{reason} ({place})"
    imports = (e for e in reading.evidence if e.kind == "import")
    unknown = next((e for e in imports if e.name.partition(".")[0] not in _PACKAGES), None)
    return None if unknown is None else f"what {unknown.name} does with Keras is not known ({unknown.place})"


def _is_tied(name: str) -> bool:
    is_of_them = name.partition(".")[0] in ("keras", "tensorflow")
    if not is_of_them or name in ("tensorflow", "tensorflow.__version__"):
        return False
    inner = name.removeprefix("tensorflow.")
    if any(is_below(inner, part) for part in _BOUND):
        return inner != "keras.backend" and inner.removeprefix("keras.backend.") not in _FREE_OF_BACKEND
    return not any(is_below(name, part) for part in _KERAS)


def _search(situation: Situation, names: Mapping[str, str]) -> str | None:
    """Return the first of ``names`` in the program's files, with what is said of it and its place."""
    for file in situation.reading.files:
        try:
            tree = ast.parse(Path(file).read_bytes())
        except (OSError, SyntaxError, ValueError):
            return f"{file} is no module of Python"
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef(name=name) | ast.Attribute(attr=name) | ast.Name(id=name):
                    place = Place(file, node.lineno)
                case ast.keyword(arg=str(name)):
                    place = Place(file, node.value.lineno)
                case _:
                    continue
            if name in names:
                return f"{name} {names[name]} ({place})"
    return None
