"""One program, trained without a trial and with one, for each way in which people train.

``python trial_parity.py keras|tf_keras`` prints, for each scenario, what the two runs left behind as
JSON. What decides in a trial is forced here, so that XLA takes over after a few steps: which path is
faster does not matter to these runs. Work beside training is done at once for the same reason.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from autoxla.runtime import current
from autoxla.trial import driver, economics
from autoxla.trial.comparison import Verdict
from autoxla.trial.eligibility import find_obstacle
from autoxla.trial.executables import Dispatch

keras: Any = importlib.import_module(sys.argv[1] if len(sys.argv) > 1 else "keras")
#: Seconds that a run beside training may take.
LONGEST = 60.0
ROWS, WIDTH, BATCH = 90, 6, 8  # 11 whole batches and one of 2 rows


def begin_at_once(work: Callable[[], Any]) -> Future[Any]:
    """Do what `autoxla.trial.background.begin_beside` does, without the thread."""
    outcome: Future[Any] = Future()
    try:
        outcome.set_result(work())
    except Exception as error:  # noqa: BLE001 - as the function it stands for
        outcome.set_exception(error)
    return outcome


class Waiting(Dispatch):
    """`autoxla.trial.executables.Dispatch` that is done when it is first asked."""

    def poll(self) -> bool:
        """Wait until it is, or for so long that something must be wrong with it."""
        deadline = time.monotonic() + LONGEST
        while not super().poll() and time.monotonic() < deadline:
            time.sleep(0.01)
        return super().poll()


def force() -> None:
    """Let every trial begin early and end with the challenger after three pairs."""
    economics.SHORTEST = economics.LEAST_SAVING = 0.0
    names: Any = driver
    names.begin_beside, names.Dispatch = begin_at_once, Waiting
    names._FIRST_LOOK, names._POLL = 4, 0.0
    names.pays = lambda *_: True
    names.is_worth_switching = lambda *_: True
    names.judge = lambda pairs: Verdict("challenger" if len(pairs) >= 3 else None, 0.5, 0.4, 0.6, len(pairs))


def data() -> tuple[Any, Any]:
    """Return numbers that look drawn and are the same each time."""
    x = np.sin(np.arange(ROWS * WIDTH, dtype="float32") * 1.7).reshape(ROWS, WIDTH)
    return x, (np.abs(x.sum(1) * 7).astype("int64") % 3)


def make(**options: Any) -> Any:
    """Return a model with the same weights each time."""
    model = options.pop("of", keras.Sequential)(
        [
            keras.layers.Input((WIDTH,)),
            keras.layers.Dense(16, activation="tanh"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(3),
        ]
    )
    for index, weight in enumerate(model.trainable_weights):
        shape = tuple(weight.shape)
        weight.assign(np.cos(np.arange(int(np.prod(shape))) * 0.9 + index).reshape(shape) * 0.4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    settings = {"optimizer": keras.optimizers.Adam(0.01), "loss": loss, "metrics": ["accuracy"], **options}
    model.compile(**settings)
    return model


class Log(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps every call of a callback with its logs."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Keep the batch and the names in the logs, in their order."""
        self.calls.append([batch, list(logs or {})])

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keep the epoch."""
        self.calls.append(["epoch", epoch, list(logs or {})])


def state(model: Any, log: Log | None = None) -> dict[str, Any]:
    """Return what training left behind."""
    history = getattr(model, "history", None)
    return {
        "weights": [np.asarray(weight).ravel().tolist() for weight in model.get_weights()],
        "iterations": int(np.asarray(model.optimizer.iterations)),
        "history": {k: [float(v) for v in vs] for k, vs in (history.history if history else {}).items()},
        "calls": log.calls if log else [],
    }


def basic(model: Any) -> dict[str, Any]:
    """Fit arrays with a smaller last batch, and validate."""
    log = Log()
    x, y = data()
    model.fit(
        x, y, batch_size=BATCH, epochs=3, verbose=0, shuffle=False, callbacks=[log], validation_data=(x, y)
    )
    return state(model, log)


def weighted(model: Any) -> dict[str, Any]:
    """Fit with weights of classes."""
    x, y = data()
    model.fit(x, y, batch_size=9, epochs=3, verbose=0, shuffle=False, class_weight={0: 1.0, 1: 2.0, 2: 0.5})
    return state(model)


def sample_weighted(model: Any) -> dict[str, Any]:
    """Fit with weights of samples."""
    x, y = data()
    weights = np.linspace(0.1, 1.9, ROWS).astype("float32")
    model.fit(x, y, sample_weight=weights, batch_size=9, epochs=3, verbose=0, shuffle=False)
    return state(model)


def generated(model: Any) -> dict[str, Any]:
    """Fit a data set whose length nobody knows."""

    def rows() -> Iterator[Any]:
        x, y = data()
        for start in range(0, ROWS - BATCH, BATCH):
            yield x[start : start + BATCH], y[start : start + BATCH]

    specs = (tf.TensorSpec((None, WIDTH), tf.float32), tf.TensorSpec((None,), tf.int64))
    log = Log()
    model.fit(
        tf.data.Dataset.from_generator(rows, output_signature=specs), epochs=3, verbose=0, callbacks=[log]
    )
    return state(model, log)


def repeated(model: Any) -> dict[str, Any]:
    """Fit an endless data set by steps an epoch."""
    log = Log()
    endless = tf.data.Dataset.from_tensor_slices(data()).batch(BATCH, drop_remainder=True).repeat()
    model.fit(endless, steps_per_epoch=15, epochs=2, verbose=0, callbacks=[log])
    return state(model, log)


def stopped_early(model: Any) -> dict[str, Any]:
    """Stop when the loss does not fall by much."""
    x, y = data()
    stop = keras.callbacks.EarlyStopping("loss", patience=1, min_delta=0.08)
    log = Log()
    model.fit(x, y, batch_size=BATCH, epochs=30, verbose=0, shuffle=False, callbacks=[stop, log])
    return state(model, log)


def stopped_within(model: Any) -> dict[str, Any]:
    """Set ``stop_training`` in the middle of an epoch."""
    log = Log()

    class Stop(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = int(np.asarray(self.model.optimizer.iterations)) >= 30

    x, y = data()
    model.fit(x, y, batch_size=BATCH, epochs=9, verbose=0, shuffle=False, callbacks=[Stop(), log])
    return state(model, log)


def interrupted(model: Any) -> dict[str, Any]:
    """Press Ctrl-C in a step after the switch, and go on."""

    class Interrupt(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if int(np.asarray(self.model.optimizer.iterations)) == 29:
                raise KeyboardInterrupt

    x, y = data()
    try:
        model.fit(x, y, batch_size=BATCH, epochs=9, verbose=0, shuffle=False, callbacks=[Interrupt()])
    except KeyboardInterrupt:
        reached = int(np.asarray(model.optimizer.iterations))
    model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0, shuffle=False)
    return {**state(model), "reached": reached}


def restored(model: Any) -> dict[str, Any]:
    """Save weights in the middle, train on, go back, train again."""
    x, y = data()
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "middle.weights.h5")
        model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0, shuffle=False)
        model.save_weights(file)
        model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0, shuffle=False)
        model.load_weights(file)
        model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0, shuffle=False)
    return state(model)


def on_batches(model: Any) -> dict[str, Any]:
    """Mix ``fit`` and ``train_on_batch``."""
    x, y = data()
    model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0, shuffle=False)
    losses = [np.asarray(model.train_on_batch(x[:BATCH], y[:BATCH])).ravel().tolist() for _ in range(3)]
    model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0, shuffle=False)
    return {**state(model), "losses": losses}


def evaluated(model: Any) -> dict[str, Any]:
    """Evaluate and predict after the switch."""
    x, y = data()
    model.fit(x, y, batch_size=BATCH, epochs=3, verbose=0, shuffle=False)
    results = np.asarray(model.evaluate(x, y, verbose=0)).ravel().tolist()
    return {**state(model), "losses": [results, model.predict(x[:4], verbose=0).ravel().tolist()]}


#: What `Counting` counts in.
COUNTED = tf.Variable(0)


def counted(model: Any) -> dict[str, Any]:
    """Fit, and tell how often the step was run."""
    COUNTED.assign(0)
    result = basic(model)
    return {**result, "reached": int(COUNTED.numpy())}


def restructured(model: Any) -> dict[str, Any]:
    """Fit other data the second time: with weights, and labels of another type."""
    x, y = data()
    model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0, shuffle=False)
    model.fit(x, y.astype("int32"), batch_size=BATCH, epochs=2, verbose=0, shuffle=False)
    weights = np.linspace(0.1, 1.9, ROWS).astype("float32")
    model.fit(x, y, sample_weight=weights, batch_size=BATCH, epochs=2, verbose=0, shuffle=False)
    return state(model)


def in_short_fits(model: Any) -> dict[str, Any]:
    """Fit epoch by epoch, so that a race spans several fits."""
    x, y = data()
    for _ in range(8):
        model.fit(x[:48], y[:48], batch_size=BATCH, verbose=0, shuffle=False)
    return state(model)


class Own(keras.Sequential):  # type: ignore[misc]
    """A model with a training step of its own."""

    def train_step(self, batch: Any) -> dict[str, Any]:
        """Add the mean square of the outputs to the loss."""
        x, y = batch
        with tf.GradientTape() as tape:
            outputs = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=outputs) + 0.1 * tf.reduce_mean(outputs**2)
        weights = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {"loss": loss, "size": tf.cast(tf.shape(x)[0], tf.float32)}


class Counting(Own):
    """A training step that counts in a variable that only its handle reaches."""

    def train_step(self, batch: Any) -> dict[str, Any]:
        """Count, and read nothing."""
        COUNTED.assign_add(1, read_value=False)
        return super().train_step(batch)


class Printing(Own):
    """A training step with an operation that XLA has no code for."""

    def train_step(self, batch: Any) -> dict[str, Any]:
        """Call Python from the graph."""
        x, y = batch
        tf.numpy_function(lambda size: None, [tf.shape(x)[0]], [])
        return super().train_step((x, y))


def two_inputs(model: Any) -> dict[str, Any]:
    """Fit dictionaries, whose names are in another order than the data set's."""
    first, second = keras.Input((WIDTH,), name="zebra"), keras.Input((WIDTH,), name="ape")
    outputs = keras.layers.Dense(3)(keras.layers.Concatenate()([first, second]))
    other = keras.Model({"zebra": first, "ape": second}, outputs)
    for weight in other.trainable_weights:
        weight.assign(np.cos(np.arange(int(np.prod(weight.shape)))).reshape(tuple(weight.shape)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    other.compile("sgd", loss, **JIT)
    x, y = data()
    other.fit({"zebra": x, "ape": x * 2}, y, batch_size=BATCH, epochs=3, verbose=0, shuffle=False)
    model.adopted = other
    return state(other)


def mixed(model: Any) -> dict[str, Any]:
    """Fit a model that computes in bfloat16 and keeps float32."""
    policies = keras.mixed_precision
    policies.set_global_policy("mixed_bfloat16")
    try:
        other = make(**JIT)
    finally:
        policies.set_global_policy("float32")
    model.adopted = other
    return basic(other)


def sparse(model: Any) -> dict[str, Any]:
    """Fit rows that have a sparse feature, which is no plain tensor."""
    inputs = keras.Input((WIDTH,), sparse=True)
    other = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    for weight in other.trainable_weights:
        weight.assign(np.cos(np.arange(int(np.prod(weight.shape)))).reshape(tuple(weight.shape)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    other.compile("sgd", loss, **JIT)
    x, y = data()
    rows = tf.data.Dataset.from_tensor_slices((tf.sparse.from_dense(x), y)).batch(BATCH)
    other.fit(rows, epochs=3, verbose=0)
    model.adopted = other
    return state(other)


#: The run, how the model is made, and whether a trial is to take place in it.
SCENARIOS: dict[str, tuple[Callable[[Any], dict[str, Any]], dict[str, Any], bool]] = {
    "basic": (basic, {}, True),
    "class_weight": (weighted, {}, True),
    "sample_weight": (sample_weighted, {}, True),
    "unknown length": (generated, {}, True),
    "steps_per_epoch": (repeated, {}, True),
    "EarlyStopping": (stopped_early, {}, True),
    "stop_training": (stopped_within, {}, True),
    "KeyboardInterrupt": (interrupted, {}, True),
    "checkpoint": (restored, {}, True),
    "train_on_batch": (on_batches, {}, True),
    "evaluate and predict": (evaluated, {}, True),
    "train_step": (basic, {"of": Own, "metrics": None}, True),
    "LR schedule": (basic, {"schedule": True}, True),
    "two inputs": (two_inputs, {}, True),
    "mixed precision": (mixed, {}, True),
    "sparse": (sparse, {}, False),
    "other data": (restructured, {}, True),
    "short fits": (in_short_fits, {}, True),
    "by its handle": (counted, {"of": Counting, "metrics": None}, False),
    "steps_per_execution": (basic, {"steps_per_execution": 4}, False),
    "run_eagerly": (generated, {"run_eagerly": True}, False),
    "numpy_function": (basic, {"of": Printing, "metrics": None}, False),
}
JIT: dict[str, Any] = {}


def run(name: str) -> dict[str, Any]:
    """Run one scenario without a trial and with one."""
    function, options, _ = SCENARIOS[name]
    results: dict[str, Any] = {}
    for kind, jit in (("plain", {"jit_compile": False}), ("trial", {})):
        JIT.clear()
        JIT.update(jit)
        own = dict(options)
        if own.pop("schedule", False):
            schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 7, 0.8)
            own["optimizer"] = keras.optimizers.SGD(schedule, momentum=0.9)
        model = make(**own, **jit)
        results[kind] = function(model)
        used = getattr(model, "adopted", model)
        entry = vars(used).get("_autoxla_driver")
        results[kind]["outcome"] = entry.entry.get("outcome") if entry is not None else None
        results[kind]["obstacle"] = find_obstacle(used, current())
        results[kind]["own_function"] = not isinstance(used.train_function, driver.Driver)
    return results


if __name__ == "__main__":
    force()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    wanted = sys.argv[2:] or list(SCENARIOS)
    print(json.dumps({name: run(name) for name in wanted}))
