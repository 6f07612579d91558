"""Many models, or many calls of one, in blocks: ``flood_models.py predict|compile|train|xla COUNT``.

``compile`` builds and compiles models and lets them go, ``train`` fits each with a trial besides, ``xla``
each with ``jit_compile=True``; ``predict`` calls one model again and again.
"""

from __future__ import annotations

import gc
import sys
import weakref
from typing import Any

import keras
import numpy as np

from floods.children.flooding import count_faults, force_trials, outcome_of, serve, wait_beside

KIND, COUNT = sys.argv[1], int(sys.argv[2])
ROWS = np.sin(np.arange(64, dtype="float32")).reshape(8, 8)
DATA = np.tile(ROWS, (60, 1))
made: list[weakref.ref[Any]] = []
outcomes: list[str | None] = []


def make_model() -> Any:
    """Return a small model; all but ``xla`` leave ``jit_compile`` open."""
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse", jit_compile=True if KIND == "xla" else "auto")
    return model


def predict() -> None:
    """Predict."""
    MODEL.predict(ROWS, verbose=0)


def compile_one() -> None:
    """Make a model and keep only a weak reference."""
    made.append(weakref.ref(make_model()))


def train_one() -> None:
    """Make a model, fit it, and keep only a weak reference."""
    model = make_model()
    patience = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: wait_beside(model))
    model.fit(DATA, DATA[:, :1], batch_size=8, epochs=2, verbose=0, callbacks=[patience])
    outcomes.append(outcome_of(model))
    made.append(weakref.ref(model))


def work() -> dict[str, object]:
    """Do one block; return how many of the models made so far are still there, and how trials ended."""
    for _ in range(COUNT):
        RUN()
    gc.collect()
    alive = sum(reference() is not None for reference in made)
    switched = sum(outcome == "switched to xla" for outcome in outcomes)
    return {"made": len(made), "alive": alive, "switched": switched, "faults": count_faults()}


force_trials()
MODEL = make_model()
RUN = {"predict": predict, "compile": compile_one, "train": train_one, "xla": train_one}[KIND]
serve(work)
