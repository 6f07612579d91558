"""What reading a program takes, from one module to 5,000, new and from the cache, beside TensorFlow's import.

``python -m benchmarks.lookahead [--rounds 25] [--json FILE]`` times `read_program` over made-up
packages of modules of 95 lines that all use ``tf.keras``, in milliseconds; programs of 1,000 modules
and more in a fifth of the rounds. ``import tensorflow`` is timed in a child, a few times, if it is
installed.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from autoxla.lookahead import Program, read_program
from benchmarks import interleave, read_arguments, show, summarise, write_json

SIZES = (1, 5, 10, 50, 100, 500, 1000, 5000)
LARGE = 1000
TENSORFLOW_ROUNDS = 3
TIME = "import time; t = time.perf_counter(); import tensorflow; print(time.perf_counter() - t)"
AGE = 3600 * 10**9  # ns; what has just changed is not kept

MODULE = '''"""Stage {number} of the model."""

from __future__ import annotations

import logging
import math

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

{imports}

LOG = logging.getLogger(__name__)
WIDTH = {number}
ACTIVATION = "relu"


class Stage(layers.Layer):
    """A stage with a skip connection."""

    def __init__(self, width: int = WIDTH, rate: float = 0.1, **options) -> None:
        super().__init__(**options)
        self.width = width
        self.rate = rate
        self.first = layers.Dense(width, activation=ACTIVATION, name="first")
        self.second = layers.Dense(width, name="second")
        self.norm = layers.LayerNormalization(epsilon=1e-6)
        self.drop = layers.Dropout(rate)

    def call(self, inputs, training=None):
        hidden = self.first(inputs)
        hidden = self.drop(hidden, training=training)
        hidden = self.second(hidden)
        if inputs.shape[-1] == self.width:
            hidden = hidden + inputs
        return self.norm(hidden)

    def get_config(self):
        config = super().get_config()
        config.update({{"width": self.width, "rate": self.rate}})
        return config


def schedule(step, warmup=1000, peak=1e-3):
    """Return the learning rate at a step."""
    if step < warmup:
        return peak * step / warmup
    progress = (step - warmup) / max(1, 10_000 - warmup)
    return 0.5 * peak * (1 + math.cos(math.pi * min(progress, 1.0)))


def batches(images, labels, size=32, seed=0):
    """Yield shuffled batches."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(images))
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        yield images[chosen], labels[chosen]


def build(width=WIDTH, depth=2, classes=10):
    """Return a model of a few stages."""
    inputs = tf.keras.Input((28, 28, 1))
    hidden = layers.Flatten()(inputs)
    for index in range(depth):
        hidden = Stage(width, name=f"stage_{{index}}")(hidden)
    outputs = layers.Dense(classes, activation="softmax")(hidden)
    model = tf.keras.Model(inputs, outputs)
    model.compile(
        optimizer=tf.keras.optimizers.Adam(1e-3),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


@tf.function
def step(model, images, labels):
    """Return the loss of one batch."""
    with tf.GradientTape() as tape:
        scores = model(images, training=True)
        losses = tf.keras.losses.sparse_categorical_crossentropy(labels, scores)
        loss = tf.reduce_mean(losses)
    gradients = tape.gradient(loss, model.trainable_variables)
    LOG.debug("gradients of %d variables", len(gradients))
    return loss


def evaluate(model, images, labels):
    """Return the accuracy."""
    scores = model.predict(images)
    return float(np.mean(np.argmax(scores, axis=-1) == labels))
'''


def main() -> None:
    """Measure, print a table, keep the raw figures."""
    arguments = read_arguments("Measure the reading of programs by their size.")
    measured: dict[str, list[float]] = {}
    if importlib.util.find_spec("tensorflow") is not None:
        measured["import tensorflow"] = [time_tensorflow() for _ in range(TENSORFLOW_ROUNDS)]
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            rounds = max(1, arguments.rounds // 5) if size >= LARGE else arguments.rounds
            measured |= interleave(make_variants(Path(folder, str(size)), size), rounds)
    summary = summarise(measured)
    show({name: {key: row[key] for key in ("min", "median")} for name, row in summary.items()}, "ms")
    data = {"unit": "ms", "rounds": arguments.rounds, "summary": summary, "measured": measured}
    write_json(arguments.json, data, {"python": platform.python_version()})


def make_variants(folder: Path, size: int) -> dict[str, Callable[[], float]]:
    """Return what times a program of `size` modules, new and from the cache."""
    program = make_program(folder, size)
    cache = folder / "cache"
    reading = read_program(program, path=[], cache=cache)
    if not reading.complete or len(reading.files) != size + 1:
        raise RuntimeError(f"the program of {size} modules is not read as a whole")
    return {
        f"{size} modules, new": partial(time_reading, program, None),
        f"{size} modules, cached": partial(time_reading, program, cache),
    }


def make_program(folder: Path, size: int) -> Program:
    """Write a program whose modules import each other as a tree, all an hour old."""
    folder.mkdir(parents=True)
    for number in range(size):
        below = [n for n in (2 * number + 1, 2 * number + 2) if n < size]
        imports = "\n".join(f"from stage_{n} import build as build_{n}" for n in below)
        (folder / f"stage_{number}.py").write_text(
            MODULE.format(number=number, imports=imports), encoding="utf-8"
        )
    main = folder / "main.py"
    main.write_text(
        "from stage_0 import build\n\nif __name__ == '__main__':\n    build()\n", encoding="utf-8"
    )
    before = time.time_ns() - AGE
    for file in folder.iterdir():
        os.utime(file, ns=(before, before))
    return Program("script", str(main), folder)


def time_reading(program: Program, cache: Path | None) -> float:
    """Return the milliseconds of one reading."""
    start = time.perf_counter()
    read_program(program, path=[], cache=cache)
    return (time.perf_counter() - start) * 1e3


def time_tensorflow() -> float:
    """Return the milliseconds that ``import tensorflow`` takes in a new process."""
    environment = {**os.environ, "AUTOXLA": "off", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", TIME], capture_output=True, text=True, check=True, env=environment
    )
    return float(done.stdout) * 1e3


if __name__ == "__main__":
    main()
