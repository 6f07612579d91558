"""One bad batch late in the data, trained in plain Keras and under a trial that switches to XLA before it.

``python -m autoxla parity_programs.py keras|tf_keras NAME…`` prints as JSON how both trainings ended: the
error, the step, the weights.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

import trial_parity as parity
from autoxla.runtime import current
from autoxla.trial import driver
from checked_operations import COLUMNS, OPERATIONS, ROWS, VARIABLE

keras: Any = parity.keras
layers: Any = keras.layers
#: Rows a batch, batches, and the batch that is bad.
BATCH, BATCHES, BAD = 8, 60, 50
#: A NaN in a batch of fewer rows, which is not for XLA.
SMALLER = "NaN in a smaller batch"


class Model(keras.Model):  # type: ignore[misc]
    """A few layers, and what an operation gives for the second input."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.hidden, self.out = layers.Dense(8, activation="tanh"), layers.Dense(1)
        self.function = function

    def call(self, inputs: Any) -> Any:
        """Add the operation's sum to what the layers give."""
        rows, numbers = inputs
        return self.out(self.hidden(rows)) + tf.reduce_sum(self.function(numbers)) * 0.001


class Truncate(layers.Layer):  # type: ignore[misc]
    """Cuts off what is behind the point."""

    def call(self, inputs: Any) -> Any:
        """Go by integers, which cannot be as large as floats."""
        return inputs + tf.cast(tf.cast(inputs, tf.int32), tf.float32) * 1e-9


def _embedding() -> Any:
    return keras.Sequential(
        [layers.Embedding(ROWS, COLUMNS), layers.GlobalAveragePooling1D(), layers.Dense(1)]
    )


def _make(name: str) -> tuple[Any, Any, Any, Any]:
    """Return a model, its inputs with a bad row, its targets and its loss."""
    generator = np.random.default_rng(0)
    rows = generator.random((BATCH * BATCHES, 4), dtype="float32")
    targets = rows[:, :1]
    at = BAD * BATCH + 3
    if name == "embedding":
        tokens = generator.integers(0, ROWS, (len(rows), 2)).astype("int32")
        tokens[at, 1] = ROWS
        return _embedding(), tokens, targets, "mse"
    if name == "labels":
        labels = generator.integers(0, 3, len(rows))
        labels[at] = 3
        model = keras.Sequential([layers.Dense(8, activation="tanh"), layers.Dense(3)])
        return model, rows, labels, keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if name in ("cast", "NaN", SMALLER):
        rows[at, 1] = 1e20 if name == "cast" else np.nan
        chain = [layers.Dense(8, activation="relu"), layers.Dense(1, activation="sigmoid")]
        if name == "cast":
            chain.insert(0, Truncate())
        return keras.Sequential(chain), rows, (targets > 0.5).astype("float32"), "binary_crossentropy"
    operation = OPERATIONS[name]
    good, bad = (np.resize(each, (BATCH, 2)) for each in (operation.good, operation.bad))
    numbers = np.concatenate([good] * BATCHES).astype("int32")
    numbers[BAD * BATCH : (BAD + 1) * BATCH] = bad
    return Model(operation.function), (rows, numbers), targets, "mse"


class Steps(keras.callbacks.Callback):  # type: ignore[misc]
    """Counts the batches that ended."""

    done = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count one."""
        self.done += 1


def train(name: str, **options: Any) -> dict[str, Any]:
    """Train a new model and tell how that ended."""
    model, inputs, targets, loss = _make(name)
    model.compile(keras.optimizers.SGD(0.01), loss, **options)
    data = tf.data.Dataset.from_tensor_slices((inputs, targets)).batch(BATCH)
    if name == SMALLER:
        every = data.unbatch()
        data = every.take(BAD * BATCH + 4).batch(BATCH).concatenate(every.skip(BAD * BATCH + 4).batch(BATCH))
    for batch, _ in data.take(1):
        model(batch)
    for index, weight in enumerate(model.trainable_weights):
        shape = tuple(weight.shape)
        weight.assign(np.cos(np.arange(int(np.prod(shape))) * 0.9 + index).reshape(shape) * 0.4)
    VARIABLE.assign(tf.ones((ROWS, COLUMNS)))
    steps, error = Steps(), None
    try:
        model.fit(data, epochs=1, verbose=0, callbacks=[steps])
    except Exception as raised:  # noqa: BLE001 - which one is what is asked
        # The names of layers and functions count up within a process.
        error = [type(raised).__name__, re.sub(r"_[0-9]+", "", str(raised))]
    entries = [*current().trials]
    return {
        "error": error,
        "steps": steps.done,
        "weights": [np.asarray(weight).ravel().tolist() for weight in model.get_weights()],
        "outcome": entries[-1].get("outcome") if entries and not options else None,
    }


if __name__ == "__main__":
    parity.force()
    names: Any = driver
    names.find_seed = names.find_global_seed = lambda *_: None
    wanted = sys.argv[2:]
    print(json.dumps({name: [train(name, jit_compile=False), train(name)] for name in wanted}))
