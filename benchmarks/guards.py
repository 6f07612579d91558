"""What a guard in front of XLA costs, beside the step that it guards.

``python -m benchmarks guards`` trains two classifiers of texts, with steps of about 1 ms and 10 ms on two
cores. Then, in the same process, it makes blocks of calls in turn: of the step as XLA runs it, and of its
guard as it is asked before each step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from autoxla.trial.executables import Executable
from autoxla.trial.guards import examine
from autoxla.trial.steps import find_step
from autoxla.trial.traces import for_xla
from benchmarks import conclude, interleave, read_arguments, show, summarise

BLOCK = 50
STEP, AGAIN, GUARD = "step", "step, again", "guard"
#: Rows a batch, tokens a row, words in the vocabulary, and how wide the network is.
SIZES = {"small": (256, 128, 10_000, 128), "large": (512, 256, 100_000, 128)}
#: What the benchmark wants to tell: differences of this share of a step.
RESOLUTION = 0.02


def main() -> None:
    """Measure, print a table and the shares, keep the raw figures."""
    arguments = read_arguments(f"Measure guards beside their steps, in blocks of {BLOCK} calls.")
    runs: dict[str, Callable[[], float]] = {}
    for size in SIZES:
        for name, call in make_calls(size).items():
            runs[f"{size}: {name}"] = partial(time_block, call)
    for run in runs.values():
        run()
    measured = interleave(runs, arguments.rounds)
    show(summarise(measured), "ms a call", 4)
    shares = {}
    for size in SIZES:
        step, guard = (median(measured[f"{size}: {name}"]) for name in (STEP, GUARD))
        shares[size] = {
            "step_ms": round(step, 4),
            "guard_us": round(guard * 1e3, 2),
            "share": round(guard / step, 5),
        }
        print(f"{size}: a guard of {guard * 1e3:.3g} us before a step of {step:.3g} ms, {guard / step:.2%}")
    data = {"unit": "ms a call", "block": BLOCK, "rounds": arguments.rounds, **shares, "measured": measured}
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__}
    conclude(arguments, data, versions, again=(f"small: {STEP}", f"small: {AGAIN}"), resolution=RESOLUTION)


def make_calls(size: str) -> dict[str, Callable[[], Any]]:
    """Return what is timed of the classifier of ``size``, each a call on one batch."""
    rows, length, words, width = SIZES[size]
    tokens = np.random.randint(0, words, (2 * rows, length)).astype("int32")
    data = tf.data.Dataset.from_tensor_slices((tokens, tokens[:, 0] % 5)).batch(rows)
    model = keras.Sequential(
        [
            keras.layers.Embedding(words, 16),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(width, activation="relu"),
            keras.layers.Dense(5),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, jit_compile=False)
    model.fit(data, verbose=0)
    found = find_step(model.train_function, data.element_spec)
    if found is None:
        raise SystemExit("the training step is not found")
    guard = examine(found, found.graph.as_graph_def())
    batch = tf.nest.flatten(next(iter(data)))
    compiled = for_xla(found, batch)
    step = Executable(compiled, compiled.captured_inputs)
    calls: dict[str, Callable[..., Any]] = {STEP: step, AGAIN: step, GUARD: guard}
    return {name: partial(call, batch) for name, call in calls.items()}


def time_block(call: Callable[[], Any]) -> float:
    """Return the milliseconds of a call, the median of a block."""
    times = []
    for _ in range(BLOCK):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return median(times) * 1e3


if __name__ == "__main__":
    main()
