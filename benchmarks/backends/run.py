"""The program that is measured: one model, trained by Keras on one path, with a clock around its steps.

``KERAS_BACKEND=BACKEND python -m benchmarks.backends.run MODEL PATH --seconds S --json FILE`` calls ``fit``
on arrays in memory, an epoch of 300 batches again and again, and writes

* ``marks``: for some steps, the seconds from the call of ``fit`` until their result was there. The last of
  them is step 3,000, or the one at which S seconds were over since the end of the warm-up;
* ``sample``: the seconds of each step behind that, from one result to the next, as ``tune`` times them;
* ``losses`` of steps 1, 2, 4 … 64, and what else the process can tell.

Then the process ends at once. Between the marks nothing waits for a result: Keras does not, either. This
module imports neither autoxla nor what measures, and TensorFlow only where Keras does.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.architectures import TASKS
from benchmarks.backends import COMPILE, WARM_UP, WHOLE

EPOCH = WHOLE[0]
#: Steps that are waited for, beside the last one.
MARKS = frozenset((1, WARM_UP, *WHOLE))
#: Steps behind the warm-up at least, however long they take.
_FEWEST = 5
#: The sample: so many steps and seconds at least, but no more than so many seconds, and three steps.
_SAMPLE, _LEAST_S, _MOST_S, _LEAST = 20, 0.5, 3.0, 3
#: The steps at which ``tune`` compares losses.
_COMPARED = frozenset(2**power for power in range(7))


class Clock:
    """Stands where a model has its ``train_function``; calls ``finish`` when everything is measured."""

    def __init__(self, stock: Callable[..., Any], seconds: float, finish: Callable[[], None]) -> None:
        self.began = perf_counter()
        self.marks: dict[int, float] = {}
        self.sample: list[float] = []
        self.losses: list[float] = []
        self._stock = stock
        self._seconds = seconds
        self._finish = finish
        self._step = 0
        self._last: float | None = None
        self._pending: list[Any] = []

    def __call__(self, *arguments: Any) -> Any:
        """Run one step; what it is given, and gives, is each backend's own."""
        result = self._stock(*arguments)
        # On JAX the state goes through each step.
        loss = (result[0] if isinstance(result, tuple) else result)["loss"]
        self._step += 1
        if self._step in _COMPARED:
            self._pending.append(loss)
        if self._last is not None:
            self._take_sample(self._last, loss)
        elif self._step in MARKS or self._is_over():
            float(loss)  # waits for it
            now = perf_counter()
            self.marks[self._step] = round(now - self.began, 5)
            self.losses += [float(f"{float(each):.7g}") for each in self._pending]
            self._pending.clear()
            if self._is_over():
                self._last = now
        return result

    def _is_over(self) -> bool:
        if self._step >= max(WHOLE):
            return True
        is_warm = self._step >= WARM_UP + _FEWEST
        return is_warm and perf_counter() - self.began - self.marks[WARM_UP] > self._seconds

    def _take_sample(self, last: float, loss: Any) -> None:
        float(loss)
        self._last = perf_counter()
        self.sample.append(self._last - last)
        took, count = sum(self.sample), len(self.sample)
        if (count >= _SAMPLE and took >= _LEAST_S) or (count >= _LEAST and took >= _MOST_S):
            self._finish()


def main() -> None:
    """Train; the clock ends the process."""
    begin = perf_counter()
    import keras

    imported = perf_counter() - begin
    arguments = read_arguments()
    task = TASKS[arguments.model]
    model = task.make(keras)
    model.compile(optimizer="adam", loss=task.loss, **COMPILE[arguments.path])

    def finish() -> None:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        figures = {
            "backend": keras.backend.backend(),
            "jit": bool(model.jit_compile),
            "dtype": str(model.compute_dtype),
            "import_s": round(imported, 3),
            "memory_mb": round(memory * (1 if sys.platform == "darwin" else 1024) / 1e6),
            "marks": clock.marks,
            "sample": [round(time, 6) for time in clock.sample],
            "losses": clock.losses,
        }
        arguments.json.write_text(json.dumps(figures), encoding="utf-8")
        # Neither the rest of the training nor the teardown of the backend is measured.
        os._exit(0)

    import numpy as np

    inputs, targets = task.draw(np.random.default_rng(1), EPOCH * task.batch)
    model.make_train_function()
    model.train_function = clock = Clock(model.train_function, arguments.seconds, finish)
    clock.began = perf_counter()
    # The clock ends it: behind the last mark it takes its sample.
    model.fit(inputs, targets, batch_size=task.batch, epochs=10_000, verbose=0)


def read_arguments() -> Namespace:
    """Return the command line."""
    parser = ArgumentParser(allow_abbrev=False)
    parser.add_argument("model", choices=TASKS)
    parser.add_argument("path", choices=COMPILE)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--json", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
