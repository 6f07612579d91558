"""What reading a program takes, from one module to 5,000, new and from the cache, beside TensorFlow's import.

``python -m benchmarks lookahead`` times `read_program` over made-up packages of modules of 100 lines that
all use ``tf.keras``, in milliseconds of the processor; programs of 1,000 modules and more in a fifth of the
rounds. ``import tensorflow`` is timed likewise in a child, in the same rounds. ``a module`` is the median
over the number of modules: where the growth is linear, it stays the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from autoxla import __version__
from autoxla.lookahead import Program, read_program
from benchmarks import conclude, interleave, read_arguments, show
from benchmarks.judging import estimate, pair_ratios

SIZES = (1, 5, 10, 50, 100, 500, 1000, 5000)
LARGE, QUICK = 1000, 100
TENSORFLOW = "import tensorflow"
#: The size that a limit is set for, and the same reading twice to see what the machine makes of it.
TYPICAL, AGAIN = "50 modules, new", "50 modules, new, again"
#: A share of a reading that can be told from noise.
RESOLUTION = 0.1
TIME = "import time; t = time.process_time(); import tensorflow; print(time.process_time() - t)"
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


def count(model):
    """Return the number of weights."""
    sizes = [int(np.prod(weight.shape)) for weight in model.trainable_weights]
    LOG.info("%d weights in %d variables", sum(sizes), len(sizes))
    return sum(sizes)
'''


def main() -> None:
    """Measure, print tables, keep the raw figures."""
    arguments = read_arguments("Measure the reading of programs by their size.")
    sizes = [size for size in SIZES if size <= QUICK or not arguments.quick]
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(Path(folder), sizes, arguments.rounds)
    summary = summarise_sizes(measured)
    show(summary, "ms", digits=3)
    data = {
        "unit": "ms",
        "rounds": arguments.rounds,
        "summary": summary,
        "share": estimate(pair_ratios(measured[TYPICAL], measured[TENSORFLOW])),
        "measured": measured,
    }
    versions = {"autoxla": __version__, "tensorflow": version("tensorflow")}
    conclude(arguments, data, versions, again=(TYPICAL, AGAIN), resolution=RESOLUTION)


def measure(folder: Path, sizes: Sequence[int], rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of TensorFlow's import and of each reading, by rounds."""
    small: dict[str, Callable[[], float]] = {TENSORFLOW: time_tensorflow}
    for size in (size for size in sizes if size < LARGE):
        small |= make_variants(folder / str(size), size)
    small[AGAIN] = small[TYPICAL]
    measured = interleave(small, rounds)
    for size in (size for size in sizes if size >= LARGE):
        measured |= interleave(make_variants(folder / str(size), size), max(1, rounds // 5))
    return measured


def summarise_sizes(measured: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float | None]]:
    """Return minimum, median with its interval, and the milliseconds of a module, of each reading."""
    summary = {}
    for name, times in measured.items():
        found = estimate(times)
        row = {"min": min(times), "median": found["median"], "low": found["low"], "high": found["high"]}
        count = name.partition(" ")[0]
        summary[name] = row | ({"a module": found["median"] / int(count)} if count.isdecimal() else {})
    return summary


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
    start = time.process_time()
    read_program(program, path=[], cache=cache)
    return (time.process_time() - start) * 1e3


def time_tensorflow() -> float:
    """Return the milliseconds that ``import tensorflow`` takes in a new process."""
    environment = {**os.environ, "AUTOXLA": "off", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", TIME], capture_output=True, text=True, check=True, env=environment
    )
    return float(done.stdout) * 1e3
