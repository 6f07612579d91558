"""What a step costs that autoxla pinned to a path, above Keras' own: the same graph, run both ways.

``python -m benchmarks pinned`` trains a model of about 0.3 ms a step and
then, in the same process, makes blocks of 50 steps in turn: through Keras' own function, and through the
trial's driver as it is when a path has won, and by hand, a batch fetched and the graph called and nothing
else. All run the plain graph, so that nothing else differs. A ratio is the median over neighbouring
blocks, with its interval; that of pinned to stock should be 1.01 at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from autoxla.runtime import Runtime
from autoxla.trial.comparison import interval
from autoxla.trial.driver import Challenger, Driver, Fit, Switched
from autoxla.trial.executables import Executable, sign
from autoxla.trial.guards import Guard
from autoxla.trial.steps import find_step
from benchmarks import conclude, interleave, read_arguments, show, summarise

BLOCK = 50
WARM_UP = 200
STOCK, AGAIN = "stock", "stock, again"
#: What the benchmark wants to tell: differences of this share of a step.
RESOLUTION = 0.02
BATCH, WIDTH = 16, 16
#: What is known of the step: nothing that is asked for here.
ANYTHING: Any = None


def main() -> None:
    """Measure, print a table and the ratio, keep the raw figures."""
    arguments = read_arguments(f"Measure a pinned step against Keras' own, in blocks of {BLOCK} steps.")
    model, batches = make_model(), make_batches()
    model.fit(batches.take(WARM_UP), verbose=0)
    iterator = iter(batches)
    runs: dict[str, Callable[[], Any]] = {
        STOCK: partial(model.train_function, iterator),
        AGAIN: partial(model.train_function, iterator),
        "pinned": make_pinned(model, batches, iterator),
        "by hand": make_bare(model, batches, iterator),
    }
    for run in runs.values():
        time_block(run, WARM_UP)
    measured = interleave(
        {name: partial(time_block, run, BLOCK) for name, run in runs.items()}, arguments.rounds
    )
    show(summarise(measured), "ms a step", 4)
    found = {
        "pinned/stock": compare(measured["pinned"], measured[STOCK]),
        "pinned/by hand": compare(measured["pinned"], measured["by hand"]),
    }
    for name, ratio in found.items():
        print(f"{name}: {ratio['median']} ({ratio['low']} to {ratio['high']})")
    data = {"unit": "ms a step", "block": BLOCK, "rounds": arguments.rounds, **found, "measured": measured}
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__}
    conclude(arguments, data, versions, again=(STOCK, AGAIN), resolution=RESOLUTION)


def compare(measured: Sequence[float], base: Sequence[float]) -> dict[str, float]:
    """Return the median of the ratios of neighbouring blocks, and the bounds of its interval."""
    ratios = sorted(one / other for one, other in zip(measured, base, strict=True))
    low, high = interval(ratios)
    return {"median": round(median(ratios), 4), "low": round(low, 4), "high": round(high, 4)}


def make_model() -> Any:
    """Return a compiled model whose step is mostly what stands around it."""
    model = keras.Sequential([keras.Input((WIDTH,)), keras.layers.Dense(WIDTH), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse", jit_compile=False)
    return model


def make_batches() -> Any:
    """Return a data set without end."""
    generator = np.random.default_rng(1)
    rows = generator.random((20 * BATCH, WIDTH), dtype=np.float32)
    return tf.data.Dataset.from_tensor_slices((rows, rows[:, :1])).batch(BATCH).repeat().prefetch(2)


def make_pinned(model: Any, batches: Any, iterator: Any) -> Callable[[], Any]:
    """Return a step by a driver whose challenger, here the plain graph itself, has won."""
    step = find(model, batches)
    driver = Driver(model, model.train_function, Runtime())
    driver.open(Fit())
    driver.structure = batches.element_spec
    run = Executable(step, step.captured_inputs)
    signature = sign(tf.nest.flatten(next(iterator)))
    driver.state = Switched(driver, ANYTHING, Challenger(run, run, Guard([], {}), signature))
    return partial(driver, iterator)


def make_bare(model: Any, batches: Any, iterator: Any) -> Callable[[], Any]:
    """Return what a pinned step cannot do without: a batch fetched, and the graph called on it."""
    step = find(model, batches)
    run = Executable(step, step.captured_inputs)
    return lambda: run(tf.nest.flatten(iterator.get_next()))


def find(model: Any, batches: Any) -> Any:
    """Return the trace of the training step of ``model``. Raises RuntimeError where it is not found."""
    step = find_step(model.train_function, batches.element_spec)
    if step is None:
        raise RuntimeError("the training step is not found")
    return step


def time_block(run: Callable[[], Any], steps: int) -> float:
    """Return the milliseconds of one of ``steps`` steps."""
    begin = time.perf_counter()
    for _ in range(steps):
        run()
    return (time.perf_counter() - begin) / steps * 1e3
