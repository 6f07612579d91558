"""The program that is measured: one model trained with a clock in it, under autoxla or without.

``python -m benchmarks.paths.run MODEL STEPS MODE --json FILE [--budget S] [--after MODULE --pairs N]``
trains for STEPS steps in five epochs, or until S seconds are over, and writes

* ``planned``, the steps that ``fit`` was asked for; ``steps``, the milliseconds of each that was done,
  from ``on_train_batch_begin`` to ``on_train_batch_end``; ``total_s``, from the call of ``fit`` to
  ``on_train_end``: the teardown of the ``tf.data`` iterator after it, which may wait for seconds, is no
  part of it;
* ``after``, what ``measure`` of the module MODULE found in this process when training was over.

This module imports neither autoxla nor what measures: a program does not either.
"""

from __future__ import annotations

import importlib
import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from time import perf_counter
from typing import Any

import tensorflow as tf

from benchmarks.architectures import TASKS
from benchmarks.paths.models import build

EPOCHS = 5
#: What each mode tells ``compile``. tf_keras differs by the environment of the process.
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "jit": {"jit_compile": True},
    "graph": {"jit_compile": False},
    "autoxla": {},
    "tf_keras": {},
}


class Clock(tf.keras.callbacks.Callback):  # type: ignore[misc]
    """Times each step, and stops the training once ``budget`` seconds are over."""

    def __init__(self, budget: float) -> None:
        super().__init__()
        self.times: list[float] = []
        self.began = self.ended = perf_counter()
        self._budget = budget
        self._step_began = 0.0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Take the time."""
        self._step_began = perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Keep the milliseconds of the step."""
        now = perf_counter()
        self.times.append((now - self._step_began) * 1e3)
        if now - self.began > self._budget:
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """Take the time for the last time."""
        self.ended = perf_counter()


def main() -> None:
    """Train, measure what is to be measured afterwards, write the figures."""
    arguments = read_arguments()
    model, make_batches = build(arguments.model, OPTIONS[arguments.mode])
    figures = train(model, make_batches, arguments.steps, arguments.budget)
    if arguments.after is not None:
        measure = importlib.import_module(arguments.after).measure
        figures["after"] = measure(model, make_batches, arguments.pairs)
    about = {"model": arguments.model, "mode": arguments.mode, "versions": read_versions()}
    arguments.json.write_text(json.dumps(about | figures), encoding="utf-8")


def read_arguments() -> Namespace:
    """Return the command line."""
    parser = ArgumentParser(allow_abbrev=False)
    parser.add_argument("model", choices=TASKS)
    parser.add_argument("steps", type=int)
    parser.add_argument("mode", choices=OPTIONS)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--budget", type=float, default=float("inf"))
    parser.add_argument("--after", metavar="MODULE")
    parser.add_argument("--pairs", type=int, default=40)
    return parser.parse_args()


def train(model: Any, make_batches: Any, steps: int, budget: float) -> dict[str, Any]:
    """Fit ``model`` for ``steps`` steps at most, ``budget`` seconds at most, and return the times."""
    epoch = max(1, steps // EPOCHS)
    batches = make_batches(epoch)
    clock = Clock(budget)
    clock.began = perf_counter()
    model.fit(batches, epochs=EPOCHS, verbose=0, callbacks=[clock])
    steps_ms = [round(time, 4) for time in clock.times]
    return {"planned": EPOCHS * epoch, "steps": steps_ms, "total_s": round(clock.ended - clock.began, 4)}


def read_versions() -> dict[str, str]:
    """Return the releases that were used."""
    keras = sys.modules[tf.keras.Model.__module__.partition(".")[0]]
    return {"tensorflow": tf.__version__, keras.__name__: keras.__version__}


if __name__ == "__main__":
    main()
