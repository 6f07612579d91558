"""Models in threads: ``flood_fits.py THREADS``; each thread makes, compiles and fits one, with a trial."""

from __future__ import annotations

import faulthandler
import json
import sys
import threading
from typing import Any

import keras
import numpy as np

from floods.children.flooding import count_faults, force_trials, outcome_of, wait_beside

THREADS = int(sys.argv[1])
ROWS = np.sin(np.arange(512, dtype="float32")).reshape(64, 8)
results: dict[int, dict[str, Any]] = {}


def make_model(width: int) -> Any:
    """Return a model with the same weights each time."""
    layers = [keras.Input((8,)), keras.layers.Dense(width, activation="tanh"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    for index, weight in enumerate(model.trainable_weights):
        shape = tuple(weight.shape)
        weight.assign(np.cos(np.arange(int(np.prod(shape))) * 0.9 + index).reshape(shape) * 0.4)
    model.compile("sgd", "mse")
    return model


def work(number: int) -> None:
    """Fit a model of this thread's own."""
    try:
        model = make_model(4 + number)
        barrier.wait()
        patience = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: wait_beside(model))
        options = {"batch_size": 8, "epochs": 10, "verbose": 0, "shuffle": False, "callbacks": [patience]}
        loss = model.fit(ROWS, ROWS[:, :1], **options).history["loss"][-1]
        steps = int(np.asarray(model.optimizer.iterations))
        results[number] = {"loss": round(float(loss), 4), "steps": steps, "trial": outcome_of(model)}
    except Exception as error:  # noqa: BLE001 - what is counted
        results[number] = {"error": f"{type(error).__name__}: {str(error)[:300]}"}


faulthandler.dump_traceback_later(300, exit=True)
force_trials()
barrier = threading.Barrier(THREADS, timeout=250)
threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps({"models": [results[number] for number in range(THREADS)], "faults": count_faults()}))
