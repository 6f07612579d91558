"""What a program sees of Keras: the last line of each program of the suite, as JSON on standard output."""

from __future__ import annotations

import json
from typing import Any

import numpy as np


def build(keras: Any) -> Any:
    """Return a model with the same weights each time."""
    layers = [keras.layers.Input((4,)), keras.layers.Dense(3, activation="tanh"), keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    for index, weight in enumerate(model.trainable_weights):
        shape = tuple(weight.shape)
        weight.assign(np.cos(np.arange(int(np.prod(shape))) + index).reshape(shape) * 0.5)
    return model


def observe(keras: Any) -> None:
    """Compile in three ways, train one step, predict, and print what came of it."""
    x = np.sin(np.arange(32.0)).reshape(8, 4).astype("float32")
    used = []
    for options in ({}, {"jit_compile": True}, {"jit_compile": False}):
        model = build(keras)
        model.compile("sgd", "mse", **options)
        used.append(model.jit_compile)
    model = build(keras)
    model.compile("sgd", "mse")
    model.fit(x, x[:, :2], batch_size=8, shuffle=False, verbose=0)
    facts = {
        "package": keras.layers.Dense.__module__.partition(".")[0],
        "jit": used,
        "weights": [float(value) for weight in model.get_weights() for value in np.ravel(weight)],
        "predicted": [float(value) for value in np.ravel(model.predict(x, verbose=0))],
    }
    print(json.dumps(facts, sort_keys=True))
