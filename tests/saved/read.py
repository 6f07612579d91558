"""Load what `make.py` wrote with the Keras that is here: ``python read.py PACKAGE FOLDER...``.

PACKAGE is what the program imports, ``keras``, ``tf.keras`` or ``tf_keras``. Of each file and each way to
load it stdout has the outcome: ``ok``, ``differs`` (it answers something else), or the error.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

package, *folders = sys.argv[1:]
only = os.environ.get("WAYS", "").split()
if package == "tf.keras":
    import tensorflow as tf

    keras: Any = tf.keras
else:
    keras = importlib.import_module(package)
is_3 = hasattr(keras, "ops")


class Scale(keras.layers.Layer):  # type: ignore[misc]
    """The layer of the program's own in the files."""

    def __init__(self, factor: float = 2.0, **options: Any) -> None:
        super().__init__(**options)
        self.factor = factor

    def call(self, x: Any) -> Any:
        return x * self.factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


def build(name: str) -> Any:
    """Build anew the model of a file of weights."""
    layers = keras.layers
    stack: tuple[Any, ...]
    shape: tuple[int, ...]
    if name == "sequential":
        stack, shape = (layers.Dense(2, activation="relu"),), (3,)
    elif name == "conv":
        stack = layers.Conv2D(2, 3), layers.DepthwiseConv2D(2), layers.BatchNormalization()
        stack, shape = (*stack, layers.GlobalAveragePooling2D()), (6, 6, 1)
    else:
        stack = layers.LSTM(2, return_sequences=True), layers.Bidirectional(layers.GRU(2))
        stack, shape = (layers.Embedding(4, 2), *stack), (5,)
    return keras.Sequential([keras.Input(shape), *stack, layers.Dense(1)])


def with_weights(name: str, path: str) -> Any:
    model = build(name)
    done = model.load_weights(path)
    if hasattr(done, "expect_partial"):
        done.expect_partial()
    return model


def as_layer(path: str, endpoint: str) -> Any:
    layer = keras.layers.TFSMLayer(path, call_endpoint=endpoint)
    return keras.Sequential([layer])


def ways_of(path: Path, name: str) -> dict[str, Callable[[], Any]]:
    """Return the ways in which ``path`` may be loaded."""
    text, own = str(path), {"Scale": Scale}
    # The classes that a file of Keras 2 names in modules that Keras 3 does not have.
    classes = {"Functional": keras.Model, "Sequential": keras.Sequential}
    if path.name == "tokenizer.pkl" or path.suffix == ".pkl":
        return {"pickle": lambda: pickle.loads(path.read_bytes())}  # noqa: S301
    if path.suffix == ".json":
        read = keras.models.model_from_json
        return {
            "plain": lambda: read(path.read_text()),
            "custom": lambda: read(path.read_text(), own),
            "classes": lambda: read(path.read_text(), classes),
        }
    if text.endswith((".weights.h5", "-weights.h5", "-checkpoint")):
        name = name.partition(".")[0].partition("-")[0]
        return {"weights": lambda: with_weights(name, text)}
    load = keras.models.load_model
    ways = {"plain": lambda: load(text), "uncompiled": lambda: load(text, compile=False)}
    if is_3 and path.suffix == ".keras":
        ways["classes"] = lambda: load(text, custom_objects=classes)
    if name == "own":
        ways["custom"] = lambda: load(text, custom_objects=own)
    if name == "lambda":
        ways["unsafe"] = lambda: load(text, safe_mode=False)
    if path.is_dir() and is_3:
        ways["TFSMLayer"] = lambda: as_layer(text, "serving_default")
        ways["TFSMLayer_serve"] = lambda: as_layer(text, "serve")
    return ways


def judge(thing: Any, path: Path, answer: Any) -> str:
    if answer is None or path.suffix == ".json":
        return "ok"
    rows, wanted = (np.asarray(each, "float32") for each in answer)
    found = thing(rows)
    found = next(iter(found.values())) if isinstance(found, dict) else found
    return "ok" if np.allclose(np.asarray(found), wanted, atol=1e-5) else "differs"


for folder in map(Path, folders):
    answers = json.loads((folder / "answers.json").read_text())
    names = {p.name for p in folder.iterdir()} - {"answers.json", "checkpoint"}
    names = {n.partition(".index")[0] for n in names if ".data-" not in n}
    for name in sorted(names):
        path = folder / name
        stem = name.partition(".")[0].partition("-")[0]
        for way, load in ways_of(path, stem).items():
            if only and way not in only:
                continue
            try:
                outcome = judge(load(), path, answers.get(stem))
            except Exception as error:  # noqa: BLE001 - the outcome
                outcome = f"{type(error).__name__}: {error}"[:400]
            print("=>", json.dumps([folder.name, name, way, outcome]), flush=True)
print(
    "version",
    keras.__version__ if hasattr(keras, "__version__") else "?",
    type(keras.layers.Dense).__module__,
    keras.layers.Dense.__module__,
)
